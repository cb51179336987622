package jwks

import (
	"net/http"
	"strings"
)

var (
	errManyHeaders = refuse(ErrMalformed, "more than one Authorization header")
	errManyCookies = refuse(ErrMalformed, "more than one cookie of the name")
	errTwoTokens   = refuse(ErrMalformed, "header and cookie have different tokens")
	errBearer      = refuse(ErrMalformed, "the Authorization header has a scheme and no token")
	errCrossOrigin = refuse(ErrNoToken, "a cross-origin request may not use the cookie")
)

// VerifyRequest finds the token of r, in the Authorization header or the
// configured cookie, and verifies it. A request without one is ErrNoToken, one
// with several ErrMalformed; other errors are those of Verify.
func (v *Verifier) VerifyRequest(r *http.Request) (Claims, error) {
	token, err := v.token(r)
	if err != nil {
		if v.observe != nil {
			v.observe.verified(r.Context(), verdict{}, err, 0)
		}
		return Claims{}, err
	}
	return v.Verify(r.Context(), token)
}

func (v *Verifier) token(r *http.Request) (string, error) {
	header, err := bearer(r.Header["Authorization"])
	if err != nil || v.cfg.Cookie == "" {
		return orNoToken(header, err)
	}
	cookies := r.CookiesNamed(v.cfg.Cookie)
	switch {
	case len(cookies) > 1: // a sibling domain may have planted one
		return "", errManyCookies
	case len(cookies) == 0:
		return orNoToken(header, nil)
	case header == cookies[0].Value && header != "":
		return header, nil
	case len(r.Header["Authorization"]) > 0:
		return "", errTwoTokens
	}
	if v.csrf.Check(r) != nil {
		return "", errCrossOrigin
	}
	return orNoToken(cookies[0].Value, nil)
}

func orNoToken(token string, err error) (string, error) {
	if token == "" && err == nil {
		return "", ErrNoToken
	}
	return token, err
}

// bearer reads the Authorization header; another scheme is no token.
func bearer(values []string) (string, error) {
	if len(values) > 1 {
		return "", errManyHeaders
	}
	if len(values) == 0 {
		return "", nil
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token := strings.TrimLeft(rest, " ") // Verify judges its characters
	if token == "" {
		return "", errBearer
	}
	return token, nil
}

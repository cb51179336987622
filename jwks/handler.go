package jwks

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type contextKey struct{}

// FromContext returns the claims of the request that Handler has let through.
func FromContext(ctx context.Context) (Claims, bool) {
	c, ok := ctx.Value(contextKey{}).(Claims)
	return c, ok
}

// Handler lets a request with a valid token through to next, its claims in the
// context, and answers all others as RFC 6750 section 3 has it, without a word
// on what was wrong: 401 without a token or with one that is not accepted, 400
// with more than one, 403 for a scope that the issuer may not grant and for a
// cross-origin request with a cookie, 503 while the issuer's keys cannot be had.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := v.VerifyRequest(r)
		if err != nil {
			v.refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, c)))
	})
}

// Require lets a request through whose token grants all scopes, and answers
// others 403 insufficient_scope. It stands behind Handler; where it does not, it
// verifies the token itself.
func (v *Verifier) Require(scopes ...string) func(http.Handler) http.Handler {
	scopes = slices.Clone(scopes)
	return func(next http.Handler) http.Handler {
		check := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _ := FromContext(r.Context())
			for _, s := range scopes {
				if !c.HasScope(s) {
					v.refuseScope(w, r, c, scopes)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
		verifyFirst := v.Handler(check)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, ok := FromContext(r.Context()); ok {
				check.ServeHTTP(w, r)
				return
			}
			verifyFirst.ServeHTTP(w, r)
		})
	}
}

func (v *Verifier) refuseScope(w http.ResponseWriter, r *http.Request, c Claims, scopes []string) {
	if v.observe != nil {
		v.observe(r.Context(), Event{Kind: EventScope, Issuer: c.Issuer(), Err: ErrScope})
	}
	v.answer(w, http.StatusForbidden, "insufficient_scope", strings.Join(scopes, " "))
}

// refuse answers a request whose token was not accepted.
func (v *Verifier) refuse(w http.ResponseWriter, err error) {
	var busy interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &busy):
		seconds := int((busy.RetryAfter() + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		reply(w, http.StatusServiceUnavailable)
	case errors.Is(err, errCrossOrigin):
		reply(w, http.StatusForbidden)
	case errors.Is(err, ErrNoToken):
		v.answer(w, http.StatusUnauthorized, "", "")
	case errors.Is(err, errManyHeaders), errors.Is(err, errManyCookies), errors.Is(err, errTwoTokens):
		v.answer(w, http.StatusBadRequest, "invalid_request", "")
	case errors.Is(err, ErrScope):
		v.answer(w, http.StatusForbidden, "insufficient_scope", "")
	default:
		v.answer(w, http.StatusUnauthorized, "invalid_token", "")
	}
}

// answer challenges the client (RFC 6750 section 3, RFC 9728 section 5.1).
func (v *Verifier) answer(w http.ResponseWriter, status int, code, scope string) {
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+`="`+value+`"`)
		}
	}
	add("realm", v.cfg.Realm)
	add("error", code)
	add("scope", scope)
	add("resource_metadata", v.metadataURL)
	challenge := "Bearer"
	if len(params) > 0 {
		challenge += " " + strings.Join(params, ", ")
	}
	w.Header().Set("WWW-Authenticate", challenge)
	reply(w, status)
}

func reply(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

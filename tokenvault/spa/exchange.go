package spa

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// maxForm bounds what a browser may post to the token endpoint.
const maxForm = 64 << 10

// exchange redeems an authorization code as the provider's confidential client
// and opens a session. Of what the browser sends, only the code, its verifier
// and the redirect URI go on; a client secret, an assertion, a wider scope, an
// audience or a resource do not.
func (p *Proxy) exchange(w http.ResponseWriter, r *http.Request) error {
	start := p.config.Now()
	form, err := p.exchangeForm(r)
	if err != nil {
		return err
	}
	id := newSessionID()
	grant := sessionKey(id)
	answer, err := p.config.Vault.Redeem(r.Context(), grant, grant, p.config.Provider, form.Get("code"),
		oauth2.SetAuthURLParam("redirect_uri", form.Get("redirect_uri")),
		oauth2.VerifierOption(form.Get("code_verifier")))
	p.observe(r.Context(), Event{Kind: "exchange", Status: answer.Status, Duration: p.config.Now().Sub(start), Err: sentinel(err)})
	switch {
	case err != nil && answer.Status == 0 && errors.Is(err, vault.ErrReauthorize):
		// Nobody knows what became of the code. Whether a second try or a new login
		// is due, the server says when it can be reached.
		return serverDown
	case err != nil && !isRefusal(answer.Status):
		return err
	}
	body, redactErr := p.redactor.apply(answer.Body)
	if redactErr != nil {
		// Nothing is known of what the body holds: it goes nowhere.
		return errors.Join(upstreamProblem, p.discard(r.Context(), grant, err))
	}
	if err == nil {
		if err := p.open(w, r, id, answer.Body); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body)
	return nil
}

// isRefusal: an error that the application is told in the server's own words
// (RFC 6749 section 5.2). Any other failure is this proxy's to explain.
func isRefusal(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests
}

// discard revokes a grant that was made and cannot be handed on.
func (p *Proxy) discard(ctx context.Context, grant string, made error) error {
	if made != nil {
		return nil
	}
	return p.config.Vault.Revoke(context.WithoutCancel(ctx), grant, grant)
}

// exchangeForm reads and judges the browser's token request.
func (p *Proxy) exchangeForm(r *http.Request) (url.Values, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil || len(body) > maxForm {
		return nil, problem{http.StatusRequestEntityTooLarge, "invalid_request", "the body is too large", 0}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("the body is not a form")
	}
	for _, values := range form {
		if len(values) != 1 { // RFC 6749 section 3.2
			return nil, invalidRequest("a parameter is repeated")
		}
	}
	switch {
	case form.Get("grant_type") != "authorization_code":
		return nil, problem{http.StatusBadRequest, "unsupported_grant_type", "only authorization_code is accepted here", 0}
	case form.Get("code") == "":
		return nil, invalidRequest("code is missing")
	case !isVerifier(form.Get("code_verifier")):
		return nil, invalidRequest("code_verifier is missing or malformed")
	case form.Has("client_id") && form.Get("client_id") != p.client.ClientID:
		return nil, problem{http.StatusBadRequest, "invalid_client", "the client_id is not this vault's", 0}
	case !slices.Contains(p.config.RedirectURIs, form.Get("redirect_uri")):
		return nil, invalidRequest("the redirect_uri is not listed")
	}
	return form, nil
}

// isVerifier checks RFC 7636 section 4.1.
func isVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
			return false
		}
	}
	return true
}

// open starts the session id for a grant that has just been made, in place of
// the browser's earlier one: a session id from before a login is never used
// after it.
func (p *Proxy) open(w http.ResponseWriter, r *http.Request, id string, answer []byte) error {
	var a struct {
		Scope   string `json:"scope"`
		IDToken string `json:"id_token"`
	}
	_ = json.Unmarshal(answer, &a)
	now := p.config.Now()
	s := &session{Grant: sessionKey(id), Created: now, Seen: now, Scopes: strings.Fields(a.Scope)}
	if a.Scope == "" { // RFC 6749 section 5.1: as requested
		s.Scopes = p.client.Scopes
	}
	s.Subject, s.Session = idTokenNames(a.IDToken)
	if err := p.save(r.Context(), sessionKey(id), s); err != nil {
		return errors.Join(serverDown, p.discard(r.Context(), s.Grant, nil))
	}
	if earlier, key, err := p.load(r); err == nil {
		p.end(r.Context(), key, earlier)
	}
	p.setCookie(w, id)
	return nil
}

// idTokenNames reads sub and sid of an ID token that came straight from the
// token endpoint, which TLS has authenticated (OpenID Connect Core section
// 3.1.3.7): they are used to match logout tokens and for nothing else.
func idTokenNames(token string) (sub, sid string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", ""
	}
	var claims struct {
		Subject string `json:"sub"`
		Session string `json:"sid"`
	}
	_ = json.Unmarshal(payload, &claims)
	return claims.Subject, claims.Session
}

// retry bounds how long a detached piece of work may take.
const retry = 20 * time.Second

package spa

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// has says whether the browser's session has tokens.
func (p *Proxy) has(w http.ResponseWriter, r *http.Request) error {
	s, _, err := p.load(r)
	if err != nil && !errors.Is(err, noSession) {
		return err
	}
	writeJSON(w, map[string]bool{"hasTokens": err == nil && !s.Removed})
	return nil
}

// refresh renews the session's token now; several at once are one.
func (p *Proxy) refresh(w http.ResponseWriter, r *http.Request) error {
	start := p.config.Now()
	s, _, err := p.load(r)
	if err != nil {
		return err
	}
	if s.Removed {
		return noSession
	}
	err = p.config.Vault.Refresh(r.Context(), s.Grant, s.Grant)
	p.observe(r.Context(), Event{Kind: "refresh", Duration: p.config.Now().Sub(start), Err: sentinel(err)})
	if err != nil {
		return err
	}
	writeJSON(w, map[string]bool{"refreshTokens": true})
	return nil
}

// remove forgets the tokens here and revokes them there, but leaves the
// session's ID token, which end-session will need.
func (p *Proxy) remove(w http.ResponseWriter, r *http.Request) error {
	if err := p.removeTokens(r); err != nil {
		return err
	}
	writeJSON(w, map[string]bool{"removeToken": true})
	return nil
}

// revoke is RFC 7009 for an application that holds no token: whichever it
// names, those of its session are meant.
func (p *Proxy) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := p.removeTokens(r); err != nil && !errors.Is(err, noSession) {
		return err
	}
	writeJSON(w, struct{}{})
	return nil
}

func (p *Proxy) removeTokens(r *http.Request) error {
	s, key, err := p.load(r)
	if err != nil {
		return err
	}
	if s.Removed {
		return nil
	}
	if s.IDToken, err = p.config.Vault.IDToken(r.Context(), s.Grant, s.Grant); errors.Is(err, vault.ErrUnavailable) {
		return err
	}
	s.Removed = true
	if err := p.save(r.Context(), key, s); err != nil {
		return serverDown
	}
	p.revokeGrant(r.Context(), s)
	return nil
}

// revokeGrant revokes both tokens. The vault's tombstone comes first, so a
// server that does not answer keeps nobody from logging out.
func (p *Proxy) revokeGrant(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retry)
	defer cancel()
	start := p.config.Now()
	err := p.config.Vault.Revoke(ctx, s.Grant, s.Grant)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	p.observe(ctx, Event{Kind: "logout", Duration: p.config.Now().Sub(start), Err: sentinel(err)})
}

// end removes a session and its tokens.
func (p *Proxy) end(ctx context.Context, key string, s *session) {
	if !s.Removed {
		p.revokeGrant(ctx, s)
	}
	_ = p.config.Sessions.Set(context.WithoutCancel(ctx), key, nil, 0)
}

// authorize sends the browser to the authorization server, for applications
// whose library knows one base URL.
func (p *Proxy) authorize(w http.ResponseWriter, r *http.Request) error {
	endpoints, err := p.server.endpoints(r.Context())
	if err != nil || endpoints.Authorization == "" {
		return serverDown
	}
	query := r.URL.Query()
	if id := query["client_id"]; len(id) != 1 || id[0] != p.client.ClientID {
		return invalidRequest("the client_id is not this vault's")
	}
	if kind := query["response_type"]; len(kind) > 1 || len(kind) == 1 && kind[0] != "code" {
		return problem{http.StatusBadRequest, "unsupported_response_type", "only code is accepted here", 0}
	}
	redirect(w, endpoints.Authorization, query)
	return nil
}

// endSession ends the session here, then at the authorization server
// (OpenID Connect RP-Initiated Logout 1.0). It is a navigation: from another
// site the cookie does not come along and nobody is logged out here.
func (p *Proxy) endSession(w http.ResponseWriter, r *http.Request) error {
	endpoints, err := p.server.endpoints(r.Context())
	if err != nil || endpoints.EndSession == "" {
		return serverDown
	}
	asked, out := r.URL.Query(), url.Values{"client_id": {p.client.ClientID}}
	if s, key, err := p.load(r); err == nil {
		hint := s.IDToken
		if hint == "" {
			hint, _ = p.config.Vault.IDToken(r.Context(), s.Grant, s.Grant)
		}
		if hint != "" {
			out.Set("id_token_hint", hint)
		}
		p.end(r.Context(), key, s)
	}
	p.setCookie(w, "")
	if to := asked.Get("post_logout_redirect_uri"); to != "" && p.appAddress(to) {
		out.Set("post_logout_redirect_uri", to)
		if state := asked.Get("state"); state != "" {
			out.Set("state", state)
		}
	}
	redirect(w, endpoints.EndSession, out)
	return nil
}

// appAddress reports whether s lies in an application's origin.
func (p *Proxy) appAddress(s string) bool {
	for _, origin := range p.config.Origins {
		if s == origin || strings.HasPrefix(s, origin+"/") {
			return true
		}
	}
	return false
}

func redirect(w http.ResponseWriter, to string, query url.Values) {
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	h := w.Header()
	h.Set("Location", to+separator+query.Encode())
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusFound)
}

// userInfo is the authorization server's, with the session's token.
func (p *Proxy) userInfo(w http.ResponseWriter, r *http.Request) error {
	endpoints, err := p.server.endpoints(r.Context())
	if err != nil {
		return serverDown
	}
	u, err := url.Parse(endpoints.UserInfo)
	if err != nil || endpoints.UserInfo == "" || !p.mayReceive(u) {
		return notListed
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host}
	return p.attach(w, r, &target{base: base}, u.Path)
}

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutAge bounds how old a logout token may be, and how long its jti is
	// remembered.
	logoutAge = 5 * time.Minute
)

// backchannelLogout ends sessions on the authorization server's word (OpenID
// Connect Back-Channel Logout 1.0). A mark is left that every instance reads:
// sessions made before it are over.
func (p *Proxy) backchannelLogout(w http.ResponseWriter, r *http.Request) error {
	if p.config.VerifyLogout == nil {
		return notListed
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	form, parseErr := url.ParseQuery(string(body))
	if err != nil || parseErr != nil || len(body) > maxForm || len(form["logout_token"]) != 1 {
		return invalidRequest("logout_token is missing")
	}
	payload, err := p.config.VerifyLogout(r.Context(), form.Get("logout_token"))
	if err != nil {
		return invalidRequest("the logout token is not valid")
	}
	claims, err := p.logoutClaims(payload)
	if err != nil {
		return err
	}
	used := markKey("jti", claims.ID)
	fresh, err := p.config.Sessions.Add(r.Context(), used, []byte("1"), 2*logoutAge)
	switch {
	case err != nil:
		return serverDown
	case !fresh:
		return invalidRequest("the logout token was used before")
	}
	for kind, value := range map[string]string{"sid": claims.Session, "sub": claims.Subject} {
		if value == "" || kind == "sub" && claims.Session != "" {
			continue // a sid says which session of the subject is meant
		}
		mark, _ := json.Marshal(p.config.Now())
		if err := p.config.Sessions.Set(r.Context(), markKey(kind, value), mark, p.config.Absolute); err != nil {
			_ = p.config.Sessions.Set(context.WithoutCancel(r.Context()), used, nil, 0) // it may come again
			return serverDown
		}
	}
	p.observe(r.Context(), Event{Kind: "backchannel-logout", Status: http.StatusOK})
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

type logoutToken struct {
	Issuer   string                     `json:"iss"`
	Audience json.RawMessage            `json:"aud"`
	IssuedAt float64                    `json:"iat"`
	ID       string                     `json:"jti"`
	Subject  string                     `json:"sub"`
	Session  string                     `json:"sid"`
	Events   map[string]json.RawMessage `json:"events"`
	Nonce    json.RawMessage            `json:"nonce"`
}

// logoutClaims checks what Back-Channel Logout 1.0 section 2.6 asks for.
func (p *Proxy) logoutClaims(payload []byte) (logoutToken, error) {
	var t logoutToken
	refused := func(why string) (logoutToken, error) { return logoutToken{}, invalidRequest("the logout token " + why) }
	if json.Unmarshal(payload, &t) != nil {
		return refused("is not valid")
	}
	age := p.config.Now().Sub(time.Unix(int64(t.IssuedAt), 0))
	event, hasEvent := t.Events[logoutEvent]
	switch {
	case t.Issuer == "" || p.config.Issuer != "" && t.Issuer != p.config.Issuer:
		return refused("has another issuer")
	case !hasAudience(t.Audience, p.client.ClientID):
		return refused("has another audience")
	case t.IssuedAt == 0 || age > logoutAge || age < -time.Minute:
		return refused("is too old or from the future")
	case t.ID == "":
		return refused("has no jti")
	case !hasEvent || len(event) == 0 || event[0] != '{':
		return refused("is for another event")
	case t.Nonce != nil:
		return refused("has a nonce")
	case t.Subject == "" && t.Session == "":
		return refused("names nobody")
	}
	return t, nil
}

func hasAudience(raw json.RawMessage, want string) bool {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one == want
	}
	var many []string
	_ = json.Unmarshal(raw, &many)
	for _, a := range many {
		if a == want {
			return true
		}
	}
	return false
}

// markKey names a mark without holding the name it is for.
func markKey(kind, value string) string { return sessionKey(kind + "\x00" + value) }

// endedElsewhere reports whether a logout token has ended s.
func (p *Proxy) endedElsewhere(ctx context.Context, s *session) (bool, error) {
	if p.config.VerifyLogout == nil {
		return false, nil
	}
	for kind, value := range map[string]string{"sid": s.Session, "sub": s.Subject} {
		if value == "" {
			continue
		}
		mark, err := p.config.Sessions.Get(ctx, markKey(kind, value))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var at time.Time
		if err != nil || json.Unmarshal(mark, &at) != nil {
			return false, errors.New("spa: a logout mark cannot be read")
		}
		if !s.Created.After(at) {
			return true, nil
		}
	}
	return false, nil
}

// sentinel reduces err to what an event may hold.
func sentinel(err error) error {
	if err == nil {
		return nil
	}
	for _, s := range []error{vault.ErrReauthorize, vault.ErrUnavailable, vault.ErrRevokePending, fs.ErrNotExist, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, s) {
			return s
		}
	}
	var p problem
	if errors.As(err, &p) {
		return p
	}
	return upstreamProblem
}

package spa

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// discovery finds the authorization server's endpoints (OpenID Connect
// Discovery 1.0 section 4), once, when they are first needed.
type discovery struct {
	issuer   string
	given    Endpoints
	client   *http.Client
	checkURL func(string) error

	mu  sync.Mutex
	ask *asking // the one that succeeded, or is under way
}

// asking is one request, which everybody waits for who comes meanwhile.
type asking struct {
	done  chan struct{}
	found *metadata // once done; nil: failed
}

// metadata is the part of the server's metadata that is used.
type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	EndSession    string `json:"end_session_endpoint"`
	JWKS          string `json:"jwks_uri"`
}

const (
	maxMetadata      = 256 << 10
	discoveryTimeout = 10 * time.Second
)

func newDiscovery(c *Config) *discovery {
	return &discovery{
		issuer: c.Issuer, given: c.Endpoints, checkURL: c.checkURL,
		client: &http.Client{Transport: c.Base, Timeout: discoveryTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// endpoints returns the given endpoints, completed by the discovered ones.
func (d *discovery) endpoints(ctx context.Context) (metadata, error) {
	out := metadata{
		Issuer: d.issuer, Authorization: d.given.Authorization, Token: d.given.Token,
		Revocation: d.given.Revocation, UserInfo: d.given.UserInfo, EndSession: d.given.EndSession,
	}
	if d.issuer == "" {
		return out, nil
	}
	found, err := d.discovered(ctx)
	if err != nil {
		if out.Authorization != "" && out.EndSession != "" && out.UserInfo != "" {
			return out, nil
		}
		return metadata{}, err
	}
	for _, e := range []struct{ to, from *string }{
		{&out.Authorization, &found.Authorization}, {&out.Token, &found.Token}, {&out.Revocation, &found.Revocation},
		{&out.UserInfo, &found.UserInfo}, {&out.EndSession, &found.EndSession}, {&out.JWKS, &found.JWKS},
	} {
		if *e.to == "" {
			*e.to = *e.from
		}
	}
	return out, nil
}

// discovered asks once; callers that come meanwhile wait for the same answer, on
// their own ctx, and after a failure the next asks again.
func (d *discovery) discovered(ctx context.Context) (*metadata, error) {
	a := d.asked(ctx)
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if a.found == nil {
		return nil, errDiscovery
	}
	return a.found, nil
}

func (d *discovery) asked(ctx context.Context) *asking {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ask != nil {
		return d.ask
	}
	a := &asking{done: make(chan struct{})}
	d.ask = a
	go func() {
		defer close(a.done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discoveryTimeout)
		defer cancel()
		var err error
		if a.found, err = d.fetch(ctx); err != nil {
			d.mu.Lock()
			d.ask = nil
			d.mu.Unlock()
		}
	}()
	return a
}

var errDiscovery = errors.New("spa: the authorization server's metadata cannot be used")

func (d *discovery) fetch(ctx context.Context) (*metadata, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(d.issuer, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return nil, errDiscovery
	}
	res, err := d.client.Do(req)
	if err != nil {
		return nil, errDiscovery
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxMetadata+1))
	if err != nil || len(body) > maxMetadata || res.StatusCode != http.StatusOK {
		return nil, errDiscovery
	}
	var m metadata
	if json.Unmarshal(body, &m) != nil || m.Issuer != d.issuer {
		return nil, errDiscovery
	}
	for _, u := range []string{m.Authorization, m.Token, m.Revocation, m.UserInfo, m.EndSession, m.JWKS} {
		if u != "" && d.checkURL(u) != nil {
			return nil, errDiscovery
		}
	}
	return &m, nil
}

// metadata answers discovery for applications whose OAuth library is given this
// proxy as its server: the endpoints are this proxy's, the issuer and the keys
// are the authorization server's.
func (p *Proxy) metadata(w http.ResponseWriter, r *http.Request) error {
	m, err := p.server.endpoints(r.Context())
	if err != nil {
		return serverDown
	}
	base := p.config.Origin + "/oauth2/"
	answer := map[string]any{
		"issuer": m.Issuer, "authorization_endpoint": base + "authorize", "token_endpoint": base + "token",
		"revocation_endpoint": base + "revoke", "userinfo_endpoint": base + "userinfo", "end_session_endpoint": base + "logout",
		"response_types_supported": []string{"code"}, "grant_types_supported": []string{"authorization_code"},
		"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none"},
	}
	if m.JWKS != "" {
		answer["jwks_uri"] = m.JWKS
	}
	writeJSON(w, answer)
	return nil
}

package vault

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// Provider is an OAuth client registration at one authorization server.
type Provider struct {
	// Name is what Put and Exchange call it; sealed into its grants.
	Name string
	// OAuth2 holds the client id, the endpoints and the scopes. ClientID and
	// Endpoint.TokenURL are required and sealed into the grants. AuthStyle 0
	// means Basic (RFC 6749 section 2.3.1), or none without a secret: styles
	// are never probed, because a probe sends the refresh token twice.
	OAuth2 *oauth2.Config
	// Auth is how the client authenticates, instead of OAuth2.ClientSecret.
	Auth clientauth.Method
	// RevocationURL is the endpoint of RFC 7009. Empty: Revoke only makes the
	// grant unusable here.
	RevocationURL string
	// Hosts lists where its access tokens may go, in the form that
	// tokenvault.Label.Hosts has. Required; "*" is refused.
	Hosts []string
	// Client speaks to the authorization server; nil: one with timeouts. With
	// a relay as its transport the client secret can be a sealed value. It
	// never follows a redirect.
	Client *http.Client
	// Lifetime is how long a grant is kept after its last refresh, unless the
	// server says so itself in refresh_expires_in; default 90 days.
	Lifetime time.Duration
	// ClientCredentials says that no user is behind the grant: the vault
	// fetches and renews the token itself (RFC 6749 section 4.4). The id of
	// such a grant is the provider's Name, its row is made at first use and
	// belongs to the owner who used it first; the owner may be empty.
	ClientCredentials bool
	// StrictScopes refuses grants with scopes beyond OAuth2.Scopes.
	StrictScopes bool
	// InsecureHTTP allows http URLs, of the server and of the hosts. Without
	// it every URL is https.
	InsecureHTTP bool
}

// provider is a Provider that has been checked, and shares nothing with it.
type provider struct {
	name, clientID, redirectURL string
	tokenURL, revocationURL     string
	scopes                      []string
	auth                        clientauth.Method
	patterns                    []hosts.Pattern
	hostNames                   []string // patterns in canonical form
	client                      *http.Client
	lifetime                    time.Duration
	clientCredentials           bool
	strictScopes, insecureHTTP  bool
}

const defaultLifetime = 90 * 24 * time.Hour

// check returns p as the vault uses it. Errors name the field.
func (p *Provider) check(shared *http.Client) (*provider, error) {
	if p == nil {
		return nil, errors.New(" is nil")
	}
	switch {
	case p.Name == "" || !validName(p.Name):
		return nil, errors.New(".Name: empty, too long or not UTF-8")
	case p.OAuth2 == nil:
		return nil, errors.New(".OAuth2 is nil")
	case p.OAuth2.ClientID == "":
		return nil, errors.New(".OAuth2.ClientID is empty")
	case p.Lifetime < 0:
		return nil, errors.New(".Lifetime is negative")
	case p.StrictScopes && len(p.OAuth2.Scopes) == 0:
		return nil, errors.New(".StrictScopes needs OAuth2.Scopes")
	}
	if err := p.checkURLs(); err != nil {
		return nil, err
	}
	c := &provider{
		name: p.Name, clientID: p.OAuth2.ClientID, redirectURL: p.OAuth2.RedirectURL,
		tokenURL: p.OAuth2.Endpoint.TokenURL, revocationURL: p.RevocationURL,
		scopes: slices.Clone(p.OAuth2.Scopes), lifetime: p.Lifetime, clientCredentials: p.ClientCredentials,
		strictScopes: p.StrictScopes, insecureHTTP: p.InsecureHTTP,
	}
	if c.lifetime == 0 {
		c.lifetime = defaultLifetime
	}
	var err error
	if c.auth, err = p.method(); err != nil {
		return nil, err
	}
	if c.patterns, c.hostNames, err = parseHosts(p.Hosts); err != nil {
		return nil, err
	}
	c.client = withoutRedirects(p.Client, shared)
	return c, nil
}

// method is the one way in which the client authenticates.
func (p *Provider) method() (clientauth.Method, error) {
	id, secret := p.OAuth2.ClientID, p.OAuth2.ClientSecret
	switch style := p.OAuth2.Endpoint.AuthStyle; {
	case p.Auth != nil && secret != "":
		return nil, errors.New(".Auth and .OAuth2.ClientSecret exclude each other")
	case p.Auth != nil:
		return p.Auth, nil
	case secret == "":
		return clientauth.None(id), nil
	case style == oauth2.AuthStyleInParams:
		return clientauth.Post(id, secret), nil
	case style == oauth2.AuthStyleAutoDetect || style == oauth2.AuthStyleInHeader:
		return clientauth.Basic(id, secret), nil
	}
	return nil, errors.New(".OAuth2.Endpoint.AuthStyle is unknown")
}

func (p *Provider) checkURLs() error {
	e := p.OAuth2.Endpoint
	for _, u := range []struct {
		field, url string
		required   bool
	}{
		{".OAuth2.Endpoint.TokenURL", e.TokenURL, true},
		{".OAuth2.Endpoint.AuthURL", e.AuthURL, false},
		{".OAuth2.Endpoint.DeviceAuthURL", e.DeviceAuthURL, false},
		{".RevocationURL", p.RevocationURL, false},
	} {
		if u.url == "" && !u.required {
			continue
		}
		if err := checkURL(u.url, p.InsecureHTTP); err != nil {
			return fmt.Errorf("%s %w", u.field, err)
		}
	}
	// A redirect URI may have a scheme of an application's own, and loopback
	// needs no TLS (RFC 8252 sections 7.1 and 7.3).
	u, err := url.Parse(p.OAuth2.RedirectURL)
	if err != nil {
		return errors.New(".OAuth2.RedirectURL is not a URL")
	}
	if u.Scheme == "http" && !p.InsecureHTTP && !isLoopback(u.Hostname()) {
		return errors.New(".OAuth2.RedirectURL is http; https, or InsecureHTTP")
	}
	return nil
}

// checkURL judges an endpoint (RFC 6749 section 3.2). The error does not quote
// it, since it may hold userinfo.
func checkURL(s string, insecureHTTP bool) error {
	if s == "" {
		return errors.New("is empty")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("is not an absolute URL")
	case u.User != nil:
		return errors.New("holds user information")
	case u.Fragment != "":
		return errors.New("has a fragment")
	case u.Scheme == "http" && insecureHTTP, u.Scheme == "https":
		return nil
	case u.Scheme == "http":
		return errors.New("is http; https, or InsecureHTTP")
	}
	return errors.New("is not https")
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func parseHosts(list []string) ([]hosts.Pattern, []string, error) {
	if len(list) == 0 {
		return nil, nil, errors.New(".Hosts is empty: nowhere may the access tokens go")
	}
	patterns, names := make([]hosts.Pattern, len(list)), make([]string, len(list))
	for i, h := range list {
		p, err := hosts.Parse(h)
		if err == nil && h == hosts.Any {
			err = errors.New("names every host")
		}
		if err != nil {
			return nil, nil, fmt.Errorf(".Hosts[%d]: %w", i, err)
		}
		patterns[i], names[i] = p, p.String()
	}
	return patterns, names, nil
}

// allows reports whether the canonical host may receive an access token.
func (p *provider) allows(host string) bool {
	return slices.ContainsFunc(p.patterns, func(h hosts.Pattern) bool { return h.Match(host) })
}

// withoutRedirects copies c: what is sent to the token endpoint is not meant
// for where it might point.
func withoutRedirects(c, shared *http.Client) *http.Client {
	if c == nil {
		c = shared
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// newClient is the client of providers that bring none. The whole exchange has
// a deadline of its own besides these.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		// A server may close an idle connection just as a form is written to it, and
		// a form that may have arrived is not sent again. Node.js closes after 5 s.
		IdleConnTimeout:        3 * time.Second,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}}
}

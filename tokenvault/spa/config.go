package spa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"golang.org/x/net/publicsuffix"
)

// Config is what New needs. Vault, Provider, Issuer or Endpoints, Origin,
// Origins and RedirectURIs are required.
type Config struct {
	// Vault keeps the tokens.
	Vault *vault.Vault
	// Provider names a provider of Vault: the confidential client, whose secret
	// never enters the browser.
	Provider string
	// Issuer is the authorization server, whose endpoints are discovered
	// (OpenID Connect Discovery 1.0). Endpoints that are given are not.
	Issuer    string
	Endpoints Endpoints // instead of, or besides, what is discovered
	// Origin is this proxy's own public origin, "https://vault.example.com": not
	// an app's, and of the same site (registrable domain) as every app's.
	Origin string
	// Origins are the exact origins of the applications.
	Origins []string
	// RedirectURIs are those an exchange may name, compared exactly.
	RedirectURIs []string
	// Resources are what may carry a token.
	Resources []Resource
	// Redact are JSONPaths (RFC 9535) of what is masked in an answer of the token
	// endpoint; default: access and refresh token in snake and camel case. Unknown
	// members that look like a token are masked in any case.
	Redact []string
	// Sessions keeps the sessions; nil: in this process's memory. redisstore and
	// sqlstore have one for a fleet.
	Sessions Sessions
	// Cookie is the session cookie's name; it must begin with "__Host-". Default
	// "__Host-tokenvault".
	Cookie string
	// Idle and Absolute bound a session from its last use and from its login.
	// Defaults 30 min and 12 h.
	Idle, Absolute time.Duration
	// VerifyLogout verifies a logout token's signature and returns its payload,
	// for example a jwks.Verifier's Payload. Nil: no back-channel logout.
	VerifyLogout func(ctx context.Context, jwt string) ([]byte, error)
	// Base sends attached requests and discovery; nil: http.DefaultTransport.
	Base http.RoundTripper
	// InsecureHTTP allows http:// for Issuer, Endpoints and upstreams.
	InsecureHTTP bool
	Now          func() time.Time             // the clock; nil: time.Now
	Observe      func(context.Context, Event) // is told of each Event; nil costs nothing
}

// Endpoints are the authorization server's URLs. Empty ones are discovered from
// Config.Issuer; without Issuer an empty one is a function that is not there.
type Endpoints struct {
	Authorization string // RFC 6749 section 3.1
	Token         string // RFC 6749 section 3.2
	Revocation    string // RFC 7009
	UserInfo      string // OpenID Connect Core section 5.3
	EndSession    string // OpenID Connect RP-Initiated Logout
}

// A Resource is a set of requests that may carry the session's token.
type Resource struct {
	// Pattern is a net/http.ServeMux pattern without host: "GET /v1/".
	Pattern string
	// Upstream is the base URL the request's path is joined to. Its host must be
	// among the provider's Hosts, or the vault refuses to attach.
	Upstream string
	// Exclude are patterns that are not part of the resource; they win.
	Exclude []string
	// Scopes a session must have been granted; else 403 and nothing is sent.
	Scopes []string
}

const (
	defaultCookie   = "__Host-tokenvault"
	defaultIdle     = 30 * time.Minute
	defaultAbsolute = 12 * time.Hour
)

// check fills in defaults and reports the first field that is wrong.
func (c *Config) check() error {
	if c.Vault == nil {
		return errors.New("spa: Config.Vault is nil")
	}
	if c.Issuer == "" && c.Endpoints == (Endpoints{}) {
		return errors.New("spa: Config.Issuer and Config.Endpoints are both empty")
	}
	if c.Idle < 0 || c.Absolute < 0 {
		return errors.New("spa: Config.Idle and Config.Absolute must not be negative")
	}
	c.Cookie = cmp.Or(c.Cookie, defaultCookie)
	c.Idle, c.Absolute = cmp.Or(c.Idle, defaultIdle), cmp.Or(c.Absolute, defaultAbsolute)
	if !strings.HasPrefix(c.Cookie, "__Host-") || !isToken(c.Cookie) {
		return errors.New(`spa: Config.Cookie must be a cookie name that begins with "__Host-"`)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Base == nil {
		c.Base = http.DefaultTransport
	}
	if c.Sessions == nil {
		c.Sessions = NewMemorySessions(c.Now)
	}
	for _, e := range []struct{ field, url string }{
		{"Issuer", c.Issuer}, {"Endpoints.Authorization", c.Endpoints.Authorization}, {"Endpoints.Token", c.Endpoints.Token},
		{"Endpoints.Revocation", c.Endpoints.Revocation}, {"Endpoints.UserInfo", c.Endpoints.UserInfo}, {"Endpoints.EndSession", c.Endpoints.EndSession},
	} {
		if e.url == "" {
			continue
		}
		if err := c.checkURL(e.url); err != nil {
			return fmt.Errorf("spa: Config.%s %w", e.field, err)
		}
	}
	return c.checkOrigins()
}

func (c *Config) checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("is not an absolute URL without userinfo and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !c.InsecureHTTP):
		return errors.New("is not https")
	}
	return nil
}

func (c *Config) checkOrigins() error {
	own, err := parseOrigin(c.Origin)
	if err != nil {
		return fmt.Errorf("spa: Config.Origin %w", err)
	}
	if len(c.Origins) == 0 {
		return errors.New("spa: Config.Origins is empty")
	}
	for i, o := range c.Origins {
		app, err := parseOrigin(o)
		switch {
		case err != nil:
			return fmt.Errorf("spa: Config.Origins[%d] %w", i, err)
		case o == c.Origin || app.Hostname() == own.Hostname():
			// Cookies ignore ports: one host name is one cookie jar.
			return fmt.Errorf("spa: Config.Origins[%d] has the proxy's own host name", i)
		case site(app.Hostname()) != site(own.Hostname()):
			return fmt.Errorf("spa: Config.Origins[%d] is of another site than Config.Origin: a SameSite=Strict cookie would not be sent", i)
		}
	}
	if len(c.RedirectURIs) == 0 {
		return errors.New("spa: Config.RedirectURIs is empty")
	}
	for i, r := range c.RedirectURIs {
		if u, err := url.Parse(r); err != nil || u.Scheme == "" || u.Fragment != "" {
			return fmt.Errorf("spa: Config.RedirectURIs[%d] is not an absolute URI without fragment", i)
		}
	}
	c.Origins, c.RedirectURIs = slices.Clone(c.Origins), slices.Clone(c.RedirectURIs)
	return nil
}

// parseOrigin accepts an https origin in the form browsers send it: lower case,
// no default port, no trailing slash.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || s != "https://"+u.Host || !isHost(u.Host) || u.Port() == "443" {
		return nil, errors.New(`is not an origin as browsers send it, like "https://app.example.com"`)
	}
	return u, nil
}

// isHost keeps an origin fit for a header and a script: lower case ASCII names,
// addresses and a port.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte(".-:[]", c) < 0 {
			return false
		}
	}
	return true
}

// site is the registrable domain; an address, or a name that is itself a public
// suffix, is its own site.
func site(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

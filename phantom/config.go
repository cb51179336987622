package phantom

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
)

// A Format is a media type that the introspection endpoint may answer in.
type Format string

// The formats there are.
const (
	JWT           Format = "application/jwt"                     // the JWT itself
	Introspection Format = "application/token-introspection+jwt" // signed claims, RFC 9701
	JSON          Format = "application/json"                    // RFC 7662
)

// Config is what New makes an Exchanger of. Endpoint and Auth are required. A
// zero duration or size means the default named with it; negative is an error.
type Config struct {
	// Endpoint is the introspection endpoint (RFC 7662 section 2), an https URL
	// without user information and fragment.
	Endpoint string
	// Auth authenticates us there. With mutual TLS it is clientauth.None(id).
	Auth clientauth.Method
	// Client makes the requests; a copy of it that follows no redirect is used.
	// Nil is a client of the Exchanger's own.
	Client *http.Client

	// Accept lists the formats asked for and understood, the preferred one first.
	// Default: JWT, JSON.
	Accept []Format
	// Verify checks the server's JWT, once per introspection; jwks.Verifier.Check
	// is one. It may be nil if the next handler verifies, as it should.
	Verify func(ctx context.Context, jwt string) error
	// VerifyResponse checks an RFC 9701 answer - signature, issuer, that we are its
	// audience - and returns its payload. Required if Accept lists Introspection.
	VerifyResponse func(ctx context.Context, jwt string) ([]byte, error)
	// Mint makes a JWT of our own for the next handler when an answer is claims
	// only. An answer is not kept longer than the JWT's exp less 60 seconds, so
	// it should outlive MaxTTL by that.
	Mint func(ctx context.Context, claims json.RawMessage) (jwt string, err error)

	// Scopes must all be granted to a token.
	Scopes []string
	// Audience, when not empty, must have an element in common with a token's aud.
	Audience []string
	// Realm is named in challenges (RFC 6750 section 3), if not empty.
	Realm string
	// Cookie names a cookie that holds the token of a request that has no
	// Authorization header. It is not passed on. Empty: none.
	Cookie string

	// Cache is a second tier shared with other processes, which need the same
	// CacheKey and should be configured alike. Optional.
	Cache Cache
	// CacheKey is 32 secret random bytes; required with Cache. With it absent the
	// keys of the first tier come from a random one.
	CacheKey []byte

	// CacheSize is how many tokens the first tier holds. Default 100 000.
	CacheSize int
	// MaxTTL is how long an answer is kept at most. Default 5 minutes.
	MaxTTL time.Duration
	// MinTTL keeps an answer that long even if its headers forbid it, though never
	// past its exp less 60 seconds: a revocation is seen that much later. Default 0.
	MinTTL time.Duration
	// LocalTTL is how long the first tier goes without asking the shared one, and
	// so how late it sees what another process evicted. Default MaxTTL.
	LocalTTL time.Duration
	// NegativeTTL is how long an inactive token is remembered. Default 5 seconds.
	NegativeTTL time.Duration
	// Timeout bounds one exchange from the first question to the last. Default 5
	// seconds.
	Timeout time.Duration
	// StaleIfError uses an answer that much longer while the server cannot be
	// reached, never past the token's exp and not when its headers said
	// must-revalidate, no-cache or no-store. Default 0: not at all.
	StaleIfError time.Duration
	// MaxInFlight is how many introspections run at once; a request for one more
	// fails with ErrUnavailable. Default 256.
	MaxInFlight int

	// PassJWT lets a bearer token that is a JWT already pass without introspection
	// once Verify accepts it.
	PassJWT bool
	// SkipPreflight passes CORS preflight requests on without a token.
	SkipPreflight bool
	// InsecureHTTP allows an http Endpoint: tokens and our own secret travel in
	// the clear.
	InsecureHTTP bool

	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Observe is told of what happens. It must be quick and safe for concurrent
	// use. Nil costs nothing.
	Observe func(context.Context, Event)
}

// An Event is one thing that happened. Kind is one of
//
//	hit         answered from the first tier
//	stale       answered from the first tier past its time, see StaleIfError
//	negative    refused from the memory of inactive tokens
//	shared      found in the shared tier
//	cache       the shared tier failed, or held a value that is not ours
//	introspect  the server was asked; Duration is how long one request took
//	refresh     a token used often is being introspected ahead of time
//	pass        a JWT passed, or did not, see PassJWT
type Event struct {
	Kind     string        // one of the list above
	Host     string        // of the endpoint, with the port if it has one
	Duration time.Duration // of what took time, else 0
	Err      error         // a sentinel of this package, or of package context
}

const (
	leeway      = 60 * time.Second // how much earlier than exp an answer ends
	maxToken    = 16 << 10         // of an opaque token, in bytes
	maxAnswer   = 64 << 10         // of the server's answer, in bytes
	cacheKeyLen = 32
)

// withDefaults returns a checked copy of c that shares no slice with it.
func (c Config) withDefaults() (Config, error) {
	c.Accept = slices.Clone(c.Accept)
	if len(c.Accept) == 0 {
		c.Accept = []Format{JWT, JSON}
	}
	c.Scopes, c.Audience = slices.Clone(c.Scopes), slices.Clone(c.Audience)
	for _, check := range []func() error{
		c.checkEndpoint, c.checkFormats, c.checkPolicy, c.checkCache, c.setDurations, c.setSizes,
	} {
		if err := check(); err != nil {
			return Config{}, fmt.Errorf("phantom: Config.%w", err)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

func wrong(field, what string) error { return fmt.Errorf("%s: %s", field, what) }

func wrongAt(field string, i int, what string) error {
	return wrong(fmt.Sprintf("%s[%d]", field, i), what)
}

func (c *Config) checkEndpoint() error {
	u, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint == "":
		return wrong("Endpoint", "is empty")
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return wrong("Endpoint", "is not an absolute URL without user information and fragment")
	case u.Scheme == "http" && !c.InsecureHTTP:
		return wrong("Endpoint", "is http, which InsecureHTTP would allow")
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("Endpoint", "is not https")
	case c.Auth == nil:
		return wrong("Auth", "is nil; with mutual TLS use clientauth.None")
	}
	return nil
}

func (c *Config) checkFormats() error {
	for i, f := range c.Accept {
		if f != JWT && f != Introspection && f != JSON {
			return wrongAt("Accept", i, "is not a known format")
		}
		if slices.Contains(c.Accept[:i], f) {
			return wrongAt("Accept", i, "is listed twice")
		}
	}
	if slices.Contains(c.Accept, Introspection) && c.VerifyResponse == nil {
		return wrong("VerifyResponse", "is nil, but Accept lists Introspection")
	}
	if c.PassJWT && c.Verify == nil {
		return wrong("Verify", "is nil, but PassJWT needs it")
	}
	return nil
}

func (c *Config) checkPolicy() error {
	for i, s := range c.Scopes {
		if !isScope(s) {
			return wrongAt("Scopes", i, "is not a scope-token")
		}
	}
	for i, a := range c.Audience {
		if a == "" {
			return wrongAt("Audience", i, "is empty")
		}
	}
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return wrong("Realm", "has a character that cannot stand in a quoted string")
	}
	if c.Cookie != "" && (&http.Cookie{Name: c.Cookie}).Valid() != nil {
		return wrong("Cookie", "is not a cookie name")
	}
	return nil
}

func (c *Config) checkCache() error {
	if c.Cache != nil && len(c.CacheKey) == 0 {
		return wrong("CacheKey", "is empty, but Cache needs it")
	}
	if n := len(c.CacheKey); n != 0 && n != cacheKeyLen {
		return wrong("CacheKey", fmt.Sprintf("has %d bytes, not %d", n, cacheKeyLen))
	}
	return nil
}

func (c *Config) setDurations() error {
	if c.MaxTTL == 0 {
		c.MaxTTL = 5 * time.Minute
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		byDef time.Duration
	}{
		{"MaxTTL", &c.MaxTTL, c.MaxTTL},
		{"MinTTL", &c.MinTTL, 0},
		{"LocalTTL", &c.LocalTTL, c.MaxTTL},
		{"NegativeTTL", &c.NegativeTTL, 5 * time.Second},
		{"Timeout", &c.Timeout, 5 * time.Second},
		{"StaleIfError", &c.StaleIfError, 0},
	} {
		if *d.value < 0 {
			return wrong(d.name, "is negative")
		}
		if *d.value == 0 {
			*d.value = d.byDef
		}
	}
	if c.MinTTL > c.MaxTTL {
		return wrong("MinTTL", "is larger than MaxTTL")
	}
	return nil
}

func (c *Config) setSizes() error {
	if c.CacheSize < 0 {
		return wrong("CacheSize", "is negative")
	}
	if c.MaxInFlight < 0 {
		return wrong("MaxInFlight", "is negative")
	}
	if c.CacheSize == 0 {
		c.CacheSize = 100_000
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 256
	}
	return nil
}

// isScope is the scope-token of RFC 6749 section 3.3.
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config configures a [Verifier]. Only Issuers is required. New copies what it
// keeps.
type Config struct {
	// Issuers are the only ones whose tokens are accepted.
	Issuers []Issuer

	// Client fetches metadata and keys. Nil: one with timeouts that keeps no
	// connection. Each fetch is bounded to 5 s and 1 MiB, and no redirect leaves
	// https, whatever the client.
	Client *http.Client

	// Leeway is how far clocks may differ, for exp, nbf and iat alike. 0: 60 s.
	Leeway time.Duration

	// MaxTokenBytes is the length from which a token is refused unread. 0: 16 KiB.
	MaxTokenBytes int

	// CacheSize is how many verified tokens are remembered, so that a token
	// seen before costs a hash and not a signature. 0: 10 000; below 0: none.
	CacheSize int

	// Cookie also accepts the token in the cookie of this name. If the header
	// has another token, the request is refused. Unsafe methods are then refused
	// if http.CrossOriginProtection would refuse them.
	Cookie string

	// Realm is the realm of the challenges (RFC 9110 section 11.5).
	Realm string

	// Resource is this resource server's identifier (RFC 9728), a URL: what
	// Metadata publishes and where challenges point. It is https, or a loopback
	// address.
	Resource string

	Now     func() time.Time             // nil: time.Now
	Observe func(context.Context, Event) // nil costs nothing; called from several goroutines
}

// Issuer is an authorization server whose tokens are accepted.
type Issuer struct {
	// URL is compared exactly with iss.
	URL string

	// Audience are the names of this service; one must be in aud. Empty is an
	// error unless InsecureAnyAudience is set.
	Audience []string

	// JWKSURL is where the keys are. Empty: discovered from URL (RFC 8414, then
	// OpenID Connect Discovery); the metadata's issuer must equal URL.
	JWKSURL string

	// Keys is a JWK set (RFC 7517) to use instead of fetching one. Keys that
	// cannot be used are skipped; it is an error if none is left.
	Keys []byte

	// Algorithms are the accepted alg values. Empty: EdDSA, ES256, ES384, ES512,
	// PS256, PS384, PS512, RS256, RS384, RS512, which are all there are.
	Algorithms []string

	// Types are the accepted typ values, "" for none. Empty: at+jwt and
	// application/at+jwt (RFC 9068). Some issuers send JWT or no typ; accepting
	// these means telling access tokens from ID tokens by aud alone.
	Types []string

	// Scopes are those that this issuer may grant: a token with another one is
	// ErrScope. Empty: any.
	Scopes []string

	// MaxLifetime is the longest exp - iat. 0: any.
	MaxLifetime time.Duration

	// MaxAge > 0 requires an iat that is no older, and exp may then be absent:
	// for introspection responses and logout tokens.
	MaxAge time.Duration

	// Refresh is how long fetched keys are good; the zero value is sensible.
	Refresh Refresh

	InsecureAnyAudience bool // accept tokens meant for any service
	InsecureHTTP        bool // fetch keys without TLS: whoever is on the way can sign
}

// Refresh is how long fetched keys are good. A zero field is its default, which
// gives way to the other fields where these leave it no room.
type Refresh struct {
	// MinAge and MaxAge bound the lifetime that Cache-Control gives a set, 15 min
	// if it does not say. 0: 1 min and 24 h.
	MinAge, MaxAge time.Duration

	// Ahead is the part of the lifetime that is left when the set is renewed in
	// the background, below 1. 0: 0.2.
	Ahead float64

	// MaxStale is the age at which keys that cannot be renewed are given up.
	// 0: 24 h.
	MaxStale time.Duration

	// Cooldown is the least time between fetches for unknown keys, after a first
	// two, and how long a key that was not found is taken for unknown. 0: 10 s.
	Cooldown time.Duration
}

// complete returns a copy of c with all defaults, or what is wrong with it.
func (c Config) complete() (Config, error) {
	switch {
	case len(c.Issuers) == 0:
		return c, errors.New("jwks: Config.Issuers: empty")
	case c.Leeway < 0:
		return c, errors.New("jwks: Config.Leeway: negative")
	case c.MaxTokenBytes < 0:
		return c, errors.New("jwks: Config.MaxTokenBytes: negative")
	case !isCookieName(c.Cookie):
		return c, errors.New("jwks: Config.Cookie: not a cookie name")
	case strings.ContainsFunc(c.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }):
		return c, errors.New(`jwks: Config.Realm: not printable ASCII without " and \`)
	}
	orElse(&c.Leeway, 60*time.Second)
	orElse(&c.MaxTokenBytes, 16<<10)
	orElse(&c.CacheSize, 10_000)
	if c.Client == nil {
		c.Client = newClient()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Issuers = slices.Clone(c.Issuers)
	seen := map[string]bool{}
	for n := range c.Issuers {
		i := &c.Issuers[n]
		if err := i.complete(); err != nil {
			return c, fmt.Errorf("jwks: Config.Issuers[%d]%w", n, err)
		}
		if seen[i.URL] {
			return c, fmt.Errorf("jwks: Config.Issuers[%d].URL: listed before", n)
		}
		seen[i.URL] = true
	}
	return c, nil
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func isCookieName(s string) bool {
	c, err := http.ParseCookie(s + "=x")
	return s == "" || (err == nil && len(c) == 1 && c[0].Name == s)
}

func (i *Issuer) complete() error {
	if i.URL == "" {
		return errors.New(".URL: empty")
	}
	if err := i.completeSource(); err != nil {
		return err
	}
	switch {
	case len(i.Audience) == 0 && !i.InsecureAnyAudience:
		return errors.New(".Audience: empty (InsecureAnyAudience accepts tokens for anyone)")
	case slices.Contains(i.Audience, ""):
		return errors.New(".Audience: holds an empty string")
	case i.MaxLifetime < 0:
		return errors.New(".MaxLifetime: negative")
	case i.MaxAge < 0:
		return errors.New(".MaxAge: negative")
	}
	for n, name := range i.Algorithms {
		if algorithmNamed(name) == nil {
			return fmt.Errorf(".Algorithms[%d]: not an asymmetric algorithm of RFC 7518 or EdDSA", n)
		}
	}
	i.Audience, i.Scopes = slices.Clone(i.Audience), slices.Clone(i.Scopes)
	i.Types, i.Algorithms = slices.Clone(i.Types), slices.Clone(i.Algorithms)
	if len(i.Types) == 0 {
		i.Types = []string{"at+jwt", "application/at+jwt"}
	}
	if len(i.Algorithms) == 0 {
		for _, a := range algorithms {
			i.Algorithms = append(i.Algorithms, a.name)
		}
	}
	return i.Refresh.complete()
}

// completeSource checks where the keys come from.
func (i *Issuer) completeSource() error {
	switch {
	case i.Keys != nil && i.JWKSURL != "":
		return errors.New(".Keys: set together with JWKSURL")
	case i.Keys != nil:
		return nil
	case i.JWKSURL != "":
		if err := checkURL(i.JWKSURL, i.InsecureHTTP); err != nil {
			return fmt.Errorf(".JWKSURL: %w", err)
		}
		return nil
	}
	if err := checkURL(i.URL, i.InsecureHTTP); err != nil {
		return fmt.Errorf(".URL: discovery needs one: %w", err)
	}
	if u, err := url.Parse(i.URL); err != nil || u.RawQuery != "" || u.ForceQuery { // RFC 8414 section 2
		return errors.New(".URL: discovery needs one without a query")
	}
	return nil
}

// complete fills the zero fields of r with defaults between its other fields.
func (r *Refresh) complete() error {
	if min(r.MinAge, r.MaxAge, r.MaxStale, r.Cooldown) < 0 {
		return errors.New(".Refresh: a negative duration")
	}
	if r.Ahead < 0 || r.Ahead >= 1 || r.Ahead != r.Ahead {
		return errors.New(".Refresh.Ahead: not from 0 to below 1")
	}
	orElse(&r.MaxStale, max(24*time.Hour, r.MaxAge, r.MinAge))
	orElse(&r.MaxAge, min(max(24*time.Hour, r.MinAge), r.MaxStale))
	orElse(&r.MinAge, min(time.Minute, r.MaxAge))
	orElse(&r.Ahead, 0.2)
	orElse(&r.Cooldown, 10*time.Second)
	if r.MinAge > r.MaxAge || r.MaxAge > r.MaxStale {
		return errors.New(".Refresh: not MinAge <= MaxAge <= MaxStale")
	}
	return nil
}

// typeError tells an operator whose issuer sends another typ what to set.
func typeError(types []string) error {
	return refuse(ErrType, fmt.Sprintf(`typ is none of %q; an issuer that sends "JWT" or no typ needs "JWT" or "" in Issuer.Types`, types))
}

package jwks_test

import (
	"math"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// Each row breaks a good Config in one place, which the error must name.
func TestNewNamesTheField(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	issuer := func(f func(*jwks.Issuer)) func(*jwks.Config) { return func(c *jwks.Config) { f(&c.Issuers[1]) } }
	for want, change := range map[string]func(*jwks.Config){
		"jwks: Config.Issuers: empty":                                      func(c *jwks.Config) { c.Issuers = nil },
		"jwks: Config.Leeway: ":                                            func(c *jwks.Config) { c.Leeway = -1 },
		"jwks: Config.MaxTokenBytes: ":                                     func(c *jwks.Config) { c.MaxTokenBytes = -1 },
		"jwks: Config.Cookie: ":                                            func(c *jwks.Config) { c.Cookie = "a b" },
		"jwks: Config.Realm: ":                                             func(c *jwks.Config) { c.Realm = `a"b` },
		"jwks: Config.Resource: not https":                                 func(c *jwks.Config) { c.Resource = "http://api.example" },
		"jwks: Config.Resource: not an absolute URL":                       func(c *jwks.Config) { c.Resource = "https://api.example/#x" },
		"jwks: Config.Resource: holds a character":                         func(c *jwks.Config) { c.Resource = `https://api.example/"` },
		"jwks: Config.Issuers[1].URL: empty":                               issuer(func(i *jwks.Issuer) { i.URL = "" }),
		"jwks: Config.Issuers[1].URL: listed before":                       issuer(func(i *jwks.Issuer) { i.URL = iss.URL }),
		"jwks: Config.Issuers[1].URL: discovery needs one":                 issuer(func(i *jwks.Issuer) { i.URL, i.JWKSURL = "issuer", "" }),
		"jwks: Config.Issuers[1].URL: discovery needs one without a query": issuer(func(i *jwks.Issuer) { i.URL, i.JWKSURL = "https://a.test/?q", "" }),
		"jwks: Config.Issuers[1].Audience: empty":                          issuer(func(i *jwks.Issuer) { i.Audience = nil }),
		"jwks: Config.Issuers[1].Audience: holds":                          issuer(func(i *jwks.Issuer) { i.Audience = []string{""} }),
		"jwks: Config.Issuers[1].JWKSURL: not https":                       issuer(func(i *jwks.Issuer) { i.JWKSURL = "http://a.test/jwks" }),
		"jwks: Config.Issuers[1].JWKSURL: not an absolute URL":             issuer(func(i *jwks.Issuer) { i.JWKSURL = "https://u:p@a.test/jwks" }),
		"jwks: Config.Issuers[1].Keys: set together with JWKSURL":          issuer(func(i *jwks.Issuer) { i.Keys = []byte(`{"keys":[]}`) }),
		"jwks: Config.Issuers[1].Keys: not a JWK set":                      issuer(func(i *jwks.Issuer) { i.JWKSURL, i.Keys = "", []byte(`[]`) }),
		"jwks: Config.Issuers[1].Keys: no usable key":                      issuer(func(i *jwks.Issuer) { i.JWKSURL, i.Keys = "", []byte(`{"keys":[]}`) }),
		"jwks: Config.Issuers[1].Algorithms[1]: ":                          issuer(func(i *jwks.Issuer) { i.Algorithms = []string{"ES256", "HS256"} }),
		"jwks: Config.Issuers[1].Algorithms[0]: ":                          issuer(func(i *jwks.Issuer) { i.Algorithms = []string{"none"} }),
		"jwks: Config.Issuers[1].MaxLifetime: ":                            issuer(func(i *jwks.Issuer) { i.MaxLifetime = -1 }),
		"jwks: Config.Issuers[1].MaxAge: ":                                 issuer(func(i *jwks.Issuer) { i.MaxAge = -1 }),
		"jwks: Config.Issuers[1].Refresh: a negative":                      issuer(func(i *jwks.Issuer) { i.Refresh.Cooldown = -1 }),
		"jwks: Config.Issuers[1].Refresh.Ahead: ":                          issuer(func(i *jwks.Issuer) { i.Refresh.Ahead = math.NaN() }),
		"jwks: Config.Issuers[1].Refresh: not MinAge":                      issuer(func(i *jwks.Issuer) { i.Refresh = jwks.Refresh{MinAge: 2, MaxAge: 1} }),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			other := iss.Config(api)
			other.URL = "https://other.test"
			cfg := jwks.Config{Issuers: []jwks.Issuer{iss.Config(api), other}}
			change(&cfg)
			v, err := jwks.New(cfg)
			require.ErrorContains(t, err, want)
			require.Nil(t, v)
		})
	}
}

func TestNewAtTheEdges(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	for _, row := range []struct {
		rule, want string // empty: accepted
		change     func(*jwks.Config)
	}{
		{"the first and the last printable character", "", func(c *jwks.Config) { c.Realm = " ~" }},
		{"a control character", "Config.Realm", func(c *jwks.Config) { c.Realm = "a\x1f" }},
		{"DEL", "Config.Realm", func(c *jwks.Config) { c.Realm = "a\x7f" }},
		{"a backslash", "Config.Realm", func(c *jwks.Config) { c.Realm = `a\b` }},
		{"a cookie with a value", "Config.Cookie", func(c *jwks.Config) { c.Cookie = "a=b" }},
		{"two cookies", "Config.Cookie", func(c *jwks.Config) { c.Cookie = "a=b; c" }},
		{"a resource on this machine", "", func(c *jwks.Config) { c.Resource = "http://localhost:8080" }},
		{"a resource at an address without TLS", "Config.Resource", func(c *jwks.Config) { c.Resource = "http://192.0.2.1" }},
		{"a resource that is no URL", "Config.Resource", func(c *jwks.Config) { c.Resource = "https://api.example/%zz" }},
		{"discovery with an empty query", "Config.Issuers[0].URL", func(c *jwks.Config) { c.Issuers[0].URL, c.Issuers[0].JWKSURL = "https://a.test/?", "" }},
		{"never ahead", "Config.Issuers[0].Refresh.Ahead", func(c *jwks.Config) { c.Issuers[0].Refresh.Ahead = -0.1 }},
		{"always ahead", "Config.Issuers[0].Refresh.Ahead", func(c *jwks.Config) { c.Issuers[0].Refresh.Ahead = 1 }},
		{"stale before it is old", "Config.Issuers[0].Refresh: not", func(c *jwks.Config) { c.Issuers[0].Refresh = jwks.Refresh{MaxAge: 2, MaxStale: 1} }},
	} {
		cfg := jwks.Config{Issuers: []jwks.Issuer{iss.Config(api)}}
		row.change(&cfg)
		_, err := jwks.New(cfg)
		if row.want == "" {
			require.NoError(t, err, row.rule)
			continue
		}
		require.ErrorContains(t, err, "jwks: "+row.want, row.rule)
	}
}

func TestNewFillsRefresh(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	for _, r := range []jwks.Refresh{{}, {MaxAge: time.Second}, {MinAge: 48 * time.Hour}, {MaxStale: time.Second}, {MaxAge: 72 * time.Hour}} {
		newVerifier(t, iss, func(c *jwks.Config) { c.Issuers[0].Refresh = r })
	}
}

// What the caller does with its Config afterwards changes nothing.
func TestNewCopiesItsConfig(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	cfg := jwks.Config{Issuers: []jwks.Issuer{iss.Config(api)}, Client: iss.Client()}
	cfg.Issuers[0].Types = []string{"at+jwt"}
	cfg.Issuers[0].Algorithms = []string{"ES256"}
	v, err := jwks.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	cfg.Issuers[0].Audience[0], cfg.Issuers[0].Types[0], cfg.Issuers[0].Algorithms[0] = "x", "x", "x"
	cfg.Issuers[0] = jwks.Issuer{}
	require.Nil(t, cfg.Client.CheckRedirect)
	require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
}

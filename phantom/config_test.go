package phantom_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
)

func TestNewNamesTheField(t *testing.T) {
	t.Parallel()
	good := phantom.Config{Endpoint: "https://as.example/introspect", Auth: clientauth.None("gateway")}
	for _, c := range []struct {
		rule   string
		change func(*phantom.Config)
		want   string
	}{
		{"the zero Config", func(c *phantom.Config) { *c = phantom.Config{} }, "Config.Endpoint: "},
		{"no endpoint", func(c *phantom.Config) { c.Endpoint = "" }, "Config.Endpoint: "},
		{"http endpoint", func(c *phantom.Config) { c.Endpoint = "http://127.0.0.1/i" }, "Config.Endpoint: is http"},
		{"relative endpoint", func(c *phantom.Config) { c.Endpoint = "/introspect" }, "Config.Endpoint: "},
		{"endpoint of another scheme", func(c *phantom.Config) { c.Endpoint = "ftp://as.example/" }, "Config.Endpoint: "},
		{"endpoint with a password", func(c *phantom.Config) { c.Endpoint = "https://u:hunter2@as.example/" }, "Config.Endpoint: "},
		{"endpoint with a fragment", func(c *phantom.Config) { c.Endpoint += "#x" }, "Config.Endpoint: "},
		{"no Auth", func(c *phantom.Config) { c.Auth = nil }, "Config.Auth: "},
		{"unknown format", func(c *phantom.Config) { c.Accept = []phantom.Format{phantom.JWT, "text/html"} }, "Config.Accept[1]: "},
		{"format twice", func(c *phantom.Config) { c.Accept = []phantom.Format{phantom.JWT, phantom.JWT} }, "Config.Accept[1]: "},
		{"Introspection without VerifyResponse", func(c *phantom.Config) { c.Accept = []phantom.Format{phantom.Introspection} }, "Config.VerifyResponse: "},
		{"PassJWT without Verify", func(c *phantom.Config) { c.PassJWT = true }, "Config.Verify: "},
		{"Cache without CacheKey", func(c *phantom.Config) { c.Cache = newMemoryCache() }, "Config.CacheKey: "},
		{"short CacheKey", func(c *phantom.Config) { c.CacheKey = make([]byte, 31) }, "Config.CacheKey: "},
		{"long CacheKey", func(c *phantom.Config) { c.CacheKey = make([]byte, 33) }, "Config.CacheKey: "},
		{"empty scope", func(c *phantom.Config) { c.Scopes = []string{"a", ""} }, "Config.Scopes[1]: "},
		{"two scopes in one", func(c *phantom.Config) { c.Scopes = []string{"a b"} }, "Config.Scopes[0]: "},
		{"a quote in a scope", func(c *phantom.Config) { c.Scopes = []string{`a"`} }, "Config.Scopes[0]: "},
		{"empty audience", func(c *phantom.Config) { c.Audience = []string{""} }, "Config.Audience[0]: "},
		{"a quote in the realm", func(c *phantom.Config) { c.Realm = `a", error="x` }, "Config.Realm: "},
		{"a line break in the realm", func(c *phantom.Config) { c.Realm = "a\r\nb" }, "Config.Realm: "},
		{"bad cookie name", func(c *phantom.Config) { c.Cookie = "a b" }, "Config.Cookie: "},
		{"negative size", func(c *phantom.Config) { c.CacheSize = -1 }, "Config.CacheSize: "},
		{"negative limit", func(c *phantom.Config) { c.MaxInFlight = -1 }, "Config.MaxInFlight: "},
		{"negative MaxTTL", func(c *phantom.Config) { c.MaxTTL = -1 }, "Config.MaxTTL: "},
		{"negative MinTTL", func(c *phantom.Config) { c.MinTTL = -1 }, "Config.MinTTL: "},
		{"negative LocalTTL", func(c *phantom.Config) { c.LocalTTL = -1 }, "Config.LocalTTL: "},
		{"negative NegativeTTL", func(c *phantom.Config) { c.NegativeTTL = -1 }, "Config.NegativeTTL: "},
		{"negative Timeout", func(c *phantom.Config) { c.Timeout = -1 }, "Config.Timeout: "},
		{"negative StaleIfError", func(c *phantom.Config) { c.StaleIfError = -1 }, "Config.StaleIfError: "},
		{"MinTTL above MaxTTL", func(c *phantom.Config) { c.MinTTL = time.Hour }, "Config.MinTTL: "},
	} {
		config := good
		c.change(&config)
		ex, err := phantom.New(config)
		require.ErrorContains(t, err, "phantom: "+c.want, c.rule)
		require.NotContains(t, err.Error(), "hunter2", c.rule)
		require.Nil(t, ex, c.rule)
	}
}

func TestNewAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		change func(*phantom.Config)
	}{
		{"the smallest Config", func(*phantom.Config) {}},
		{"http, said so", func(c *phantom.Config) { c.Endpoint, c.InsecureHTTP = "http://127.0.0.1/i", true }},
		{"a query in the endpoint", func(c *phantom.Config) { c.Endpoint += "?realm=a" }},
		{"a CacheKey without Cache", func(c *phantom.Config) { c.CacheKey = make([]byte, 32) }},
	} {
		config := phantom.Config{Endpoint: "https://as.example/introspect", Auth: clientauth.None("gateway")}
		c.change(&config)
		ex, err := phantom.New(config)
		require.NoError(t, err, c.rule)
		require.NoError(t, ex.Close(), c.rule)
		require.NoError(t, ex.Close(), "Close again")
	}
}

func TestTheCallersConfigIsNeitherAlteredNorKept(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"scope": "read", "aud": "api"}))
	c := baseConfig(srv)
	c.Accept = []phantom.Format{phantom.JSON}
	c.Scopes, c.Audience = []string{"read"}, []string{"api"}
	c.Client = &http.Client{Transport: srv.Client().Transport}
	c.CacheKey = make([]byte, 32)
	ex, err := phantom.New(c)
	require.NoError(t, err)
	defer ex.Close()
	require.Nil(t, c.Client.CheckRedirect, "the client is copied before it is changed")
	require.Len(t, c.CacheKey, 32)

	c.Accept[0], c.Scopes[0], c.Audience[0] = phantom.JWT, "write", "other"
	_, err = ex.Exchange(t.Context(), opaque)
	require.NoError(t, err)
	require.Equal(t, "application/json", srv.Last().Header.Get("Accept"))
}

func TestAfterCloseNothingIsExchanged(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	ex := newExchanger(t, srv)
	_, err := exchange(t, ex)
	require.NoError(t, err)
	require.NoError(t, ex.Close())
	_, err = exchange(t, ex)
	require.ErrorIs(t, err, phantom.ErrUnavailable)
	require.Equal(t, 1, srv.Total())
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	release := srv.Hold()
	defer release()
	ex := newExchanger(t, srv)
	result := make(chan error, 1)
	go func() {
		_, err := ex.Exchange(context.Background(), opaque)
		result <- err
	}()
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	require.NoError(t, ex.Close())
	require.ErrorIs(t, <-result, phantom.ErrUnavailable)
}

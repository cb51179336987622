package phantom

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
)

const api = "https://api.example.test"

// newOIDC is a real authorization server with opaque access tokens and a client
// "gateway" that gets RFC 9701 answers if it asks for them.
func newOIDC(t *testing.T) *authserver.Server {
	t.Helper()
	return testserver.OIDC(t, authserver.Config{
		Clients: []authserver.Client{{
			"client_id": "app", "client_secret": "a secret of the app", "redirect_uris": []string{},
			"grant_types": []string{"client_credentials"}, "response_types": []string{},
		}, {
			"client_id": "gateway", "client_secret": "a secret of the gateway", "redirect_uris": []string{},
			"grant_types": []string{}, "response_types": []string{}, "introspection_signed_response_alg": "RS256",
		}},
		Scopes:          []string{"read", "write"},
		Resources:       map[string]authserver.Resource{api: {Scope: "read write", Format: "opaque"}},
		DefaultResource: api, AccessTokenTTL: 3600,
	})
}

func issue(t *testing.T, server *authserver.Server) string {
	t.Helper()
	app := clientcredentials.Config{
		ClientID: "app", ClientSecret: "a secret of the app", TokenURL: server.Issuer + "/token",
		Scopes: []string{"read"}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	tok, err := app.Token(t.Context())
	require.NoError(t, err)
	require.NotContains(t, tok.AccessToken, ".", "opaque")
	return tok.AccessToken
}

func revoke(t *testing.T, server *authserver.Server, token string) {
	t.Helper()
	form := url.Values{"token": {token}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Issuer+"/token/revocation", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("app", url.QueryEscape("a secret of the app"))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func introspections(t *testing.T, server *authserver.Server) int {
	t.Helper()
	counts, err := server.Counts()
	require.NoError(t, err)
	return counts["POST /token/introspection"]
}

// formats are those the real server gives, by the Config that asks for them.
func formats(t *testing.T, server *authserver.Server) map[string]func(*phantom.Config) {
	t.Helper()
	verifier, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{{
		URL: server.Issuer, JWKSURL: server.Issuer + "/jwks", InsecureHTTP: true,
		Audience: []string{"gateway"}, Types: []string{"token-introspection+jwt"}, MaxAge: time.Minute,
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, verifier.Close()) })
	return map[string]func(*phantom.Config){
		"RFC 7662": func(c *phantom.Config) {},
		"RFC 9701": func(c *phantom.Config) {
			c.Accept, c.VerifyResponse = []phantom.Format{phantom.Introspection}, verifier.Payload
		},
	}
}

func newGateway(t *testing.T, server *authserver.Server, change ...func(*phantom.Config)) *phantom.Exchanger {
	t.Helper()
	c := phantom.Config{
		Endpoint: server.Issuer + "/token/introspection", InsecureHTTP: true,
		Auth:   clientauth.Basic("gateway", "a secret of the gateway"),
		Scopes: []string{"read"}, Audience: []string{api},
	}
	for _, f := range change {
		f(&c)
	}
	ex, err := phantom.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ex.Close()) })
	return ex
}

func TestARealServersAnswers(t *testing.T) {
	t.Parallel()
	server := newOIDC(t)
	token := issue(t, server)
	for name, format := range formats(t, server) {
		t.Run(name, func(t *testing.T) {
			ex := newGateway(t, server, format)
			tok, err := ex.Exchange(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, "app", tok.ClientID())
			require.True(t, tok.HasScope("read"))
			require.False(t, tok.HasScope("write"))
			require.WithinDuration(t, time.Now().Add(time.Hour), tok.Expires(), time.Minute)
			require.Empty(t, tok.JWT(), "an RFC 9701 answer is not forwarded")
			_, err = ex.Exchange(t.Context(), "unknown")
			require.ErrorIs(t, err, phantom.ErrInactive)
			for want, policy := range map[error]func(*phantom.Config){
				phantom.ErrScope:    func(c *phantom.Config) { c.Scopes = []string{"write"} },
				phantom.ErrAudience: func(c *phantom.Config) { c.Audience = []string{"https://other.example.test"} },
				phantom.ErrResponse: func(c *phantom.Config) { c.Auth = clientauth.Basic("gateway", "wrong") },
			} {
				_, err := newGateway(t, server, format, policy).Exchange(t.Context(), token)
				require.ErrorIs(t, err, want)
			}
		})
	}
}

// The server stamps no-store on every answer. Without MinTTL a revocation counts at
// once; with it, when MinTTL is over.
func TestRevocationAtARealServer(t *testing.T) {
	t.Parallel()
	server := newOIDC(t)
	for name, format := range formats(t, server) {
		t.Run(name, func(t *testing.T) {
			token := issue(t, server)
			var ahead time.Duration
			strict := newGateway(t, server, format)
			lenient := newGateway(t, server, format, func(c *phantom.Config) {
				c.MinTTL, c.Now = 30*time.Second, func() time.Time { return time.Now().Add(ahead) }
			})
			before := introspections(t, server)
			for _, ex := range []*phantom.Exchanger{strict, strict, lenient, lenient} {
				_, err := ex.Exchange(t.Context(), token)
				require.NoError(t, err)
			}
			require.Equal(t, before+3, introspections(t, server), "two of one, one of the other")
			revoke(t, server, token)
			_, err := strict.Exchange(t.Context(), token)
			require.ErrorIs(t, err, phantom.ErrInactive, "without MinTTL at once")
			_, err = lenient.Exchange(t.Context(), token)
			require.NoError(t, err, "within MinTTL")
			ahead = 31 * time.Second
			_, err = lenient.Exchange(context.Background(), token)
			require.ErrorIs(t, err, phantom.ErrInactive, "after MinTTL")
		})
	}
}

// It does not speak application/jwt: asked for nothing else, it gives an answer
// that cannot be used, and no token passes.
func TestARealServerWithoutApplicationJWT(t *testing.T) {
	t.Parallel()
	server := newOIDC(t)
	_, err := newGateway(t, server, func(c *phantom.Config) { c.Accept = []phantom.Format{phantom.JWT} }).
		Exchange(t.Context(), issue(t, server))
	require.ErrorIs(t, err, phantom.ErrResponse)
}

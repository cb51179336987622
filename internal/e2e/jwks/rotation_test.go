// Package jwks runs jwks.Verifier against a real authorization server, the npm
// package oidc-provider, that rotates its keys while requests run.
package jwks

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// apis are resource servers, named after the algorithm of their access tokens.
var apis = map[string]authserver.Resource{
	"https://rs.example.test": {Scope: "read", Alg: "RS256"},
	"https://es.example.test": {Scope: "read", Alg: "ES256"},
	"https://ed.example.test": {Scope: "read", Alg: "EdDSA"},
}

// lab is a server, who trusts it, and an API that accepts its tokens.
type lab struct {
	*authserver.Server
	client   *http.Client
	verifier *jwks.Verifier
	api      *httptest.Server
}

func newLab(t *testing.T) *lab {
	t.Helper()
	cert, err := authserver.SelfSigned("127.0.0.1")
	require.NoError(t, err)
	l := &lab{client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: cert.Pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}}
	l.Server = testserver.OIDC(t, authserver.Config{
		CertPEM: cert.CertPEM, KeyPEM: cert.KeyPEM, Scopes: []string{"read"}, Resources: apis,
		Clients: []authserver.Client{{
			"client_id": "app", "client_secret": "a secret of the app", "redirect_uris": []string{},
			"response_types": []string{}, "grant_types": []string{"client_credentials"}, "scope": "read",
		}},
	})
	issuer := jwks.Issuer{URL: l.Issuer, Refresh: jwks.Refresh{Cooldown: time.Millisecond}}
	for api := range apis {
		issuer.Audience = append(issuer.Audience, api)
	}
	l.verifier, err = jwks.New(jwks.Config{Issuers: []jwks.Issuer{issuer}, Client: l.client})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.verifier.Close()) })
	l.api = httptest.NewServer(l.verifier.Handler(l.verifier.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := jwks.FromContext(r.Context())
		_, _ = fmt.Fprint(w, c.ClientID())
	}))))
	t.Cleanup(l.api.Close)
	return l
}

// token gets a new access token for api.
func (l *lab) token(ctx context.Context, api string) (string, error) {
	cfg := clientcredentials.Config{
		ClientID: "app", ClientSecret: "a secret of the app", TokenURL: l.Issuer + "/token", Scopes: []string{"read"},
		EndpointParams: map[string][]string{"resource": {api}}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	token, err := cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, l.client))
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// call calls the API and returns the status of its answer.
func (l *lab) call(ctx context.Context, token string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", l.api.URL, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := l.api.Client().Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

func TestTokensOfARealServer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	require.NoError(t, l.verifier.Ready(t.Context()))
	for api, resource := range apis {
		token, err := l.token(t.Context(), api)
		require.NoError(t, err)
		for range 2 {
			c, err := l.verifier.Verify(t.Context(), token)
			require.NoError(t, err, resource.Alg)
			require.Equal(t, l.Issuer, c.Issuer())
			require.Equal(t, "app", c.ClientID())
			require.True(t, c.HasAudience(api))
			require.Equal(t, []string{"read"}, c.Scopes())
		}
		status, err := l.call(t.Context(), token[:len(token)-4]+"AAAA")
		require.NoError(t, err)
		require.Equal(t, 401, status)
	}
	counts, err := l.Counts()
	require.NoError(t, err)
	require.Equal(t, 1, counts["GET /jwks"])
}

// Nobody notices a rotation: workers get tokens and use them all the while,
// and no request fails.
func TestRotationWhileRequestsRun(t *testing.T) {
	t.Parallel()
	const rotations, callsBetween = 4, 20
	l := newLab(t)
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	var done atomic.Int64
	progress, failures := make(chan struct{}), make(chan error, 8)
	for api := range apis {
		for range 2 {
			workers.Go(func() {
				for ctx.Err() == nil {
					if err := l.once(ctx, api); err != nil && ctx.Err() == nil {
						failures <- err
						return
					}
					done.Add(1)
					select {
					case progress <- struct{}{}:
					case <-ctx.Done():
					}
				}
			})
		}
	}
	old, err := l.token(ctx, "https://rs.example.test")
	require.NoError(t, err)
	for n := range rotations {
		for range callsBetween {
			select {
			case <-progress:
			case err := <-failures:
				stop()
				workers.Wait()
				require.NoError(t, err, "after %d rotations and %d calls", n, done.Load())
			}
		}
		_, err := l.Rotate(9) // the keys before stay published for their last tokens
		require.NoError(t, err)
	}
	for range callsBetween {
		select {
		case <-progress:
		case err := <-failures:
			require.NoError(t, err)
		}
	}
	stop()
	workers.Wait()
	counts, err := l.Counts()
	require.NoError(t, err)
	require.LessOrEqual(t, counts["GET /jwks"], 1+2*rotations)
	require.GreaterOrEqual(t, counts["GET /jwks"], 1+rotations)

	status, err := l.call(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	_, err = l.Rotate(1)
	require.NoError(t, err)
	require.NoError(t, l.once(t.Context(), "https://rs.example.test")) // brings the new set
	status, err = l.call(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, 401, status, "its key is gone, and the cached token with it")
	t.Logf("%d calls, %d fetches of the keys", done.Load(), counts["GET /jwks"])
}

func (l *lab) once(ctx context.Context, api string) error {
	token, err := l.token(ctx, api)
	if err != nil {
		return err
	}
	for range 2 {
		status, err := l.call(ctx, token)
		if err != nil {
			return err
		}
		if status != 200 {
			return fmt.Errorf("a token for %s was answered %d", api, status)
		}
	}
	return nil
}

// A server that is gone does not take its known keys with it.
func TestServerGone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token, err := l.token(t.Context(), "https://ed.example.test")
	require.NoError(t, err)
	require.NoError(t, l.verifier.Check(t.Context(), token))
	second, err := l.token(t.Context(), "https://ed.example.test")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.verifier.Check(t.Context(), token))
	require.NoError(t, l.verifier.Check(t.Context(), second))
	fresh, err := jwks.New(jwks.Config{Client: l.client, Issuers: []jwks.Issuer{{URL: l.Issuer, Audience: []string{"x"}}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, fresh.Close()) })
	status := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	fresh.Handler(http.NotFoundHandler()).ServeHTTP(status, r)
	require.Equal(t, 503, status.Code)
	require.Equal(t, "1", status.Header().Get("Retry-After"))
}

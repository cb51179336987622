package jwkstest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/go-jose/go-jose/v4"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	require.NoError(t, err)
	res, err := c.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// The fake must be right before it is wrong on purpose: go-jose is the judge.
func TestSignaturesAreGood(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			iss := jwkstest.NewIssuer(t, alg)
			_, body := get(t, iss.Client(), iss.URL+"/any/path")
			var set jose.JSONWebKeySet
			require.NoError(t, json.Unmarshal([]byte(body), &set))
			token, err := jose.ParseSignedCompact(iss.Sign(iss.Claims("a")), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			require.NoError(t, err)
			payload, err := token.Verify(&set)
			require.NoError(t, err)
			require.Contains(t, string(payload), `"iss":"https://issuer.test"`)
		})
	}
}

func TestSignWithChangesTheHeader(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	token := iss.SignWith(iss.Keys()[0], map[string]any{"alg": "none", "kid": nil}, nil)
	require.Regexp(t, `^eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0\.`, token) // {"alg":"none","typ":"at+jwt"}
}

func TestModes(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	first := iss.Keys()[0]
	require.NotEqual(t, first.KID, iss.Rotate("EdDSA").KID)
	_, body := get(t, iss.Client(), iss.URL+"/jwks")
	require.NotContains(t, body, first.KID)
	require.Contains(t, body, "Ed25519")
	iss.Fail(503)
	status, _ := get(t, iss.Client(), iss.URL+"/jwks")
	require.Equal(t, 503, status)
	iss.Fail(0)
	iss.PublishRaw([]byte("x"))
	_, body = get(t, iss.Client(), iss.URL+"/jwks")
	require.Equal(t, "x", body)
	iss.Publish(first)
	_, body = get(t, iss.Client(), iss.URL+"/jwks")
	require.Contains(t, body, first.KID)
	require.Equal(t, 4, iss.Fetches())
	_, body = get(t, iss.Client(), iss.URL+"/.well-known/openid-configuration")
	require.JSONEq(t, `{"issuer":"https://issuer.test","jwks_uri":"https://issuer.test/jwks"}`, body)
	require.Equal(t, 4, iss.Fetches(), "metadata does not count")
}

func TestHoldReleasesAndHonoursContexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		release := iss.Hold()
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		for _, c := range []context.Context{ctx, t.Context()} {
			go func() {
				req, _ := http.NewRequestWithContext(c, "GET", iss.URL, nil)
				res, err := iss.Client().Do(req)
				if err == nil {
					err = res.Body.Close()
				}
				results <- err
			}()
		}
		synctest.Wait()
		require.Equal(t, 2, iss.Fetches())
		cancel()
		require.ErrorIs(t, <-results, context.Canceled)
		release()
		require.NoError(t, <-results)
		status, _ := get(t, iss.Client(), iss.URL)
		require.Equal(t, 200, status)
	})
}

func TestOnARealServer(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	srv := httptest.NewServer(iss)
	t.Cleanup(srv.Close)
	iss.URL = srv.URL
	status, _ := get(t, srv.Client(), iss.Config().JWKSURL)
	require.Equal(t, 200, status)
}

package jwks_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

const api = "https://api.example"

// with returns a copy of claims with changes; a nil value removes a claim.
func with(claims map[string]any, changes map[string]any) map[string]any {
	out := maps.Clone(claims)
	for k, v := range changes {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

type object = map[string]any

// newVerifier makes a Verifier for iss, whose keys it fetches.
func newVerifier(t testing.TB, iss *jwkstest.Issuer, change ...func(*jwks.Config)) *jwks.Verifier {
	t.Helper()
	cfg := jwks.Config{Issuers: []jwks.Issuer{iss.Config(api)}, Client: iss.Client()}
	for _, f := range change {
		f(&cfg)
	}
	v, err := jwks.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}

// static makes a Verifier for iss with the given JWKs and nothing to fetch.
func static(t testing.TB, iss *jwkstest.Issuer, keys ...json.RawMessage) (*jwks.Verifier, error) {
	t.Helper()
	return jwks.New(jwks.Config{Issuers: []jwks.Issuer{staticIssuer(t, iss, keys...)}})
}

func staticIssuer(t testing.TB, iss *jwkstest.Issuer, keys ...json.RawMessage) jwks.Issuer {
	return jwks.Issuer{URL: iss.URL, Audience: []string{api}, Keys: set(t, keys...)}
}

func set(t testing.TB, keys ...json.RawMessage) []byte {
	t.Helper()
	if keys == nil {
		keys = []json.RawMessage{}
	}
	raw, err := json.Marshal(object{"keys": keys})
	require.NoError(t, err)
	return raw
}

func verify(t testing.TB, v *jwks.Verifier, token string) error {
	t.Helper()
	c, err := v.Verify(context.Background(), token)
	if err != nil {
		require.Zero(t, c, "claims come with an error")
		if len(token) > 40 {
			require.NotContains(t, err.Error(), token[:20])
			require.NotContains(t, err.Error(), token[len(token)-20:])
		}
	}
	return err
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

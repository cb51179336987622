//go:build !race

package jwks_test

import (
	"context"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// Not with the race detector: it makes sync.Pool forget.
func TestAllocations(t *testing.T) {
	for alg, most := range map[string]float64{"RS256": 30, "ES256": 40, "EdDSA": 30} {
		iss := jwkstest.NewIssuer(t, alg)
		token := iss.Sign(iss.Claims(api))
		first := newVerifier(t, iss, func(c *jwks.Config) { c.CacheSize = -1 })
		again := newVerifier(t, iss)
		check := func(v *jwks.Verifier) func() {
			require.NoError(t, verify(t, v, token))
			return func() { _ = v.Check(context.Background(), token) }
		}
		require.LessOrEqual(t, testing.AllocsPerRun(200, check(first)), most, alg)
		require.Zero(t, testing.AllocsPerRun(200, check(again)), alg)
	}
}

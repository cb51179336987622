package jwks_test

import (
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		iss := jwkstest.NewIssuer(b, alg)
		token := iss.Sign(iss.Claims(api))
		for name, size := range map[string]int{"first": -1, "again": 0} {
			b.Run(alg+"/"+name, func(b *testing.B) {
				v := newVerifier(b, iss, func(c *jwks.Config) { c.CacheSize = size })
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := v.Check(b.Context(), token); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkHostile is what it costs to refuse.
func BenchmarkHostile(b *testing.B) {
	iss := jwkstest.NewIssuer(b)
	v := newVerifier(b, iss)
	for name, token := range hostileTokens(iss) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v.Check(b.Context(), token) == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

package vault

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
)

var allEngines = []engine{inMemory, sqlite, postgreSQL, onRedis}

// BenchmarkFresh is what a request pays for a token that is still good: one
// look at the store, so that a revoked grant is noticed, and one opening.
func BenchmarkFresh(b *testing.B) {
	for _, e := range allEngines {
		b.Run(string(e), func(b *testing.B) {
			l := newLab(b, e, vaulttiming.Default())
			l.put(b, "g")
			require.NoError(b, l.vault.Refresh(b.Context(), "g", owner))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.vault.Reveal(b.Context(), "g", owner); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefresh is one refresh end to end: two looks at the row, the lease
// written, the POST to an authorization server on loopback, the new tokens
// sealed and written, durably where the store is.
func BenchmarkRefresh(b *testing.B) {
	for _, e := range allEngines {
		b.Run(string(e), func(b *testing.B) {
			l := newLab(b, e, vaulttiming.Default())
			l.put(b, "g")
			b.ReportAllocs()
			for b.Loop() {
				if err := l.vault.Refresh(b.Context(), "g", owner); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefreshParallel refreshes grants of their own side by side.
func BenchmarkRefreshParallel(b *testing.B) {
	for _, e := range allEngines {
		b.Run(string(e), func(b *testing.B) {
			l := newLab(b, e, vaulttiming.Default())
			const grants = 16
			for n := range grants {
				l.put(b, fmt.Sprint("g-", n))
			}
			var next atomic.Int64
			b.SetParallelism(grants / 2)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				id := fmt.Sprint("g-", next.Add(1)%grants)
				for pb.Next() {
					if err := l.vault.Refresh(b.Context(), id, owner); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

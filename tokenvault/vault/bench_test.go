package vault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// BenchmarkReveal is what a fresh token costs: every request of an application
// asks for one.
func BenchmarkReveal(b *testing.B) {
	v, err := vault.New(vault.Config{Sealer: newKeys(b, 1).ring(b), Providers: []*vault.Provider{provider(nil)}})
	require.NoError(b, err)
	t := &oauth2.Token{AccessToken: strings.Repeat("a", 300), RefreshToken: strings.Repeat("r", 300), Expiry: time.Now().Add(time.Hour)}
	require.NoError(b, v.Put(b.Context(), "id", "alice", "as", t))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Reveal(b.Context(), "id", "alice"); err != nil {
			b.Fatal(err)
		}
	}
}

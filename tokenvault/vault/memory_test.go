package vault_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault/storetest"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) vault.Store { return vault.NewMemoryStore() })
}

func TestMemoryStore_DoesNotGrowWithRowsPastTheirExpires(t *testing.T) {
	t.Parallel()
	s := vault.NewMemoryStore()
	for n := range 10_000 {
		ok, err := s.Swap(t.Context(), vault.Row{ID: strconv.Itoa(n), Expires: time.Now().Add(-time.Second)})
		require.NoError(t, err)
		require.True(t, ok)
	}
	rows, err := s.List(t.Context(), "", "", 10_000)
	require.NoError(t, err)
	require.Less(t, len(rows), 1100)
}

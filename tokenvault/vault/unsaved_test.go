package vault_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// unsaved leaves f with a rotation that the store does not take, though it can
// be read.
func unsaved(f *fixture, life time.Duration) (access string) {
	f.Helper()
	f.connect("g", "alice", -time.Minute)
	f.as.lifetime = life
	f.store.fail(func(op string, _ vault.Row) bool { return op == "save" })
	got, err := f.vault.Reveal(f.Context(), "g", "alice")
	require.NoError(f, err)
	require.Len(f, f.events.of("unsaved"), 1)
	require.EqualValues(f, 1, f.row("g").Generation)
	return got.AccessToken
}

// saved lets the rotation into the store, so that nothing is left running.
func saved(f *fixture) {
	f.Helper()
	f.store.fail(nil)
	require.NoError(f, f.vault.Close(f.Context()))
}

func TestUnsaved_IsServedFromMemoryToItsOwner(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		access := unsaved(f, time.Hour)
		for range 3 {
			got, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.NoError(f, err)
			require.Equal(f, access, got.AccessToken)
		}
		_, err := f.vault.Reveal(f.Context(), "g", "mallory")
		require.Error(f, err)
		require.Equal(f, 1, f.as.refreshes())
		f.store.fail(func(string, vault.Row) bool { return true })
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err, "also when nothing can be read")
		require.Equal(f, access, got.AccessToken)
		_, err = f.vault.Reveal(f.Context(), "g", "mallory")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		saved(f)
		require.EqualValues(f, 2, f.row("g").Generation)
	})
}

func TestUnsaved_IsNotRefreshedBeforeItIsSaved(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		unsaved(f, time.Hour)
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrUnavailable)
		require.Equal(f, 1, f.as.refreshes())
		saved(f)
	})
}

// Behind its callers it is left alone, too.
func TestUnsaved_IsNotRenewedBehind(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		unsaved(f, 20*time.Second)
		time.Sleep(15 * time.Second)
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		time.Sleep(time.Second)
		require.Equal(f, 1, f.as.refreshes())
		saved(f)
	})
}

func TestUnsaved_ARevokedGrantIsNotServedFromMemory(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		unsaved(f, time.Hour)
		row := f.row("g")
		row.State = vault.Revoked
		ok, err := f.store.Store.Swap(f.Context(), row)
		require.NoError(f, err)
		require.True(f, ok)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		f.store.fail(nil)
		_ = f.vault.Close(f.Context())
	})
}

func TestUnsaved_AGrantThatWasPutMeanwhileIsServed(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		unsaved(f, time.Hour)
		f.store.fail(func(_ string, r vault.Row) bool { return r.Generation == 2 && r.Revision == 2 })
		access, refresh := f.as.issue()
		row := f.row("g")
		other := setupOn(f)
		require.NoError(f, other.Put(f.Context(), "g", "alice", "as", token(access, refresh)))
		require.Greater(f, f.row("g").Generation, row.Generation)
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.Equal(f, access, got.AccessToken)
		f.store.fail(nil)
		_ = f.vault.Close(f.Context())
	})
}

// setupOn is another process on the same rows, whose writes do not fail.
func setupOn(f *fixture) *vault.Vault {
	f.Helper()
	c := f.config
	c.Store = f.store.Store
	v, err := vault.New(c)
	require.NoError(f, err)
	f.Cleanup(func() { _ = v.Close(context.Background()) })
	return v
}

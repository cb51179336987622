package redisstore

import (
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// A server that restarts takes its Unix socket away, which is no word on any
// grant or session.
func TestASocketThatIsNotThereIsNoAbsentRow(t *testing.T) {
	t.Parallel()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: filepath.Join(t.TempDir(), "gone"), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	require.ErrorIs(t, c.Ping(t.Context()).Err(), fs.ErrNotExist, "or this proves nothing")
	store, sessions := newStore(t, c), NewSessions(c)
	store.Warn = nil
	store.checked.Store(true)
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"get":         func() error { _, err := store.Get(ctx, "id"); return err },
		"create":      func() error { _, err := store.Swap(ctx, vault.Row{ID: "id", State: vault.Active}); return err },
		"list":        func() error { _, err := store.List(ctx, "", "", 10); return err },
		"get session": func() error { _, err := sessions.Get(ctx, "key"); return err },
		"set session": func() error { return sessions.Set(ctx, "key", nil, time.Minute) },
		"add session": func() error { _, err := sessions.Add(ctx, "key", nil, time.Minute); return err },
	} {
		err := call()
		require.Error(t, err, what)
		require.NotErrorIs(t, err, fs.ErrNotExist, what)
	}
}

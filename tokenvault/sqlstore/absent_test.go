package sqlstore

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// A server that restarts takes its Unix socket away, which is no word on any
// grant or session.
func TestASocketThatIsNotThereIsNoAbsentRow(t *testing.T) {
	t.Parallel()
	db := open(t, "pgx", "host="+t.TempDir()+" user=nobody dbname=none")
	require.ErrorIs(t, db.PingContext(t.Context()), fs.ErrNotExist, "or this proves nothing")
	ctx := t.Context()
	for _, checked := range []bool{false, true} {
		store, sessions := NewStore(db, PostgreSQL), NewSessions(db, PostgreSQL)
		store.checked.Store(checked)
		sessions.checked.Store(checked)
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
}

package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Each kind of store, with grants that a real vault has put there.
func TestResealStore(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) (address string, store vault.Store){
		"SQLite": func(t *testing.T) (string, vault.Store) {
			file := filepath.Join(t.TempDir(), "grants.db")
			return "sqlite:" + file, sqlGrants(t, "sqlite", sqlstore.SQLiteDSN(file), sqlstore.SQLite)
		},
		"PostgreSQL": func(t *testing.T) (string, vault.Store) {
			dsn := testserver.Postgres(t).DSN()
			return dsn, sqlGrants(t, "pgx", dsn, sqlstore.PostgreSQL)
		},
		"Redis": func(t *testing.T) (string, vault.Store) {
			server := testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
			client := redis.NewClient(&redis.Options{Addr: server.Addr})
			t.Cleanup(func() { _ = client.Close() })
			return "redis://" + server.Addr, redisstore.NewStore(client)
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, store := open(t)
			resealStoreOf(t, address, store)
		})
	}
}

func sqlGrants(t *testing.T, driver, dsn string, dialect sqlstore.Dialect) vault.Store {
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	store := sqlstore.NewStore(db, dialect)
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

func resealStoreOf(t *testing.T, address string, store vault.Store) {
	const grants = 30
	c := newCLI(t)
	vaultOf := func() *vault.Vault {
		v, err := vault.New(vault.Config{Sealer: c.ring(), Store: store, Providers: []*vault.Provider{someProvider()}})
		require.NoError(t, err)
		t.Cleanup(func() { _ = v.Close(context.Background()) })
		return v
	}
	v := vaultOf()
	for n := range grants {
		id := fmt.Sprintf("grant-%02d", n)
		require.NoError(t, v.Put(t.Context(), id, "alice", "as", someGrant(id)))
	}
	leased, err := store.Get(t.Context(), "grant-07")
	require.NoError(t, err)
	leased.Holder, leased.LeaseUntil = "another process", leased.Now.Add(time.Hour).Truncate(time.Millisecond)
	swapped, err := store.Swap(t.Context(), leased)
	require.NoError(t, err)
	require.True(t, swapped)
	before := listed(t, store)

	newer, older := c.rotate()
	require.Equal(t, "30 would be resealed, 0 already were, 0 failed\n", c.ok("", "reseal", "--store", address, "--dry-run"))
	require.Equal(t, before, listed(t, store), "a dry run changes nothing")
	require.Equal(t, "30 resealed, 0 already were, 0 failed\n", c.ok("", "reseal", "--store", address))
	require.Equal(t, "0 resealed, 30 already were, 0 failed\n", c.ok("", "reseal", "--store", address))
	c.ok("", "keyring", "drop", older)
	after := listed(t, store)
	require.Len(t, after, grants)
	for i, r := range after {
		header, err := tokenvault.Inspect(r.Blob)
		require.NoError(t, err)
		require.Equal(t, newer, header.KeyID)
		r.Blob, r.Revision = before[i].Blob, before[i].Revision
		require.Equal(t, before[i], r, "generation, lease and times are untouched")
	}
	v = vaultOf()
	for n := range grants {
		id := fmt.Sprintf("grant-%02d", n)
		grant, err := v.Reveal(t.Context(), id, "alice")
		require.NoError(t, err)
		require.Equal(t, "refresh-token-of-"+id, grant.RefreshToken)
	}

	// With a keyring that knows none of the keys every row fails and stays.
	require.NoError(t, os.Remove(c.keyring))
	c.ok("", "keygen", "--out", c.keyring)
	code, out, errOut := c.run("", "reseal", "--store", address)
	require.Equal(t, 1, code)
	require.Equal(t, "0 resealed, 0 already were, 30 failed\n", out)
	require.Contains(t, errOut, `grant "grant-00"`)
	require.Equal(t, after, listed(t, store))
	leaktest.None(t, []byte(errOut), "refresh-token-of-grant-00")
}

// A wrong password is one line on the real program's standard error, which
// repeats neither it nor the address.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	server := testserver.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, client.ConfigSet(t.Context(), "requirepass", "the-right-password").Err())
	p := start(t, []string{"TOKENVAULT_DB=redis://:the-wrong-password@" + server.Addr}, "reseal", "--store", "env", "--keyring", c.keyring)
	require.Equal(t, exitFailed, p.wait())
	require.Equal(t, "tokenvault: the database refuses the login\n", p.err.String())
	require.Empty(t, p.out.String())
}

// listed returns the store's rows, less the time at which they were read.
func listed(t *testing.T, store vault.Store) []vault.Row {
	t.Helper()
	rows, err := store.List(t.Context(), "", "", 1000)
	require.NoError(t, err)
	for i := range rows {
		rows[i].Now = time.Time{}
	}
	return rows
}

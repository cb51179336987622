// Package rowsize measures what a grant takes in each store, and what a verified
// or exchanged token takes in memory: the figures that docs/scale.md multiplies.
//
//	go test -v ./rowsize
package rowsize

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	_ "modernc.org/sqlite"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault/storetest"
)

// grants is how many rows are written; the size is their average.
const grants = 2000

// kinds of grant: what the authorization server gave.
var kinds = []struct {
	name                 string
	access, refresh, idt int // bytes
}{
	{"opaque tokens (40, 60 bytes)", 40, 60, 0},
	{"JWT (900), refresh token (200), ID token (900)", 900, 200, 900},
}

func TestSQLite(t *testing.T) {
	for _, k := range kinds {
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "grants.db")))
		require.NoError(t, err)
		db.SetMaxOpenConns(1)
		_, err = db.ExecContext(t.Context(), "PRAGMA synchronous=OFF") // the size is the same
		require.NoError(t, err)
		store := sqlstore.NewStore(db, sqlstore.SQLite)
		require.NoError(t, store.Migrate(t.Context()))
		size := func() int {
			var pages, bytes int
			require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
			require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA page_size").Scan(&bytes))
			return pages * bytes
		}
		before := size()
		blob := fill(t, store, k.access, k.refresh, k.idt)
		report(t, "SQLite, table and indexes", k.name, blob, size()-before)
		require.NoError(t, db.Close())
	}
}

func TestPostgreSQL(t *testing.T) {
	server := testserver.Postgres(t, "fsync=off")
	db, err := sql.Open("pgx", server.DSN())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, k := range kinds {
		store := sqlstore.NewStore(db, sqlstore.PostgreSQL)
		require.NoError(t, store.Migrate(t.Context()))
		_, err := db.ExecContext(t.Context(), "TRUNCATE tokenvault_grants")
		require.NoError(t, err)
		size := func(function string) (n int) {
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT "+function+"('tokenvault_grants')").Scan(&n))
			return n
		}
		before, indexes := size("pg_total_relation_size"), size("pg_indexes_size")
		blob := fill(t, store, k.access, k.refresh, k.idt)
		report(t, "PostgreSQL, table, TOAST and indexes", k.name, blob, size("pg_total_relation_size")-before)
		t.Logf("  of these in indexes: %d bytes a grant", (size("pg_indexes_size")-indexes)/grants)
	}
}

// partitioned are the statements that docs/scale.md gives: for an empty database,
// after Migrate.
var partitioned = []string{
	`ALTER TABLE tokenvault_grants RENAME TO tokenvault_grants_plain`,
	`CREATE TABLE tokenvault_grants (LIKE tokenvault_grants_plain INCLUDING ALL) PARTITION BY HASH (id)`,
	`CREATE TABLE tokenvault_grants_0 PARTITION OF tokenvault_grants FOR VALUES WITH (MODULUS 4, REMAINDER 0)`,
	`CREATE TABLE tokenvault_grants_1 PARTITION OF tokenvault_grants FOR VALUES WITH (MODULUS 4, REMAINDER 1)`,
	`CREATE TABLE tokenvault_grants_2 PARTITION OF tokenvault_grants FOR VALUES WITH (MODULUS 4, REMAINDER 2)`,
	`CREATE TABLE tokenvault_grants_3 PARTITION OF tokenvault_grants FOR VALUES WITH (MODULUS 4, REMAINDER 3)`,
	`DROP TABLE tokenvault_grants_plain`,
}

// A table partitioned by id is as good a store as a plain one.
func TestPartitionedPostgreSQL(t *testing.T) {
	server := testserver.Postgres(t, "fsync=off")
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) vault.Store {
			store, _ := partition(t, server)
			return store
		})
	})
	store, db := partition(t, server)
	fill(t, store, 40, 60, 0)
	for i := range 4 {
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT count(*) FROM tokenvault_grants_%d", i)).Scan(&n))
		require.InDelta(t, grants/4, n, grants/8, "partition %d", i)
	}
}

// partition makes a store in a schema of its own.
func partition(t *testing.T, server *testserver.Server) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	address, err := url.Parse(server.DSN())
	require.NoError(t, err)
	schema := "s" + text(20)
	query := address.Query()
	query.Set("search_path", schema)
	address.RawQuery = query.Encode()
	db, err := sql.Open("pgx", address.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(4)
	store := sqlstore.NewStore(db, sqlstore.PostgreSQL)
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	for _, statement := range partitioned {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, store.Migrate(t.Context()), "the next start's")
	return store, db
}

func TestRedis(t *testing.T) {
	server := testserver.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { require.NoError(t, client.Close()) }()
	for _, k := range kinds {
		require.NoError(t, client.FlushAll(t.Context()).Err())
		size := func() int {
			info, err := client.Info(t.Context(), "memory").Result()
			require.NoError(t, err)
			_, rest, _ := strings.Cut(info, "used_memory_dataset:")
			number, _, _ := strings.Cut(rest, "\r")
			n, err := strconv.Atoi(number)
			require.NoError(t, err)
			return n
		}
		store := redisstore.NewStore(client)
		store.Warn = func(context.Context, error) {} // of a Redis that keeps nothing, as here
		before := size()
		blob := fill(t, store, k.access, k.refresh, k.idt)
		report(t, "Redis, hash and indexes", k.name, blob, size()-before)
		all, err := client.MemoryUsage(t.Context(), "tv:grant:all", 0).Result()
		require.NoError(t, err)
		t.Logf("  of these in the index of all grants, one key: %d bytes a grant", int(all)/grants)
	}
}

// fill puts the grants, each of an owner of its own, and returns the mean length
// of a sealed blob.
func fill(t *testing.T, store vault.Store, access, refresh, idt int) (blob int) {
	t.Helper()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	v, err := vault.New(vault.Config{Sealer: keys, Store: store, Providers: []*vault.Provider{{
		Name: "example", Hosts: []string{"api.example.com"},
		OAuth2: &oauth2.Config{
			ClientID: "0oa1b2c3d4e5f6g7h8i9", Scopes: []string{"openid", "offline_access", "orders:read"},
			Endpoint: oauth2.Endpoint{TokenURL: "https://login.example.com/oauth2/v1/token"},
		},
	}}})
	require.NoError(t, err)
	var id string
	for range grants {
		id = text(32)
		grant := &oauth2.Token{AccessToken: text(access), RefreshToken: text(refresh), Expiry: time.Now().Add(time.Hour)}
		if idt > 0 {
			grant = grant.WithExtra(map[string]any{"id_token": text(idt)})
		}
		require.NoError(t, v.Put(t.Context(), id, "user-"+text(16), "example", grant))
	}
	row, err := store.Get(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, v.Close(t.Context()))
	return len(row.Blob)
}

// text is n random printable bytes: nothing that a store could compress well.
func text(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)[:n]
}

func report(t *testing.T, where, kind string, blob, bytes int) {
	t.Helper()
	t.Logf("%s: %s: %d bytes a grant, of which the sealed blob %d", where, kind, bytes/grants, blob)
	require.Greater(t, bytes/grants, blob, "a row holds its blob")
	require.Less(t, bytes/grants, 2*blob+1500, "docs/scale.md counts on no more")
}

// TestVerifiedToken is the cache of package jwks.
func TestVerifiedToken(t *testing.T) {
	const tokens, padding = 5000, 300
	iss := jwkstest.NewIssuer(t)
	v, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{iss.Config("https://api.example")}, Client: iss.Client(), CacheSize: tokens})
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	sign := func(i int) string {
		claims := iss.Claims("https://api.example")
		claims["jti"], claims["padding"] = fmt.Sprint(i), text(padding)
		return iss.Sign(claims)
	}
	require.NoError(t, v.Check(t.Context(), sign(-1)))
	before, length := heap(), 0
	for i := range tokens {
		token := sign(i)
		length = len(token)
		require.NoError(t, v.Check(t.Context(), token))
	}
	each := (heap() - before) / tokens
	runtime.KeepAlive(v)
	t.Logf("jwks: a verified token of %d bytes takes %d bytes", length, each)
	require.Less(t, each, 4*length)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

package sqlstore

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

// opener makes databases of one dialect, without tables.
type opener struct {
	name    string
	dialect Dialect
	open    func(testing.TB) *sql.DB
}

// eachDialect runs the test on SQLite and on a PostgreSQL server.
func eachDialect(t *testing.T, test func(*testing.T, opener)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, opener{"sqlite", SQLite, openSQLite})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, opener{"postgres", PostgreSQL, postgres(t)})
	})
}

func openSQLite(t testing.TB) *sql.DB {
	t.Helper()
	return open(t, "sqlite", SQLiteDSN(filepath.Join(t.TempDir(), "gr ants?#%.db")))
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(8)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

var schemas atomic.Int64

// postgres starts a server and opens a schema of its own each time.
func postgres(t testing.TB, args ...string) func(testing.TB) *sql.DB {
	t.Helper()
	server := postgresServer(t, args...)
	return func(t testing.TB) *sql.DB {
		t.Helper()
		name := fmt.Sprintf("test%d", schemas.Add(1))
		_, err := open(t, "pgx", server.DSN()).ExecContext(t.Context(), "CREATE SCHEMA "+name)
		require.NoError(t, err)
		return open(t, "pgx", server.DSN()+"&search_path="+name)
	}
}

// store is a migrated store of its own.
func (o opener) store(t testing.TB) *Store {
	t.Helper()
	s := NewStore(o.open(t), o.dialect)
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

func (o opener) sessions(t testing.TB) *Sessions {
	t.Helper()
	s := NewSessions(o.open(t), o.dialect)
	require.NoError(t, s.Migrate(t.Context()))
	return s
}

func postgresServer(t testing.TB, args ...string) *testserver.Server {
	t.Helper()
	return testserver.Postgres(t, args...)
}

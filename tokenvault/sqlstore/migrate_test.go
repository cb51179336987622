package sqlstore

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.store(t)
		mustSwap(t, s, row("a"))
		require.NoError(t, s.Migrate(t.Context()))
		require.NoError(t, NewSessions(s.db, o.dialect).Migrate(t.Context()), "Store and Sessions share the schema")
		_, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
	})
}

// Each handle has connections of its own, as each process has.
func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	many := func(t *testing.T, d Dialect, open func() *sql.DB) {
		var wg sync.WaitGroup
		stores := make([]*Store, 12)
		for n := range stores {
			stores[n] = NewStore(open(), d)
		}
		for _, s := range stores {
			wg.Go(func() {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		mustSwap(t, stores[0], row("a"))
		_, err := stores[1].Get(t.Context(), "a")
		require.NoError(t, err)
		version, err := stores[2].version(t.Context(), stores[2].db)
		require.NoError(t, err)
		require.Equal(t, len(migrations), version)
	}
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dsn := SQLiteDSN(filepath.Join(t.TempDir(), "grants.db"))
		many(t, SQLite, func() *sql.DB { return open(t, "sqlite", dsn) })
	})
	t.Run("SQLite without pragmas", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "grants.db")
		many(t, SQLite, func() *sql.DB { return open(t, "sqlite", path) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		server := postgresServer(t)
		many(t, PostgreSQL, func() *sql.DB { return open(t, "pgx", server.DSN()) })
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.store(t)
		mustSwap(t, s, row("a"))
		_, err := s.db.ExecContext(t.Context(), "UPDATE tokenvault_schema SET version = version + 1")
		require.NoError(t, err)

		late := NewStore(s.db, o.dialect)
		_, err = late.Get(t.Context(), "a")
		require.ErrorIs(t, err, ErrSchema)
		require.ErrorContains(t, err, "version 3 is newer than this build's 2")
		_, err = late.Swap(t.Context(), row("b"))
		require.ErrorIs(t, err, ErrSchema)
		_, err = late.DeleteExpired(t.Context())
		require.ErrorIs(t, err, ErrSchema)
		require.ErrorIs(t, late.Migrate(t.Context()), ErrSchema)

		var version, rows int
		require.NoError(t, s.db.QueryRowContext(t.Context(), "SELECT version FROM tokenvault_schema").Scan(&version))
		require.NoError(t, s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM tokenvault_grants").Scan(&rows))
		require.Equal(t, []int{3, 1}, []int{version, rows}, "nothing changed")
	})
}

// A release can start before the database is migrated.
func TestOneVersionBackIsRead(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := NewStore(o.open(t), o.dialect)
		require.NoError(t, s.migrateTo(t.Context(), len(migrations)-1))
		mustSwap(t, s, row("a"))
		_, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		_, err = NewSessions(s.db, o.dialect).Get(t.Context(), "k")
		require.ErrorIs(t, err, ErrSchema, "a table that is not there yet is a clear error")
		require.ErrorContains(t, err, "run Migrate")

		require.NoError(t, s.Migrate(t.Context()))
		_, err = s.Get(t.Context(), "a")
		require.NoError(t, err, "the row came along")
		require.NoError(t, NewSessions(s.db, o.dialect).Set(t.Context(), "k", nil, 1))
	})
}

func TestUnmigratedIsAClearError(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := NewStore(o.open(t), o.dialect)
		_, err := s.Get(t.Context(), "a")
		require.ErrorIs(t, err, ErrSchema)
		require.ErrorContains(t, err, "version 0, needs 1: run Migrate")
		_, err = s.Swap(t.Context(), row("a"))
		require.ErrorIs(t, err, ErrSchema)

		require.NoError(t, s.Migrate(t.Context()))
		mustSwap(t, s, row("a"))
	})
}

// A migration that fails half way leaves the version it found.
func TestFailedMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := NewStore(o.open(t), o.dialect)
		require.NoError(t, s.migrateTo(t.Context(), 1))
		mustSwap(t, s, row("a"))
		_, err := s.db.ExecContext(t.Context(), "CREATE TABLE tokenvault_sessions (mine INTEGER)")
		require.NoError(t, err)
		require.Error(t, s.Migrate(t.Context()))
		_, err = s.db.ExecContext(t.Context(), "DROP TABLE tokenvault_sessions")
		require.NoError(t, err)
		version, err := s.version(t.Context(), s.db)
		require.NoError(t, err)
		require.Equal(t, 1, version)
		require.NoError(t, s.Migrate(t.Context()))
		_, err = s.Get(t.Context(), "a")
		require.NoError(t, err)
	})
}

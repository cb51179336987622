package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		storetest.Run(t, func(t *testing.T) vault.Store { return o.store(t) })
	})
}

// A database whose default isolation ends statements that others overtook.
func TestStoreOnSerializablePostgreSQL(t *testing.T) {
	t.Parallel()
	o := opener{"postgres", PostgreSQL, postgres(t, "default_transaction_isolation=serializable")}
	storetest.Run(t, func(t *testing.T) vault.Store { return o.store(t) })
}

// A caller may open the file without SQLiteDSN, and then no connection waits
// for another by itself.
func TestStoreOnSQLiteWithoutPragmas(t *testing.T) {
	t.Parallel()
	o := opener{"sqlite", SQLite, func(t testing.TB) *sql.DB {
		return open(t, "sqlite", filepath.Join(t.TempDir(), "grants.db"))
	}}
	storetest.Run(t, func(t *testing.T) vault.Store { return o.store(t) })
}

func row(id string) vault.Row {
	return vault.Row{ID: id, Owner: "alice", State: vault.Active, Blob: "tv1.x", Expires: time.Now().Add(time.Hour)}
}

func mustSwap(t *testing.T, s *Store, r vault.Row) {
	t.Helper()
	ok, err := s.Swap(t.Context(), r)
	require.NoError(t, err)
	require.True(t, ok)
}

func TestConstructorsDoNoIO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "grants.db")
	db := open(t, "sqlite", SQLiteDSN(path))
	NewStore(db, SQLite)
	NewSessions(db, SQLite)
	require.NoFileExists(t, path)
}

func TestBadConstruction(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule string
		s    *Store
		want string
	}{
		{"no dialect", NewStore(openSQLite(t), 0), "unknown Dialect 0"},
		{"an unknown dialect", NewStore(openSQLite(t), 3), "unknown Dialect 3"},
		{"no database", NewStore(nil, PostgreSQL), "no *sql.DB"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			_, err := tt.s.Get(t.Context(), "a")
			require.ErrorContains(t, err, tt.want)
			_, err = tt.s.Swap(t.Context(), row("a"))
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, tt.s.Migrate(t.Context()), tt.want)
		})
	}
}

func TestBadText(t *testing.T) {
	t.Parallel()
	s := opener{"sqlite", SQLite, openSQLite}.store(t)
	const bad = "s3cret\x00"
	for want, edit := range map[string]func(*vault.Row){
		"Row.ID is empty":     func(r *vault.Row) { r.ID = "" },
		"Row.ID must be":      func(r *vault.Row) { r.ID = bad },
		"Row.Owner must be":   func(r *vault.Row) { r.Owner = "s3cret\xff" },
		"Row.State must be":   func(r *vault.Row) { r.State = bad },
		"Row.Blob must be":    func(r *vault.Row) { r.Blob = bad },
		"Row.Holder must be ": func(r *vault.Row) { r.Holder = bad },
	} {
		r := row("a")
		edit(&r)
		_, err := s.Swap(t.Context(), r)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
	rows, err := s.List(t.Context(), "", "", 10)
	require.NoError(t, err)
	require.Empty(t, rows, "nothing written")
}

func TestSQLiteDSN(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c#d%e&f=g.db")
	db := open(t, "sqlite", SQLiteDSN(path))
	require.NoError(t, NewStore(db, SQLite).Migrate(t.Context()))
	_, err := os.Stat(path)
	require.NoError(t, err, "the file has the path's own name")
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
		var got string
		require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
}

// Two handles on one file are what two processes have.
func TestSQLiteFileIsShared(t *testing.T) {
	t.Parallel()
	dsn := SQLiteDSN(filepath.Join(t.TempDir(), "grants.db"))
	var stores []*Store
	for range 4 {
		stores = append(stores, NewStore(open(t, "sqlite", dsn), SQLite))
	}
	require.NoError(t, stores[0].Migrate(t.Context()))
	mustSwap(t, stores[0], row("a"))
	const each = 25
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			for done := 0; done < each; {
				r, err := s.Get(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				r.Generation++
				ok, err := s.Swap(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				}
			}
		})
	}
	wg.Wait()
	r, err := stores[0].Get(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, each*len(stores), r.Generation)
}

func TestExpiredRowIsAbsent(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.store(t)
		r := row("a")
		r.Expires = time.Now().Add(-time.Second)
		mustSwap(t, s, r)
		_, err := s.Get(t.Context(), "a")
		require.ErrorIs(t, err, fs.ErrNotExist)
		rows, err := s.List(t.Context(), "alice", "", 10)
		require.NoError(t, err)
		require.Empty(t, rows)
		r.Revision = 1
		ok, err := s.Swap(t.Context(), r)
		require.NoError(t, err)
		require.False(t, ok, "what is absent has no revision")

		next := row("a")
		next.Owner = "bob"
		mustSwap(t, s, next)
		got, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, "bob", got.Owner)
		require.EqualValues(t, 1, got.Revision)
	})
}

func TestDeleteExpired(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.store(t)
		for n, expires := range []time.Time{time.Now().Add(-time.Hour), time.Now().Add(-time.Second), time.Now().Add(time.Hour), {}} {
			r := row(fmt.Sprint(n))
			r.Expires = expires
			mustSwap(t, s, r)
		}
		n, err := s.DeleteExpired(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
		rows, err := s.List(t.Context(), "", "", 10)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		var left int
		require.NoError(t, s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM tokenvault_grants").Scan(&left))
		require.Equal(t, 2, left)
	})
}

func TestDeleteExpiredInBatches(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.sessions(t)
		tx, err := s.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		q, err := s.query(`INSERT INTO tokenvault_sessions (key, value, expires) VALUES ($1, $1, 1)`)
		require.NoError(t, err)
		const expired = 2345
		for n := range expired {
			_, err := tx.ExecContext(t.Context(), q, fmt.Append(nil, n))
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit())
		require.NoError(t, s.Set(t.Context(), "live", []byte("x"), time.Hour))
		n, err := s.DeleteExpired(t.Context())
		require.NoError(t, err)
		require.Equal(t, expired, n)
		_, err = s.Get(t.Context(), "live")
		require.NoError(t, err)
	})
}

// A store that is down has not lost the grant.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	s := NewStore(db, SQLite)
	require.NoError(t, s.Migrate(t.Context()))
	mustSwap(t, s, row("a"))
	require.NoError(t, db.Close())
	_, err := s.Get(t.Context(), "a")
	require.ErrorContains(t, err, "sqlstore: get: ")
	require.NotErrorIs(t, err, fs.ErrNotExist)
	_, err = s.Swap(t.Context(), row("b"))
	require.ErrorContains(t, err, "sqlstore: swap: ")
	_, err = s.List(t.Context(), "", "", 1)
	require.ErrorContains(t, err, "sqlstore: list: ")
}

// Nothing is held between two calls: a pool of one connection is enough for
// readers that read while they read.
func TestElsewhere_DatabaseLockHeldOverHTTP(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.store(t)
		s.db.SetMaxOpenConns(1)
		mustSwap(t, s, row("a"))
		_, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		_, err = s.List(t.Context(), "", "", 1)
		require.NoError(t, err)
		require.Zero(t, s.db.Stats().InUse, "no connection, so no transaction, outlives a call")
		other, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := s.db.Conn(other)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

var _ interface {
	Migrate(context.Context) error
	DeleteExpired(context.Context) (int, error)
} = NewSessions((*sql.DB)(nil), SQLite)

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
)

func ExampleNewStore() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "grants.db")))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()

	store := sqlstore.NewStore(db, sqlstore.SQLite)
	if err := store.Migrate(context.Background()); err != nil {
		log.Fatal(err)
	}
	// vault.New(vault.Config{Store: store, …})
	_, err = store.Get(context.Background(), "alice's calendar")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

func ExampleNewSessions() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "sessions.db")))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()

	ctx := context.Background()
	sessions := sqlstore.NewSessions(db, sqlstore.SQLite)
	if err := sessions.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	// spa.New(spa.Config{Sessions: sessions, …})
	for range 2 {
		added, err := sessions.Add(ctx, "a jti seen once", nil, time.Hour)
		fmt.Println(added, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleSQLiteDSN() {
	fmt.Println(sqlstore.SQLiteDSN("/var/lib/app/grants.db"))
	// Output: file:/var/lib/app/grants.db?_pragma=busy_timeout%285000%29&_pragma=journal_mode%28WAL%29&_pragma=synchronous%28FULL%29
}

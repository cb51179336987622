// Package sqlstore keeps tokenvault's shared state in a database/sql database:
// Store keeps OAuth grants for a vault.Vault, Sessions the browser sessions of
// a spa.Proxy. Two databases are supported, SQLite for one machine and
// PostgreSQL for a fleet; the *sql.DB and its driver are the caller's.
// Constructors do no I/O; Migrate makes the tables, whose names start with
// "tokenvault_".
//
// SQLite is the durable default on one machine, for any number of processes:
//
//	import _ "modernc.org/sqlite"
//
//	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN("grants.db"))
//	db.SetMaxOpenConns(4) // hundreds at once only keep each other waiting
//
// SQLiteDSN sets what this needs and the driver's defaults lack: a write-ahead
// log, synchronous=FULL, without which a rotated refresh token can be lost with
// the power, and a busy timeout. The file must not lie on a network file system.
//
// PostgreSQL is the durable default for a fleet:
//
//	import _ "github.com/jackc/pgx/v5/stdlib"
//
//	db, err := sql.Open("pgx", "postgres://…")
//	db.SetMaxOpenConns(20)
//
// After Migrate the role needs SELECT, INSERT, UPDATE and DELETE on the tables.
// Leave fsync and synchronous_commit on; a grant is then as durable as the
// server, and with synchronous standbys as durable as they are.
//
// Every method is one statement: no transaction, advisory lock or row lock
// outlives a call, so none is ever held while an authorization server is asked.
// All times are the database's, whatever the clocks of its clients say.
// Rows past their expiry are not shown; DeleteExpired removes them.
//
// A row's blob is sealed. Its id, owner, state and times are in the clear.
package sqlstore

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrSchema says that the tables are not there, or of a version that this build
// does not read: newer than its own, or more than one version older.
var ErrSchema = errors.New("sqlstore: schema")

// migrations[n] makes version n+1 out of version n.
var migrations = [][]string{
	{
		`CREATE TABLE tokenvault_grants (
			id {text} NOT NULL PRIMARY KEY, owner {text} NOT NULL,
			revision {int} NOT NULL, generation {int} NOT NULL, state {text} NOT NULL, blob {text} NOT NULL,
			access_expires {int}, expires {int}, not_before {int},
			holder {text} NOT NULL, lease_until {int}, intent {int}
		) {strict}`,
		`CREATE INDEX tokenvault_grants_owner ON tokenvault_grants (owner, id)`,
		`CREATE INDEX tokenvault_grants_expires ON tokenvault_grants (expires)`,
	},
	{
		`CREATE TABLE tokenvault_sessions (key {bytes} NOT NULL PRIMARY KEY, value {bytes} NOT NULL, expires {int} NOT NULL) {strict}`,
		`CREATE INDEX tokenvault_sessions_expires ON tokenvault_sessions (expires)`,
	},
}

// The versions that have the tables.
const (
	grantsSchema   = 1
	sessionsSchema = 2
)

// Migrate makes the tables or brings them to this build's version, and keeps
// their rows. It may be called at every start, by any number of processes at
// once. A schema newer than this build's is ErrSchema, and nothing is changed.
//
// A build reads its own version and the one before, so instances of two
// neighbouring releases can share a database while they are exchanged: migrate
// after the last instance of the older one has gone.
func (d *database) Migrate(ctx context.Context) error {
	return patiently(ctx, func() error { return d.migrateTo(ctx, len(migrations)) })
}

func (d *database) migrateTo(ctx context.Context, target int) error {
	if d.dialect == SQLite { // so that the transaction can begin with a write
		if err := d.run(ctx, d.db, createSchema); err != nil {
			return err
		}
	}
	if _, err := d.query(""); err != nil {
		return err
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return wrap(ctx, "migrate", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := d.migrate(ctx, tx, target); err != nil {
		return err
	}
	return wrap(ctx, "migrate", tx.Commit())
}

const createSchema = `CREATE TABLE IF NOT EXISTS tokenvault_schema (version {int} NOT NULL) {strict}`

// alone keeps a second migration waiting until this one's transaction ends.
var alone = map[Dialect]string{
	SQLite:     `UPDATE tokenvault_schema SET version = version`,
	PostgreSQL: `SELECT pg_advisory_xact_lock(8387236823645254770)`, // "tokvault"
}

func (d *database) migrate(ctx context.Context, tx *sql.Tx, target int) error {
	if err := d.run(ctx, tx, alone[d.dialect], createSchema); err != nil {
		return err
	}
	version, err := d.version(ctx, tx)
	if err != nil || version >= target {
		return err
	}
	for ; version < target; version++ {
		if err := d.run(ctx, tx, migrations[version]...); err != nil {
			return err
		}
	}
	return d.run(ctx, tx, `DELETE FROM tokenvault_schema`,
		fmt.Sprintf(`INSERT INTO tokenvault_schema (version) VALUES (%d)`, version))
}

// conn is a *sql.DB or a *sql.Tx.
type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (d *database) run(ctx context.Context, c conn, statements ...string) error {
	for _, q := range statements {
		q, err := d.query(q)
		if err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, q); err != nil {
			return wrap(ctx, "migrate", err)
		}
	}
	return nil
}

// version is the schema's, 0 if there is none.
func (d *database) version(ctx context.Context, c conn) (int, error) {
	var version int
	for _, q := range []string{
		`SELECT {schema exists}`,
		`SELECT coalesce(max(version), 0) FROM tokenvault_schema`,
	} {
		q, err := d.query(q)
		if err != nil {
			return 0, err
		}
		if err := c.QueryRowContext(ctx, q).Scan(&version); err != nil {
			return 0, wrap(ctx, "read schema", err)
		}
		if version == 0 {
			return 0, nil
		}
	}
	if version > len(migrations) {
		return 0, fmt.Errorf("%w: version %d is newer than this build's %d", ErrSchema, version, len(migrations))
	}
	return version, nil
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Dialect is the kind of database behind a *sql.DB.
type Dialect int

// The databases that are supported.
const (
	SQLite     Dialect = iota + 1 // 3.42 or newer; tested through modernc.org/sqlite
	PostgreSQL                    // 14 or newer; tested through github.com/jackc/pgx/v5/stdlib
)

// words are where the dialects differ. Times are Unix microseconds.
var words = map[Dialect]*strings.Replacer{
	SQLite: strings.NewReplacer(
		"$", "?",
		"{now}", "(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)",
		"{text}", "TEXT", "{bytes}", "BLOB", "{int}", "INTEGER", "{strict}", "STRICT",
		"{schema exists}", "(SELECT count(*) FROM sqlite_master WHERE name = 'tokenvault_schema')",
	),
	PostgreSQL: strings.NewReplacer(
		"{now}", "((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)",
		"{text}", `TEXT COLLATE "C"`, "{bytes}", "BYTEA", "{int}", "BIGINT", "{strict}", "",
		"{schema exists}", "(to_regclass('tokenvault_schema') IS NOT NULL)::int",
	),
}

// SQLiteDSN is the data source name of modernc.org/sqlite for the database file
// at path, with a write-ahead log, synchronous=FULL and a busy timeout of 5 s.
func SQLiteDSN(path string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"},
	}.Encode()}
	return u.String()
}

// database runs statements in its dialect, on a schema it has looked at once.
type database struct {
	db      *sql.DB
	dialect Dialect
	schema  int // the least version that its tables are in
	checked atomic.Bool
}

// query is a statement written with $1 placeholders and {words}.
func (d *database) query(q string) (string, error) {
	w, ok := words[d.dialect]
	switch {
	case !ok:
		return "", fmt.Errorf("sqlstore: unknown Dialect %d", d.dialect)
	case d.db == nil:
		return "", errors.New("sqlstore: no *sql.DB")
	}
	return w.Replace(q), nil
}

// exec reports how many rows the statement changed.
func (d *database) exec(ctx context.Context, what, q string, args ...any) (int, error) {
	if err := d.ready(ctx); err != nil {
		return 0, err
	}
	q, err := d.query(q)
	if err != nil {
		return 0, err
	}
	var n int64
	err = patiently(ctx, func() error {
		result, err := d.db.ExecContext(ctx, q, args...)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return int(n), wrap(ctx, what, err)
}

// ready looks at the schema once.
func (d *database) ready(ctx context.Context) error {
	if d.checked.Load() {
		return nil
	}
	var version int
	err := patiently(ctx, func() (err error) { version, err = d.version(ctx, d.db); return err })
	if err != nil {
		return err
	}
	if oldest := max(d.schema, len(migrations)-1); version < oldest {
		return fmt.Errorf("%w: version %d, needs %d: run Migrate", ErrSchema, version, oldest)
	}
	d.checked.Store(true)
	return nil
}

// deleteExpired removes rows of table in small statements, so that none keeps
// others waiting for long.
func (d *database) deleteExpired(ctx context.Context, table, key string) (int, error) {
	const batch = 1000
	q := strings.NewReplacer("{table}", table, "{key}", key).Replace(
		`DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE expires <= {now} LIMIT $1) AND expires <= {now}`)
	for total := 0; ; {
		n, err := d.exec(ctx, "delete expired", q, batch)
		total += n
		if err != nil || n < batch {
			return total, err
		}
	}
}

// wrap names what failed. Drivers do not all say that a context ended.
func wrap(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) { // a Unix socket that is not there is no absent row
		err = errors.New(err.Error())
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("sqlstore: %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("sqlstore: %s: %w", what, err)
}

// micros is t as the tables keep it, NULL for the zero Time.
func micros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Store is a vault.Store.
type Store struct{ database }

// NewStore keeps grants in db. Call Migrate before the first use.
func NewStore(db *sql.DB, d Dialect) *Store {
	return &Store{database{db: db, dialect: d, schema: grantsSchema}}
}

const columns = `id, owner, revision, generation, state, blob, access_expires, expires, not_before, holder, lease_until, intent`

// live is the condition that a row is not past its expiry.
const live = `(expires IS NULL OR expires > {now})`

// Get returns the row and the database's clock. Absent or past its expiry:
// fs.ErrNotExist.
func (s *Store) Get(ctx context.Context, id string) (vault.Row, error) {
	rows, err := s.read(ctx, "get", `WHERE id = $1 AND `+live, id)
	if err != nil {
		return vault.Row{}, err
	}
	if len(rows) == 0 {
		return vault.Row{}, fmt.Errorf("sqlstore: no such grant: %w", fs.ErrNotExist)
	}
	return rows[0], nil
}

// List returns up to limit rows ascending by id, after exclusive; owner "": all.
func (s *Store) List(ctx context.Context, owner, after string, limit int) ([]vault.Row, error) {
	if owner == "" {
		return s.read(ctx, "list", `WHERE id > $1 AND `+live+` ORDER BY id LIMIT $2`, after, limit)
	}
	return s.read(ctx, "list", `WHERE owner = $1 AND id > $2 AND `+live+` ORDER BY id LIMIT $3`, owner, after, limit)
}

// Swap writes r if the stored Revision equals r.Revision (0: create), and
// increments it. Not equal: false and no error. An error is the driver's, ctx's
// or ErrSchema, wrapped; after one of the driver whether r was written is not
// known.
func (s *Store) Swap(ctx context.Context, r vault.Row) (bool, error) {
	if err := checkText(r); err != nil {
		return false, err
	}
	q := update
	if r.Revision == 0 {
		q = create
	}
	n, err := s.exec(ctx, "swap", q, r.ID, r.Owner, r.Revision, r.Generation, string(r.State), r.Blob,
		micros(r.AccessExpires), micros(r.Expires), micros(r.NotBefore), r.Holder, micros(r.LeaseUntil), micros(r.Intent))
	if isConflict(err) {
		return false, nil
	}
	return n == 1, err
}

const (
	update = `UPDATE tokenvault_grants SET (owner, revision, generation, state, blob,
		access_expires, expires, not_before, holder, lease_until, intent) =
		($2, $3 + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		WHERE id = $1 AND revision = $3 AND ` + live

	// A row past its expiry is absent, whether or not it was deleted.
	create = `INSERT INTO tokenvault_grants (` + columns + `)
		VALUES ($1, $2, $3 + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (id) DO UPDATE SET (owner, revision, generation, state, blob,
		access_expires, expires, not_before, holder, lease_until, intent) =
		(excluded.owner, excluded.revision, excluded.generation, excluded.state, excluded.blob,
		excluded.access_expires, excluded.expires, excluded.not_before, excluded.holder, excluded.lease_until, excluded.intent)
		WHERE tokenvault_grants.expires <= {now}`
)

// DeleteExpired removes rows past their expiry and returns how many. Run it now
// and then, hourly for instance; nothing depends on it but the table's size.
func (s *Store) DeleteExpired(ctx context.Context) (int, error) {
	return s.deleteExpired(ctx, "tokenvault_grants", "id")
}

func (s *Store) read(ctx context.Context, what, where string, args ...any) ([]vault.Row, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	q, err := s.query(`SELECT ` + columns + `, {now} FROM tokenvault_grants ` + where)
	if err != nil {
		return nil, err
	}
	var rows []vault.Row
	err = patiently(ctx, func() (err error) { rows, err = s.readOnce(ctx, q, args); return err })
	return rows, wrap(ctx, what, err)
}

func (s *Store) readOnce(ctx context.Context, q string, args []any) ([]vault.Row, error) {
	found, err := s.db.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	var rows []vault.Row
	for found.Next() {
		r, err := scan(found)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return rows, nil
}

func scan(found *sql.Rows) (vault.Row, error) {
	var r vault.Row
	var accessExpires, expires, notBefore, leaseUntil, intent, now sql.NullInt64
	err := found.Scan(&r.ID, &r.Owner, &r.Revision, &r.Generation, &r.State, &r.Blob,
		&accessExpires, &expires, &notBefore, &r.Holder, &leaseUntil, &intent, &now)
	r.AccessExpires, r.Expires, r.NotBefore = fromMicros(accessExpires), fromMicros(expires), fromMicros(notBefore)
	r.LeaseUntil, r.Intent, r.Now = fromMicros(leaseUntil), fromMicros(intent), fromMicros(now)
	return r, err
}

// isConflict says that PostgreSQL ended the statement because another wrote the
// row, which it does where the default isolation is above READ COMMITTED.
func isConflict(err error) bool {
	var answer interface{ SQLState() string }
	if !errors.As(err, &answer) {
		return false
	}
	state := answer.SQLState()
	return state == "40001" || state == "40P01" // serialization_failure, deadlock_detected
}

// checkText refuses what not every database keeps as it is.
func checkText(r vault.Row) error {
	for _, f := range []struct{ name, value string }{
		{"ID", r.ID}, {"Owner", r.Owner}, {"State", string(r.State)}, {"Blob", r.Blob}, {"Holder", r.Holder},
	} {
		if !utf8.ValidString(f.value) || strings.IndexByte(f.value, 0) >= 0 {
			return fmt.Errorf("sqlstore: Row.%s must be UTF-8 without NUL", f.name)
		}
	}
	if r.ID == "" {
		return errors.New("sqlstore: Row.ID is empty")
	}
	return nil
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Sessions is a spa.Sessions: the sessions of a Token Vault Proxy that runs in
// several instances, or that must survive a restart.
type Sessions struct{ database }

// NewSessions keeps sessions in db. Call Migrate before the first use.
func NewSessions(db *sql.DB, d Dialect) *Sessions {
	return &Sessions{database{db: db, dialect: d, schema: sessionsSchema}}
}

var errTTL = errors.New("sqlstore: Add needs a positive ttl")

// Get returns the value of key. Absent or expired: fs.ErrNotExist.
func (s *Sessions) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	q, err := s.query(`SELECT value FROM tokenvault_sessions WHERE key = $1 AND expires > {now}`)
	if err != nil {
		return nil, err
	}
	var value []byte
	err = patiently(ctx, func() error { return s.db.QueryRowContext(ctx, q, []byte(key)).Scan(&value) })
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("sqlstore: no such key: %w", fs.ErrNotExist)
	}
	return value, wrap(ctx, "get", err)
}

const insertSession = `INSERT INTO tokenvault_sessions (key, value, expires) VALUES ($1, $2, {now} + $3)
	ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`

// Set writes the value for ttl, rounded up to the microsecond. A ttl that is
// not positive removes the key; removing an absent one is no error.
func (s *Sessions) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		_, err := s.exec(ctx, "set", `DELETE FROM tokenvault_sessions WHERE key = $1`, []byte(key))
		return err
	}
	_, err := s.exec(ctx, "set", insertSession, []byte(key), notNil(value), ceilMicros(ttl))
	return err
}

// Add writes the value for ttl if the key is absent or expired, atomically, and
// reports whether it did. The ttl must be positive: what is added to make others
// wait must end by itself.
func (s *Sessions) Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	if ttl <= 0 {
		return false, errTTL
	}
	n, err := s.exec(ctx, "add", insertSession+` WHERE tokenvault_sessions.expires <= {now}`,
		[]byte(key), notNil(value), ceilMicros(ttl))
	if isConflict(err) {
		return false, nil
	}
	return n == 1, err
}

// DeleteExpired removes expired sessions and returns how many. Run it now and
// then, hourly for instance; nothing depends on it but the table's size.
func (s *Sessions) DeleteExpired(ctx context.Context) (int, error) {
	return s.deleteExpired(ctx, "tokenvault_sessions", "key")
}

// notNil keeps a nil value from becoming NULL.
func notNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

func ceilMicros(ttl time.Duration) int64 {
	return int64((ttl + time.Microsecond - 1) / time.Microsecond)
}

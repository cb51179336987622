package vault

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// engine is a kind of store that real processes share.
type engine string

const (
	postgreSQL engine = "PostgreSQL"
	onRedis    engine = "Redis"
	sqlite     engine = "SQLite"
	inMemory   engine = "memory" // of one process
)

// fleetEngines are those that a fleet of machines can share.
var fleetEngines = []engine{postgreSQL, onRedis}

// database is a running server, or a SQLite file.
type database struct {
	*testserver.Server
	engine engine
	addr   string // of the server, or the file's path
}

// start starts a server with the settings the stores recommend, and makes the
// tables.
func (e engine) start(t testing.TB) *database {
	t.Helper()
	d := &database{engine: e}
	switch e {
	case postgreSQL:
		d.Server = testserver.Postgres(t, "logging_collector=on", "log_directory=log")
	case onRedis:
		d.Server = testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
			"--logfile", "redis.log")
	case sqlite:
		d.addr = filepath.Join(t.TempDir(), "grants.db")
	}
	if d.Server != nil {
		d.addr = d.Addr
	}
	require.NoError(t, d.open(t).migrate(t.Context()))
	return d
}

// open connects to the database for the test's own use.
func (d *database) open(t testing.TB) *connection {
	t.Helper()
	c, err := connect(d.engine, d.addr, "test")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.close()) })
	return c
}

// connection is a store and what it stands on.
type connection struct {
	vault.Store
	engine engine
	db     *sql.DB       // nil on Redis
	redis  *redis.Client // nil elsewhere
}

// connect opens the store at addr; the server knows its connections by name.
// Retries are few so that a test need not wait for them.
func connect(e engine, addr, name string) (*connection, error) {
	switch e {
	case inMemory:
		return &connection{engine: e, Store: vault.NewMemoryStore()}, nil
	case onRedis:
		c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 1, DialerRetries: 1, DialTimeout: time.Second, ClientName: name})
		return &connection{engine: e, Store: redisstore.NewStore(c), redis: c}, nil
	case postgreSQL:
		db, err := sql.Open("pgx", fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable&connect_timeout=2&application_name=%s",
			testserver.PostgresUser, addr, name))
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(8)
		db.SetMaxIdleConns(8)
		return &connection{engine: e, Store: sqlstore.NewStore(db, sqlstore.PostgreSQL), db: db}, nil
	case sqlite:
		db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(addr))
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(4)
		return &connection{engine: e, Store: sqlstore.NewStore(db, sqlstore.SQLite), db: db}, nil
	}
	return nil, fmt.Errorf("unknown engine %q", e)
}

func (c *connection) migrate(ctx context.Context) error {
	if s, ok := c.Store.(*sqlstore.Store); ok {
		return s.Migrate(ctx)
	}
	return nil
}

func (c *connection) close() error {
	switch {
	case c.db != nil:
		return c.db.Close()
	case c.redis != nil:
		return c.redis.Close()
	}
	return nil
}

// disconnect ends the connections of that name, at the server.
func (c *connection) disconnect(ctx context.Context, name string) (int, error) {
	if c.db != nil {
		var n int
		err := c.db.QueryRowContext(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1`, name).Scan(&n)
		return n, err
	}
	list, err := c.redis.ClientList(ctx).Result()
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(list) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		if strings.Contains(line, " name="+name+" ") {
			n++
			if err := c.redis.ClientKillByFilter(ctx, "ID", id).Err(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// load creates rows that are not there yet, many at a time.
func (c *connection) load(ctx context.Context, rows []vault.Row) error {
	for page := range slices.Chunk(rows, 1000) {
		if c.engine == postgreSQL {
			if err := c.insert(ctx, page); err != nil {
				return err
			}
			continue
		}
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(16)
		for _, r := range page {
			r.Revision = 0
			g.Go(func() error { _, err := c.Swap(ctx, r); return err })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (c *connection) insert(ctx context.Context, rows []vault.Row) error {
	q := "INSERT INTO tokenvault_grants (id, owner, revision, generation, state, blob, access_expires, expires, holder) VALUES "
	var args []any
	for n, r := range rows {
		q += fmt.Sprintf("($%d,$%d,1,1,'active',$%d,$%d,$%d,''),", 5*n+1, 5*n+2, 5*n+3, 5*n+4, 5*n+5)
		args = append(args, r.ID, r.Owner, r.Blob, r.AccessExpires.UnixMicro(), r.Expires.UnixMicro())
	}
	_, err := c.db.ExecContext(ctx, strings.TrimSuffix(q, ","), args...)
	return err
}

// size is how many connections the pool has.
func (c *connection) size() int {
	if c.db != nil {
		return c.db.Stats().OpenConnections
	}
	return int(c.redis.PoolStats().TotalConns)
}

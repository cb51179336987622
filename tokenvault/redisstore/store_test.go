package redisstore

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	storetest.Run(t, func(t *testing.T) vault.Store { return newStore(t, c) })
}

// On a cluster no script may touch two slots, and List meets rows of all nodes.
func TestStoreOnCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	storetest.Run(t, func(t *testing.T) vault.Store { return newStore(t, c) })
}

func TestConstructorsDoNoIO(t *testing.T) {
	t.Parallel()
	c := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a constructor dialled")
		return nil, io.EOF
	}})
	NewStore(c)
	NewCache(c)
	NewSessions(c)
	require.NoError(t, c.Close())
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

func TestElsewhere_RowTTLLosesRefreshToken(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	r := row("a")
	r.AccessExpires = time.Now().Add(time.Second)
	r.Expires = time.Unix(4102444800, 1_000)
	mustSwap(t, s, r)
	ms, err := c.Do(t.Context(), "PEXPIRETIME", s.rowKey("a")).Int64()
	require.NoError(t, err)
	require.EqualValues(t, 4102444800_001, ms, "lives through the last microsecond of Expires")

	r.Revision, r.Expires = 1, time.Time{}
	mustSwap(t, s, r)
	ttl, err := c.PTTL(t.Context(), s.rowKey("a")).Result()
	require.NoError(t, err)
	require.EqualValues(t, -1, ttl, "an unset Expires is for ever")
}

// losing dials connections that can be told to break after the server has
// received, and answered, the next command.
type losing struct{ armed atomic.Bool }

func (l *losing) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return &losingConn{c, l}, err
}

type losingConn struct {
	net.Conn
	l *losing
}

func (c *losingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.l.armed.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// go-redis sends a command again after a broken connection: the holder of a
// lease that it has just taken must not think that another has it.
func TestSwapWhoseAnswerWasLostIsRecognised(t *testing.T) {
	t.Parallel()
	var l losing
	c := redis.NewClient(&redis.Options{Addr: testserver.Redis(t, durableArgs...).Addr, Dialer: l.dial, PoolSize: 1})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	s := newStore(t, c)
	mustSwap(t, s, row("a"))
	r, err := s.Get(t.Context(), "a")
	require.NoError(t, err)

	l.armed.Store(true)
	mustSwap(t, s, r)
	require.False(t, l.armed.Load(), "the connection did break")
	again, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 2, again.Revision, "written once")

	ok, err := s.Swap(t.Context(), r)
	require.NoError(t, err)
	require.False(t, ok, "the same row in a call of its own is another swap")
}

func TestRefusedRows(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	for _, tt := range []struct{ rule, field, value, want string }{
		{"a newer schema is refused, not half understood", "schema", "2", "schema 2, newer than this build's 1"},
		{"a row without schema is none of ours", "schema", "", `field "schema"`},
		{"a number that is none is named, not shown", "generation", "tv1.secret", `field "generation" of the grant is not a number`},
		{"so is a time", "lease_until", "tv1.secret", `field "lease_until"`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newStore(t, c)
			mustSwap(t, s, row("a"))
			require.NoError(t, c.HSet(t.Context(), s.rowKey("a"), tt.field, tt.value).Err())
			_, err := s.Get(t.Context(), "a")
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "secret")
			_, err = s.List(t.Context(), "", "", 10)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestBadIDs(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	for _, id := range []string{"", "a\x00b", "\x00"} {
		_, err := s.Swap(t.Context(), row(id))
		require.ErrorContains(t, err, "id")
	}
	keys, err := c.Keys(t.Context(), s.prefix+"*").Result()
	require.NoError(t, err)
	require.Empty(t, keys, "nothing written")
}

// The server's memory holds the row's own fields, nothing else.
func TestRowsHoldNoMoreThanTheRow(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	mustSwap(t, s, row("a"))
	fields, err := c.HKeys(t.Context(), s.rowKey("a")).Result()
	require.NoError(t, err)
	require.ElementsMatch(t, strings.Fields(`schema mark owner revision generation state blob access_expires
		expires not_before holder lease_until intent`), fields)
}

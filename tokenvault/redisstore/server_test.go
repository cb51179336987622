package redisstore

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

// durableArgs are the recommended settings.
var durableArgs = []string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}

func connect(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 1, DialerRetries: 1})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// newCluster starts three masters that share the slots.
func newCluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	const nodes = 3
	var addrs []string
	for n := range nodes {
		bus := freePort(t)
		s := testserver.Redis(t, append(durableArgs, "--cluster-enabled", "yes", "--cluster-port", bus)...)
		addrs = append(addrs, s.Addr)
		c := connect(t, s.Addr)
		from, to := n*16384/nodes, (n+1)*16384/nodes-1
		require.NoError(t, c.ClusterAddSlotsRange(t.Context(), from, to).Err())
		host, port, err := net.SplitHostPort(s.Addr)
		require.NoError(t, err)
		if n > 0 {
			require.NoError(t, connect(t, addrs[0]).Do(t.Context(), "CLUSTER", "MEET", host, port, bus).Err())
		}
	}
	for _, addr := range addrs {
		c := connect(t, addr)
		require.Eventually(t, func() bool {
			info, err := c.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(nodes))
		}, time.Minute, 20*time.Millisecond)
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

var namespaces atomic.Int64

// newStore is a store of its own on c, whose warnings fail the test.
func newStore(t *testing.T, c redis.UniversalClient) *Store {
	t.Helper()
	s := NewStore(c)
	s.prefix += strconv.FormatInt(namespaces.Add(1), 10) + ":"
	s.Warn = func(_ context.Context, err error) { t.Errorf("unexpected warning: %v", err) }
	return s
}

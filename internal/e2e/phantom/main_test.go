package phantom

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
)

func TestMain(m *testing.M) {
	if settings, ok := os.LookupEnv(workerEnv); ok {
		if err := work(settings, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leaktest.Main(m)
}

const opaque = "opaque-token-0001"

var fleetKey = bytes.Repeat([]byte{7}, 32)

func newFake(t *testing.T) *phantomtest.Server {
	t.Helper()
	srv := phantomtest.NewServer()
	t.Cleanup(srv.Close)
	srv.Otherwise(phantomtest.Answer{Claims: map[string]any{"sub": "alice"}, Embed: true})
	return srv
}

func newRedis(t *testing.T, args ...string) (*testserver.Server, *redis.Client) {
	t.Helper()
	server := testserver.Redis(t, args...)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func newExchanger(t *testing.T, srv *phantomtest.Server, client redis.UniversalClient, change ...func(*phantom.Config)) *phantom.Exchanger {
	t.Helper()
	c := phantom.Config{
		Endpoint: srv.URL(), Client: srv.Client(), Auth: clientauth.Basic("gateway", "gateway-secret"),
		Cache: redisstore.NewCache(client), CacheKey: fleetKey,
	}
	for _, f := range change {
		f(&c)
	}
	ex, err := phantom.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ex.Close()) })
	return ex
}

func inAnHour(c *phantom.Config) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } }

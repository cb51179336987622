package phantom

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// Whatever happens to Redis, known tokens are answered from the first tier, new
// ones by the server, and after it is back the fleet shares again.
func TestRequestsGoOnWithoutRedis(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule         string
		args         []string
		fault, mend  func(*testing.T, *testserver.Server, *redis.Client)
		keepsAnswers bool // whether what was in Redis before is there after
		refusesNew   bool // whether Redis takes no answer during the fault
	}{
		{"killed", nil,
			func(_ *testing.T, s *testserver.Server, _ *redis.Client) { s.Kill() },
			func(_ *testing.T, s *testserver.Server, _ *redis.Client) { s.Start() }, false, true},
		{"slow: it does not answer at all", nil,
			func(_ *testing.T, s *testserver.Server, _ *redis.Client) { s.Freeze() },
			func(_ *testing.T, s *testserver.Server, _ *redis.Client) { s.Thaw() }, true, true},
		{"flushed", nil,
			func(t *testing.T, _ *testserver.Server, c *redis.Client) {
				require.NoError(t, c.FlushAll(t.Context()).Err())
			},
			func(*testing.T, *testserver.Server, *redis.Client) {}, false, false},
		{"restarted", nil,
			func(_ *testing.T, s *testserver.Server, _ *redis.Client) { s.Stop(); s.Start() },
			func(*testing.T, *testserver.Server, *redis.Client) {}, false, false},
		{"full", []string{"--maxmemory-policy", "noeviction"},
			func(t *testing.T, _ *testserver.Server, c *redis.Client) {
				require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "1").Err())
			},
			func(t *testing.T, _ *testserver.Server, c *redis.Client) {
				require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "0").Err())
			}, true, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			srv := newFake(t)
			server, client := newRedis(t, c.args...)
			quick := func(c *phantom.Config) { c.Timeout = 10 * time.Second }
			ex := newExchanger(t, srv, client, quick)
			exchange(t, ex, "known")

			c.fault(t, server, client)
			exchange(t, ex, "known")
			require.Equal(t, 1, srv.Calls("known"), "from the first tier")
			exchange(t, ex, "new")
			require.Equal(t, 1, srv.Calls("new"), "from the server")
			c.mend(t, server, client)

			other := newExchanger(t, srv, client, quick)
			exchange(t, other, "known")
			exchange(t, other, "new")
			require.Equal(t, c.keepsAnswers, srv.Calls("known") == 1)
			require.Equal(t, c.refusesNew, srv.Calls("new") == 2)
			exchange(t, other, "later")
			exchange(t, newExchanger(t, srv, client, quick), "later")
			require.Equal(t, 1, srv.Calls("later"), "shared again")
		})
	}
}

func exchange(t *testing.T, ex *phantom.Exchanger, token string) phantom.Token {
	t.Helper()
	tok, err := ex.Exchange(context.Background(), token)
	require.NoError(t, err)
	return tok
}

// answers are the names of the answers in Redis.
func answers(t *testing.T, client *redis.Client) []string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*phantom:a:*").Result()
	require.NoError(t, err)
	return keys
}

func TestNothingInRedisIsPlaintext(t *testing.T) {
	t.Parallel()
	srv := newFake(t)
	_, client := newRedis(t)
	tok := exchange(t, newExchanger(t, srv, client), opaque)
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 1, "the lock is given back")
	ttl, err := client.PTTL(t.Context(), keys[0]).Result()
	require.NoError(t, err)
	require.Greater(t, ttl, 4*time.Minute)
	require.LessOrEqual(t, ttl, 5*time.Minute)
	value, err := client.Get(t.Context(), keys[0]).Bytes()
	require.NoError(t, err)
	leaktest.None(t, append(value, keys[0]...), opaque, tok.JWT(), strings.Split(tok.JWT(), ".")[1], `"sub":"alice"`)
}

func TestASpoiledValueInRedisIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule  string
		spoil func(t *testing.T, c *redis.Client, key, others string)
		later func(*phantom.Config)
	}{
		{"altered", func(t *testing.T, c *redis.Client, key, _ string) {
			require.NoError(t, c.SetRange(t.Context(), key, 30, "spoiled").Err())
		}, nil},
		{"moved to another key", func(t *testing.T, c *redis.Client, key, others string) {
			require.NoError(t, c.Copy(t.Context(), others, key, 0, true).Err())
		}, nil},
		{"kept past its deadline", func(t *testing.T, c *redis.Client, key, _ string) {
			require.NoError(t, c.Persist(t.Context(), key).Err())
		}, inAnHour},
		{"kept past its deadline, with a later one written to it", func(t *testing.T, c *redis.Client, key, _ string) {
			require.NoError(t, c.Persist(t.Context(), key).Err())
			require.NoError(t, c.SetRange(t.Context(), key, 1, "\x7f").Err())
		}, inAnHour},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			srv := newFake(t)
			srv.Answer("others", phantomtest.Answer{Claims: map[string]any{"sub": "mallory"}})
			_, client := newRedis(t)
			exchange(t, newExchanger(t, srv, client), opaque)
			key := answers(t, client)[0]
			exchange(t, newExchanger(t, srv, client), "others")
			others := answers(t, client)
			require.Len(t, others, 2)
			c.spoil(t, client, key, strings.TrimPrefix(strings.Join(others, ""), key)[:len(key)])

			var change []func(*phantom.Config)
			if c.later != nil {
				change = append(change, c.later)
			}
			tok := exchange(t, newExchanger(t, srv, client, change...), opaque)
			require.Equal(t, "alice", tok.Subject())
			require.Equal(t, 2, srv.Calls(opaque))
		})
	}
}

func TestEvictionThroughRedis(t *testing.T) {
	t.Parallel()
	srv := newFake(t)
	_, client := newRedis(t)
	a, b := newExchanger(t, srv, client), newExchanger(t, srv, client)
	exchange(t, a, opaque)
	require.NoError(t, a.Evict(t.Context(), opaque))
	exchange(t, b, opaque)
	require.Equal(t, 2, srv.Total())
	require.NoError(t, a.EvictSubject(t.Context(), "alice"))
	exchange(t, newExchanger(t, srv, client), opaque)
	require.Equal(t, 3, srv.Total())
}

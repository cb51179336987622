package phantom_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func withCache(c *memoryCache) func(*phantom.Config) {
	return func(cfg *phantom.Config) {
		cfg.Cache, cfg.CacheKey = c, bytes.Repeat([]byte{7}, 32)
	}
}

// isAnswer tells an answer's name from a lock's.
func isAnswer(key string) bool { return strings.HasPrefix(key, "phantom:a:") }

func TestTheSharedTierServesOtherProcesses(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	claims := m{"sub": "alice", "client_id": "app", "scope": "read", "aud": []string{"api"}, "exp": clk.In(time.Hour)}
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Claims: claims})
	cache := newMemoryCache()
	a := newExchanger(t, srv, withCache(cache), withClock(clk))
	b := newExchanger(t, srv, withCache(cache), withClock(clk))
	first, err := exchange(t, a)
	require.NoError(t, err)
	second, err := exchange(t, b)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total())
	require.Equal(t, first.JWT(), second.JWT())
	require.Equal(t, first.Subject()+first.ClientID(), second.Subject()+second.ClientID())
	require.Equal(t, first.Expires(), second.Expires())
	require.True(t, second.HasScope("read"))
	var got struct{ Aud []string }
	require.NoError(t, second.Decode(&got))
	require.Equal(t, []string{"api"}, got.Aud)

	clk.Add(5*time.Minute - time.Second)
	_, err = exchange(t, newExchanger(t, srv, withCache(cache), withClock(clk)))
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total())
	clk.Add(time.Second)
	_, err = exchange(t, b)
	require.NoError(t, err)
	require.Equal(t, 2, srv.Total(), "what came from the shared tier ends with it")
}

func TestElsewhere_PlaintextTokensInCacheKeys(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Claims: m{"sub": "alice@example.com"}, Embed: true})
	cache := newMemoryCache()
	tok, err := exchange(t, newExchanger(t, srv, withCache(cache)))
	require.NoError(t, err)
	dump := cache.dump()
	require.NotEmpty(t, dump)
	leaktest.None(t, dump, opaque, tok.JWT(), "alice@example.com", "gateway-secret")
}

// What an attacker who can write to the shared tier may try.
func TestASpoiledSharedValueIsFetchedAgain(t *testing.T) {
	t.Parallel()
	flip := func(i int) func(string, []byte) []byte {
		return func(_ string, v []byte) []byte {
			v = bytes.Clone(v)
			v[(i+len(v))%len(v)] ^= 1
			return v
		}
	}
	for _, c := range []struct {
		rule   string
		change func(key string, value []byte) []byte
	}{
		{"another version", flip(0)},
		{"a later deadline", flip(3)},
		{"another nonce", flip(10)},
		{"another text", flip(40)},
		{"another tag", flip(-1)},
		{"cut short", func(_ string, v []byte) []byte { return v[:len(v)-1] }},
		{"cut to nothing", func(string, []byte) []byte { return []byte{} }},
		{"a mere header", func(_ string, v []byte) []byte { return v[:21] }},
		{"made longer", func(_ string, v []byte) []byte { return append(bytes.Clone(v), 0) }},
		{"huge", func(string, []byte) []byte { return make([]byte, 10<<20) }},
		{"plain JSON", func(string, []byte) []byte { return []byte(`{"s":"mallory"}`) }},
		{"gone", func(string, []byte) []byte { return nil }},
	} {
		srv := newServer(t)
		srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
		cache := newMemoryCache()
		_, err := exchange(t, newExchanger(t, srv, withCache(cache)))
		require.NoError(t, err, c.rule)
		require.Equal(t, 1, cache.each(c.change), "%s: only the answer is left in the cache", c.rule)
		fresh := newExchanger(t, srv, withCache(cache))
		tok, err := exchange(t, fresh)
		require.NoError(t, err, c.rule)
		require.Equal(t, "alice", tok.Subject(), c.rule)
		require.Equal(t, 2, srv.Total(), c.rule)
		_, err = exchange(t, newExchanger(t, srv, withCache(cache)))
		require.NoError(t, err, c.rule)
		require.Equal(t, 2, srv.Total(), "%s: and replaced", c.rule)
	}
}

func TestASharedValueMovedToAnotherTokenIsRefused(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
	srv.Answer("mallorys", phantomtestJSON(m{"sub": "mallory"}))
	cache := newMemoryCache()
	var alices []byte
	_, err := exchange(t, newExchanger(t, srv, withCache(cache)))
	require.NoError(t, err)
	cache.each(func(_ string, v []byte) []byte { alices = v; return v })
	_, err = newExchanger(t, srv, withCache(cache)).Exchange(t.Context(), "mallorys")
	require.NoError(t, err)
	require.Equal(t, 2, cache.each(func(string, []byte) []byte { return alices }))

	tok, err := newExchanger(t, srv, withCache(cache)).Exchange(t.Context(), "mallorys")
	require.NoError(t, err)
	require.Equal(t, "mallory", tok.Subject())
	require.Equal(t, 2, srv.Calls("mallorys"))
}

func TestASharedValueKeptPastItsDeadlineIsRefused(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache() // expires nothing by itself
	_, err := exchange(t, newExchanger(t, srv, withCache(cache), withClock(clk)))
	require.NoError(t, err)
	require.Equal(t, 5*time.Minute, only(t, cache))
	clk.Add(5 * time.Minute)
	srv.Answer(opaque, phantomtest.Answer{})
	_, err = exchange(t, newExchanger(t, srv, withCache(cache), withClock(clk)))
	require.ErrorIs(t, err, phantom.ErrInactive)
}

// only is the ttl of the one answer in the cache.
func only(t *testing.T, c *memoryCache) time.Duration {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []time.Duration
	for k := range c.values {
		if isAnswer(k) {
			found = append(found, c.ttls[k])
		}
	}
	require.Len(t, found, 1)
	return found[0]
}

func TestASharedValueIsHeldToThisProcesssMaxTTL(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache()
	_, err := exchange(t, newExchanger(t, srv, withCache(cache), withClock(clk), func(c *phantom.Config) { c.MaxTTL = time.Hour }))
	require.NoError(t, err)
	clk.Add(50 * time.Second)
	short := newExchanger(t, srv, withCache(cache), withClock(clk), func(c *phantom.Config) { c.MaxTTL = time.Minute })
	_, err = exchange(t, short)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total())
	clk.Add(10 * time.Second)
	_, err = exchange(t, short)
	require.NoError(t, err)
	require.Equal(t, 2, srv.Total())
}

// Who asks, where and for what belongs to the key: the answer may differ by it.
func TestAnswersAreNotSharedAcross(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		change func(*phantom.Config)
		shared bool
	}{
		{"the same", func(*phantom.Config) {}, true},
		{"the same client by another method", func(c *phantom.Config) { c.Auth = clientauth.Post("gateway", "x") }, true},
		{"another client", func(c *phantom.Config) { c.Auth = clientauth.Basic("other", "gateway-secret") }, false},
		{"another endpoint", func(c *phantom.Config) { c.Endpoint += "?x=1" }, false},
		{"other formats", func(c *phantom.Config) { c.Accept = []phantom.Format{phantom.JSON} }, false},
		{"another key", func(c *phantom.Config) { c.CacheKey = bytes.Repeat([]byte{8}, 32) }, false},
	} {
		srv := newServer(t)
		srv.Answer(opaque, phantomtestJSON(m{}))
		cache := newMemoryCache()
		_, err := exchange(t, newExchanger(t, srv, withCache(cache)))
		require.NoError(t, err)
		_, err = exchange(t, newExchanger(t, srv, withCache(cache), c.change))
		require.NoError(t, err)
		require.Equal(t, c.shared, srv.Total() == 1, c.rule)
	}
}

func TestAFailingSharedTierFailsNoRequest(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache()
	cache.setFail(errors.New("connection refused to " + opaque))
	var events []phantom.Event
	ex := newExchanger(t, srv, withCache(cache), func(c *phantom.Config) {
		c.Observe = func(_ context.Context, e phantom.Event) {
			if e.Kind == "cache" {
				events = append(events, e)
			}
		}
	})
	_, err := exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 1, cache.ops, "after a failure it is left alone for this exchange")
	require.Len(t, events, 1)
	require.Equal(t, phantom.ErrUnavailable, events[0].Err)
	_, err = exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total(), "the first tier goes on")
	require.ErrorIs(t, ex.Evict(t.Context(), opaque), phantom.ErrUnavailable)
	require.ErrorIs(t, ex.EvictSubject(t.Context(), "alice"), phantom.ErrUnavailable)
	_, err = exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 2, srv.Total(), "evicted here in any case")
}

func TestAHangingSharedTierFailsNoRequest(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache()
	cache.block = make(chan struct{})
	defer close(cache.block)
	ex := newExchanger(t, srv, withCache(cache), func(c *phantom.Config) { c.Timeout = time.Second })
	_, err := exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total())
}

func TestEvictionReachesTheSharedTier(t *testing.T) {
	t.Parallel()
	for name, evict := range map[string]func(*phantom.Exchanger) error{
		"token":   func(ex *phantom.Exchanger) error { return ex.Evict(context.Background(), opaque) },
		"subject": func(ex *phantom.Exchanger) error { return ex.EvictSubject(context.Background(), "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			srv := newServer(t)
			srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
			cache := newMemoryCache()
			local := func(c *phantom.Config) { c.LocalTTL = 10 * time.Second }
			a := newExchanger(t, srv, withCache(cache), withClock(clk), local)
			b := newExchanger(t, srv, withCache(cache), withClock(clk), local)
			for _, ex := range []*phantom.Exchanger{a, b} {
				_, err := exchange(t, ex)
				require.NoError(t, err)
			}
			require.Equal(t, 1, srv.Total())
			srv.Answer(opaque, phantomtest.Answer{}) // revoked
			require.NoError(t, evict(a))
			_, err := exchange(t, a)
			require.ErrorIs(t, err, phantom.ErrInactive, "here at once")
			_, err = exchange(t, newExchanger(t, srv, withCache(cache), withClock(clk)))
			require.ErrorIs(t, err, phantom.ErrInactive, "in the shared tier at once")
			_, err = exchange(t, b)
			require.NoError(t, err, "another process's first tier")
			clk.Add(10 * time.Second)
			_, err = exchange(t, b)
			require.ErrorIs(t, err, phantom.ErrInactive, "follows within LocalTTL")
		})
	}
}

func TestASpoiledEvictionStillEvicts(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
	cache := newMemoryCache()
	a := newExchanger(t, srv, withCache(cache))
	_, err := exchange(t, a)
	require.NoError(t, err)
	require.NoError(t, a.EvictSubject(t.Context(), "alice"))
	cache.each(func(key string, v []byte) []byte {
		if isAnswer(key) {
			return v
		}
		return []byte("spoiled")
	})
	_, err = exchange(t, newExchanger(t, srv, withCache(cache)))
	require.NoError(t, err)
	require.Equal(t, 2, srv.Total())
}

// Two Exchangers with one cache stand for two processes.
func TestOneIntrospectionAcrossProcesses(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
	release := srv.Hold()
	cache := newMemoryCache()
	results := make(chan error, 8)
	for range 8 {
		ex := newExchanger(t, srv, withCache(cache))
		go func() {
			_, err := ex.Exchange(context.Background(), opaque)
			results <- err
		}()
	}
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	require.Eventually(t, func() bool { // all have asked for the lock at least once
		cache.mu.Lock()
		defer cache.mu.Unlock()
		return cache.ops > 30
	}, 10*time.Second, time.Millisecond)
	release()
	for range 8 {
		require.NoError(t, <-results)
	}
	require.Equal(t, 1, srv.Total())
	cache.each(func(key string, v []byte) []byte {
		require.True(t, isAnswer(key), "the lock is given back")
		return v
	})
}

func TestALockNobodyReleasesDelaysOnly(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache()
	lockOnly := &lockedCache{cache}
	ex := newExchanger(t, srv, withCache(cache), func(c *phantom.Config) {
		c.Cache, c.Timeout = lockOnly, 4*time.Second
	})
	_, err := exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total())
}

// lockedCache is one in which every lock is another's.
type lockedCache struct{ *memoryCache }

func (lockedCache) Add(context.Context, string, []byte, time.Duration) (bool, error) {
	return false, nil
}

func TestARefreshTakesANewerAnswerFromTheSharedTier(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache()
	refreshed := make(chan struct{}, 8)
	observe := func(c *phantom.Config) {
		c.Observe = func(_ context.Context, e phantom.Event) {
			if e.Kind == "introspect" || e.Kind == "shared" {
				refreshed <- struct{}{}
			}
		}
	}
	a := newExchanger(t, srv, withCache(cache), withClock(clk), observe)
	b := newExchanger(t, srv, withCache(cache), withClock(clk), observe)
	for _, ex := range []*phantom.Exchanger{a, b} {
		for range 20 {
			_, err := exchange(t, ex)
			require.NoError(t, err)
		}
		<-refreshed
	}
	clk.Add(285 * time.Second)
	for _, ex := range []*phantom.Exchanger{a, b} {
		_, err := exchange(t, ex)
		require.NoError(t, err)
		<-refreshed
		require.Eventually(t, func() bool { return cacheHolds(cache, 1) }, 10*time.Second, time.Millisecond)
	}
	require.Equal(t, 2, srv.Total(), "one introspection, one refresh, for both")
}

// cacheHolds reports whether n answers are in the cache and no lock.
func cacheHolds(c *memoryCache, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.values) == n
}

package redisstore

import (
	"context"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

// tier is phantom.Cache and spa.Sessions, which this module need not import.
type tier interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error)
}

func TestCacheAndSessions(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t).Addr)
	for name, v := range map[string]tier{"tv:cache:": NewCache(c), "tv:session:": NewSessions(c)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			_, err := v.Get(ctx, "k")
			require.ErrorIs(t, err, fs.ErrNotExist, "in %s nothing yet, whatever the other has", name)

			value := []byte("a\x00\xff" + name)
			require.NoError(t, v.Set(ctx, "k", value, time.Minute))
			got, err := v.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, value, got)
			ttl, err := c.PTTL(ctx, name+"k").Result()
			require.NoError(t, err)
			require.Greater(t, ttl, 50*time.Second)
			require.LessOrEqual(t, ttl, time.Minute)

			ok, err := v.Add(ctx, "k", []byte("other"), time.Minute)
			require.NoError(t, err)
			require.False(t, ok)
			got, err = v.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, value, got, "Add does not overwrite")

			for range 2 {
				require.NoError(t, v.Set(ctx, "k", nil, 0), "removes, also what is not there")
			}
			_, err = v.Get(ctx, "k")
			require.ErrorIs(t, err, fs.ErrNotExist)

			require.NoError(t, v.Set(ctx, "empty", nil, time.Minute))
			got, err = v.Get(ctx, "empty")
			require.NoError(t, err)
			require.Empty(t, got)
		})
	}
}

func TestAddIsForOne(t *testing.T) {
	t.Parallel()
	cache := NewCache(connect(t, testserver.Redis(t).Addr))
	var wins atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			ok, err := cache.Add(t.Context(), "flight", []byte("x"), time.Minute)
			if err != nil {
				t.Error(err)
			}
			if ok {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, wins.Load())
}

func TestShortLives(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t).Addr)
	cache := NewCache(c)
	for _, ttl := range []time.Duration{0, -time.Second} {
		_, err := cache.Add(t.Context(), "k", nil, ttl)
		require.ErrorIs(t, err, errTTL)
	}
	require.NoError(t, cache.Set(t.Context(), "set", []byte("x"), time.Nanosecond))
	ok, err := cache.Add(t.Context(), "add", []byte("x"), time.Nanosecond)
	require.NoError(t, err)
	require.True(t, ok)
	for _, key := range []string{"set", "add"} {
		require.Eventually(t, func() bool {
			_, err := cache.Get(t.Context(), key)
			return err != nil
		}, time.Minute, time.Millisecond, "less than a millisecond is not for ever")
	}
}

func TestCacheErrors(t *testing.T) {
	t.Parallel()
	server := testserver.Redis(t)
	cache := NewCache(connect(t, server.Addr))
	server.Stop()
	_, err := cache.Get(t.Context(), "k")
	require.ErrorContains(t, err, "redisstore: get: ")
	require.NotErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, cache.Set(t.Context(), "k", []byte("s3cret"), time.Minute), "redisstore: set: ")
	_, err = cache.Add(t.Context(), "k", []byte("s3cret"), time.Minute)
	require.ErrorContains(t, err, "redisstore: add: ")
	require.NotContains(t, err.Error(), "s3cret")
}

package sqlstore

import (
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s, ctx := o.sessions(t), t.Context()
		const key = "k\x00\xff"
		_, err := s.Get(ctx, key)
		require.ErrorIs(t, err, fs.ErrNotExist)

		value := []byte("a\x00\xffb")
		require.NoError(t, s.Set(ctx, key, value, time.Minute))
		got, err := s.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, value, got)
		require.NoError(t, s.Set(ctx, key, []byte("second"), time.Minute))
		got, err = s.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, "second", string(got), "Set overwrites")

		ok, err := s.Add(ctx, key, []byte("third"), time.Minute)
		require.NoError(t, err)
		require.False(t, ok)
		got, err = s.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, "second", string(got), "Add does not overwrite")

		for range 2 {
			require.NoError(t, s.Set(ctx, key, nil, 0), "removes, also what is not there")
		}
		_, err = s.Get(ctx, key)
		require.ErrorIs(t, err, fs.ErrNotExist)

		require.NoError(t, s.Set(ctx, "empty", nil, time.Minute))
		got, err = s.Get(ctx, "empty")
		require.NoError(t, err)
		require.Empty(t, got)
		_, err = s.Add(ctx, key, nil, -1)
		require.ErrorIs(t, err, errTTL)
	})
}

func TestExpiredSessionIsAbsent(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s, ctx := o.sessions(t), t.Context()
		require.NoError(t, s.Set(ctx, "k", []byte("old"), time.Nanosecond))
		require.Eventually(t, func() bool {
			ok, err := s.Add(ctx, "k", []byte("new"), time.Hour)
			return err == nil && ok
		}, time.Minute, time.Millisecond, "an expired value is no value")
		got, err := s.Get(ctx, "k")
		require.NoError(t, err)
		require.Equal(t, "new", string(got))
		var expires int64
		require.NoError(t, s.db.QueryRowContext(ctx, "SELECT expires FROM tokenvault_sessions").Scan(&expires))
		require.WithinDuration(t, time.Now().Add(time.Hour), time.UnixMicro(expires), 10*time.Minute)
	})
}

func TestAddIsForOne(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, o opener) {
		s := o.sessions(t)
		var wins atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				ok, err := s.Add(t.Context(), "flight", []byte("x"), time.Minute)
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
	})
}

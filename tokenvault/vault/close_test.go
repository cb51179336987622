package vault_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestClose_UnderLoadLosesNoRotation(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		const grants = 50
		for n := range grants {
			f.connect(fmt.Sprint(n), "alice", -time.Minute)
		}
		f.as.set(func(n int) act {
			return act{after: func(context.Context) { time.Sleep(time.Duration(n) * 20 * time.Millisecond) }}
		})
		f.store.intercept(func(_ context.Context, op string, r vault.Row) error {
			if op == "save" && r.Generation == 2 && time.Now().UnixNano()%3 == 0 {
				return errStoreDown
			}
			return nil
		})
		var wg sync.WaitGroup
		for n := range grants {
			wg.Go(func() { _ = f.vault.Refresh(f.Context(), fmt.Sprint(n), "alice") })
		}
		time.Sleep(100 * time.Millisecond)
		time.AfterFunc(3*time.Second, func() { f.store.fail(nil) })
		require.NoError(f, f.vault.Close(f.Context()))
		wg.Wait()
		require.Equal(f, grants, f.as.refreshes())
		for n := range grants {
			require.EqualValues(f, 2, f.row(fmt.Sprint(n)).Generation)
		}
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "0", "alice"), vault.ErrUnavailable)
		require.ErrorIs(f, f.vault.Exchange(f.Context(), "new", "alice", "as", "code"), vault.ErrUnavailable)
		require.ErrorIs(f, f.vault.Revoke(f.Context(), "0", "alice"), vault.ErrUnavailable)
		_, err := f.vault.Reveal(f.Context(), "0", "alice")
		require.NoError(f, err, "a closed vault still reads")
		require.NoError(f, f.vault.Close(f.Context()), "twice")
	})
}

func TestClose_SaysWhatItGaveUp(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.store.fail(func(op string, _ vault.Row) bool { return op == "save" })
		require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
		ctx, cancel := context.WithTimeout(f.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := f.vault.Close(ctx)
		require.ErrorContains(f, err, "1 new tokens not saved")
		require.ErrorIs(f, err, context.DeadlineExceeded)
		require.Equal(f, 10*time.Second, time.Since(began))
	})
}

func TestClose_DoesNotOutliveItsContext(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{before: hang, status: dropped} })
		go func() { _ = f.vault.Refresh(f.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(f, f.vault.Close(ctx), context.DeadlineExceeded)
		require.Equal(f, time.Second, time.Since(began))
	})
}

func TestTenThousandRefreshesLeaveGoroutinesFlat(t *testing.T) {
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	before := runtime.NumGoroutine()
	for range 10_000 {
		if err := f.vault.Refresh(t.Context(), "g", "alice"); err != nil {
			t.Fatal(err)
		}
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before+5)
	require.Equal(t, 10_001, f.as.refreshes())
}

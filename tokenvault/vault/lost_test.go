package vault_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// overtake makes the first swap of a kind come second: another write to the row
// stands before it.
func (f *fixture) overtake(kind string) {
	done := false
	f.store.intercept(func(ctx context.Context, op string, r vault.Row) error {
		if op == kind && !done {
			done = true
			now, err := f.store.Store.Get(ctx, r.ID)
			if ok, errSwap := f.store.Store.Swap(ctx, now); !ok {
				f.Error("not overtaken: ", errors.Join(err, errSwap))
			}
		}
		return nil
	})
}

func TestRefresh_ALostAcquireSendsNothingWithoutTheLease(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.overtake("acquire")
		f.as.set(func(int) act {
			return act{before: func(context.Context) {
				if f.row("g").Holder == "" {
					f.Error("asked without the lease")
				}
			}}
		})
		require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
		require.Equal(f, 1, f.as.refreshes())
	})
}

func TestRefresh_ALostKillIsRepeated(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.overtake("kill")
		f.as.set(func(int) act { return act{status: 400, body: `{"error":"invalid_grant"}`} })
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
		row := f.row("g")
		require.Equal(f, vault.Dead, row.State)
		require.True(f, row.LeaseUntil.IsZero() && row.Intent.IsZero() && row.NotBefore.IsZero(), "nothing is left of the attempt")
		require.Equal(f, 1, f.as.refreshes())
	})
}

func TestRefresh_ARowThatIsGoneAfterInvalidGrantIsErrNotExist(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act {
			return act{before: func(context.Context) { f.store.Store = vault.NewMemoryStore() }, status: 400, body: `{"error":"invalid_grant"}`}
		})
		err := f.vault.Refresh(f.Context(), "g", "alice")
		require.ErrorIs(f, err, fs.ErrNotExist)
		require.NotErrorIs(f, err, vault.ErrUnavailable)
	})
}

func TestRefresh_ARowThatCannotBeReadAfterInvalidGrantIsNotKilled(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act {
			down := func(context.Context) { f.store.fail(func(op string, _ vault.Row) bool { return op == "get" }) }
			return act{before: down, status: 400, body: `{"error":"invalid_grant"}`}
		})
		err := f.vault.Refresh(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.NotErrorIs(f, err, fs.ErrNotExist)
		require.Equal(f, vault.Active, f.row("g").State)
	})
}

// Failing to give the lease back is harmless, and nothing to repeat.
func TestRefresh_AReleaseThatFailsIsTriedOnce(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{status: 503}))
		releases := 0
		f.store.fail(func(op string, _ vault.Row) bool {
			if op == "release" {
				releases++
			}
			return op == "release" && releases < 100
		})
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrUnavailable)
		require.Equal(f, 1, releases)
		require.NotEmpty(f, f.row("g").Holder)
		require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"), "after the lease")
	})
}

// A release that was overtaken looks at the row again; what it cannot read it
// leaves alone.
func TestRefresh_AReleaseThatIsOvertakenIsRepeatedIfTheRowCanBeRead(t *testing.T) {
	for name, readable := range map[string]bool{"readable": true, "not readable": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.set(once(act{status: 503}))
				releases := 0
				f.store.intercept(func(ctx context.Context, op string, r vault.Row) error {
					if op == "get" && releases == 1 && !readable {
						return errStoreDown
					}
					if op != "release" {
						return nil
					}
					if releases++; releases == 1 {
						_, err := f.store.Store.Swap(ctx, f.row("g"))
						return err
					}
					return nil
				})
				require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrUnavailable)
				require.Equal(f, readable, f.row("g").Holder == "")
				require.Equal(f, map[bool]int{true: 2, false: 1}[readable], releases)
			})
		})
	}
}

// After a second attempt without answer the caller learns of the pause that the
// fleet then keeps, not only of the lease.
func TestRefresh_RetryAfterOfASecondUnansweredAttemptCountsThePause(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{before: hang, status: dropped} })
		for range 2 {
			_, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.ErrorIs(f, err, vault.ErrUnavailable)
			row := f.row("g")
			until := row.LeaseUntil
			if row.NotBefore.After(until) {
				until = row.NotBefore
			}
			require.InDelta(f, time.Until(until).Seconds(), retryAfter(f, err).Seconds(), 0.1)
		}
		row := f.row("g")
		require.True(f, row.NotBefore.After(row.LeaseUntil))
		require.Equal(f, 2, f.as.refreshes())
	})
}

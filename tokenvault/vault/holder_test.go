package vault_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestRefresh_TheStoreDownAtAcquireSendsNothing(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.store.fail(func(op string, _ vault.Row) bool { return op == "acquire" })
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.ErrorIs(f, err, errStoreDown)
		require.Empty(f, f.as.requests)
		f.store.fail(nil)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
	})
}

func TestRefresh_AnAcquireThatWasWrittenButFailedSendsNothing(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.store.after = func(op string, _ vault.Row) error {
			if op == "acquire" && f.as.refreshes() == 0 && f.row("g").Revision == 2 {
				return errStoreDown
			}
			return nil
		}
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.Empty(f, f.as.requests)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err, "after the lease")
		require.Equal(f, 1, f.as.refreshes())
	})
}

func TestRefresh_ASaveThatWasWrittenButFailedIsRecognized(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.store.after = func(op string, r vault.Row) error {
			if op == "save" && r.Generation == 2 {
				return errStoreDown
			}
			return nil
		}
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.True(f, f.as.alive(got.AccessToken))
		require.EqualValues(f, 2, f.row("g").Generation)
		require.Empty(f, f.events.of("unsaved"))
	})
}

func TestRefresh_ACrashedHolderIsWaitedForAndThenReplaced(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.crash("g")
		began := time.Now()
		for _, v := range []*vault.Vault{f.vault, f.replica()} {
			go func() { _ = v.Refresh(f.Context(), "g", "alice") }()
		}
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.InDelta(f, 15, time.Since(began).Seconds(), 0.5, "its lease")
		require.Equal(f, 1, f.as.refreshes())
		row := f.row("g")
		require.Zero(f, row.Intent)
		require.Zero(f, row.NotBefore)
		require.Empty(f, row.Holder)
	})
}

// crash leaves the row as a holder does that is killed with the lease.
func (f *fixture) crash(id string) {
	f.Helper()
	r, err := f.store.Store.Get(context.Background(), id)
	r.Holder, r.LeaseUntil, r.Intent = "crashed", r.Now.Add(15*time.Second), r.Now
	if ok, errSwap := f.store.Store.Swap(context.Background(), r); !ok {
		f.Errorf("no crash: %v, %v", err, errSwap)
	}
}

func TestRefresh_AWaiterDoesNotOutliveItsDeadlineNorRefreshWithoutTheLease(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.crash("g")
		ctx, cancel := context.WithTimeout(f.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := f.vault.Reveal(ctx, "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.ErrorIs(f, err, context.DeadlineExceeded)
		require.Equal(f, 3*time.Second, time.Since(began))
		require.Empty(f, f.as.requests)
	})
}

func TestRefresh_ALeaseThatOthersKeepRenewingEndsInUnavailable(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.crash("g")
		for n := range 5 {
			time.AfterFunc(time.Duration(n+1)*5*time.Second, func() { f.crash("g") })
		}
		began := time.Now()
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.Equal(f, 30*time.Second, time.Since(began), "two leases")
		require.Positive(f, retryAfter(f, err))
		require.Empty(f, f.as.requests)
	})
}

// The lease is someone else's by the time the answer comes: their answer counts.
func TestRefresh_InvalidGrantAfterTheLeaseIsLostWaitsAndKillsNothing(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(n int) act {
			if n == 1 {
				return act{before: func(context.Context) { time.Sleep(17 * time.Second) }, status: 400, body: `{"error":"invalid_grant"}`}
			}
			return act{before: func(context.Context) { time.Sleep(6 * time.Second) }}
		})
		f.store.after = func(op string, _ vault.Row) error {
			if op == "kill" {
				f.Error("killed without the lease")
			}
			return nil
		}
		first := make(chan error, 1)
		go func() { first <- f.vault.Refresh(f.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		require.NoError(f, f.replica().Refresh(f.Context(), "g", "alice"))
		require.NoError(f, <-first)
		require.Equal(f, 2, f.as.refreshes())
	})
}

func TestRefresh_TheStoreDownAfterInvalidGrantKillsNothing(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{status: 400, body: `{"error":"invalid_grant"}`} })
		f.store.fail(func(op string, _ vault.Row) bool { return op == "kill" })
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrUnavailable)
		require.Equal(f, vault.Active, f.row("g").State)
		f.store.fail(nil)
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize, "asked again after the lease")
		require.Equal(f, 2, f.as.refreshes())
	})
}

// A holder that is frozen with the answer in its hands wakes up after another
// holder has taken the lease.
func TestRefresh_ALateSuccessIsSavedThoughTheLeaseIsAnothers(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(n int) act {
			if n == 1 {
				return act{after: func(context.Context) { time.Sleep(18 * time.Second) }}
			}
			return act{before: func(context.Context) { time.Sleep(6 * time.Second) }}
		})
		late, next := make(chan error, 1), make(chan error, 1)
		go func() { late <- f.vault.Refresh(f.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		other := f.replica()
		go func() { next <- other.Refresh(f.Context(), "g", "alice") }()
		require.NoError(f, <-late)
		require.EqualValues(f, 2, f.row("g").Generation)
		require.NoError(f, <-next, "invalid_grant for a generation that has moved")
		row := f.row("g")
		require.Equal(f, vault.Active, row.State)
		require.EqualValues(f, 2, row.Generation)
		require.Equal(f, 2, f.as.refreshes())
	})
}

func TestRefresh_ALateSuccessRevivesAGrantDeclaredDead(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{after: func(context.Context) { time.Sleep(20 * time.Second) }}))
		late := make(chan error, 1)
		go func() { late <- f.vault.Refresh(f.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		require.ErrorIs(f, f.replica().Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
		require.Equal(f, vault.Dead, f.row("g").State)
		require.NoError(f, <-late)
		require.Equal(f, vault.Active, f.row("g").State)
		require.Len(f, f.events.of("revived"), 1)
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
	})
}

// A process stopped between the lease and the POST must not send once it runs
// again, however late its timers fire.
func TestRefresh_AHolderFrozenBeforeThePOSTSendsNothing(t *testing.T) {
	frozen := make(chan struct{}, 1)
	frozen <- struct{}{}
	inBubble(t, func(_ *vault.Config, p *vault.Provider) {
		as := p.Client.Transport
		p.Client = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			select {
			case <-frozen:
				time.Sleep(20 * time.Second)
			default:
			}
			return as.RoundTrip(req)
		})}
	}, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		woken := make(chan error, 1)
		go func() { woken <- f.vault.Refresh(f.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		require.NoError(f, f.replica().Refresh(f.Context(), "g", "alice"))
		require.NoError(f, <-woken, "what the other has stored")
		require.Equal(f, 1, f.as.refreshes())
		require.Equal(f, vault.Active, f.row("g").State)
		require.EqualValues(f, 2, f.row("g").Generation)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

func TestRefresh_PutDuringARefreshWins(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		var put *oauth2.Token
		f.as.set(once(act{after: func(context.Context) { put = f.connect("g", "alice", time.Hour) }}))
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.Equal(f, put.AccessToken, got.AccessToken)
		require.EqualValues(f, 2, f.row("g").Generation)
	})
}

func TestRefresh_ARowLostDuringARefreshIsMadeAgain(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{after: func(context.Context) { f.store.Store = vault.NewMemoryStore() }}))
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.True(f, f.as.alive(got.AccessToken))
		require.EqualValues(f, 2, f.row("g").Generation)
	})
}

func TestRefresh_ARowThatBecameAnothersDuringARefreshIsLeftAlone(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{after: func(context.Context) {
			f.store.Store = vault.NewMemoryStore()
			f.connect("g", "bob", time.Hour)
		}}))
		require.Error(f, f.vault.Refresh(f.Context(), "g", "alice"))
		require.Equal(f, "bob", f.row("g").Owner)
		require.EqualValues(f, 1, f.row("g").Generation)
	})
}

func TestRefresh_ResealDuringARefreshLosesNothing(t *testing.T) {
	for name, a := range map[string]act{"granted": {}, "refused": {status: 500}, "dead": {status: 400, body: `{"error":"invalid_grant"}`}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				a.before = func(context.Context) {
					f.ring.Replace(keys{f.keys[1], f.keys[0]}.ring(f))
					before := f.row("g")
					require.NoError(f, f.vault.Reseal(f.Context(), nil))
					after := f.row("g")
					require.NotEqual(f, before.Blob, after.Blob)
					before.Blob, before.Revision, before.Now = after.Blob, after.Revision, after.Now
					require.Equal(f, before, after, "generation and lease are left alone")
				}
				f.as.set(once(a))
				err := f.vault.Refresh(f.Context(), "g", "alice")
				row := f.row("g")
				require.Empty(f, row.Holder, "the holder still knows itself")
				f.ring.Replace(f.keys[1:].ring(f))
				switch name {
				case "granted":
					require.NoError(f, err)
					require.EqualValues(f, 2, row.Generation)
				case "refused":
					require.ErrorIs(f, err, vault.ErrUnavailable)
					time.Sleep(retryAfter(f, err) + time.Millisecond)
					require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"), "under the new key alone")
				case "dead":
					require.ErrorIs(f, err, vault.ErrReauthorize)
					require.Equal(f, vault.Dead, row.State)
				}
			})
		})
	}
}

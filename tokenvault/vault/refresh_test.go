package vault_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Every test with a clock runs in a bubble of testing/synctest: its hours take
// no time, and what would hang fails.
func inBubble(t *testing.T, change func(*vault.Config, *vault.Provider), run func(*fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { run(setup(t, change)) })
}

func TestRefresh_AValidTokenIsUsedWithoutAsking(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", time.Hour)
		f.connect("for ever", "alice", 0)
		for range 3 {
			got, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.NoError(f, err)
			require.Equal(f, tok.AccessToken, got.AccessToken)
		}
		writes := f.store.writes.Load()
		require.EqualValues(f, 2, writes, "using a grant writes nothing")
		require.Empty(f, f.as.requests)
	})
}

func TestRefresh_InsideRefreshBeforeTheTokenIsUsedAndRenewedBehind(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", 29*time.Second)
		f.as.set(func(int) act { return act{after: func(context.Context) { time.Sleep(time.Second) }} })
		for range 10 {
			got, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.NoError(f, err)
			require.Equal(f, tok.AccessToken, got.AccessToken, "nobody waits")
		}
		time.Sleep(2 * time.Second)
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.NotEqual(f, tok.AccessToken, got.AccessToken)
		require.Equal(f, 1, f.as.refreshes())
	})
}

func TestRefresh_ARefreshBehindThatFailsLeavesTheTokenInUse(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", 20*time.Second)
		f.as.set(func(int) act { return act{status: 500} })
		for range 15 {
			got, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.NoError(f, err)
			require.Equal(f, tok.AccessToken, got.AccessToken)
			time.Sleep(time.Second)
		}
		require.Less(f, f.as.refreshes(), 6, "the pauses hold behind callers, too")
	})
}

func TestRefresh_TokensThatLiveShorterThanRefreshBeforeAreNotRenewedAtEachUse(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.lifetime = 20 * time.Second
		for range 90 {
			_, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.NoError(f, err)
			time.Sleep(time.Second)
		}
		require.InDelta(f, 9, f.as.refreshes(), 1, "90 s of tokens renewed at half of 20 s")
	})
}

func TestRefresh_ExplicitRefreshRenewsAValidToken(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", time.Hour)
		require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.NotEqual(f, tok.AccessToken, got.AccessToken)
		posts := f.as.posts("/token")
		require.Len(f, posts, 1)
		require.Equal(f, "refresh_token", posts[0].form.Get("grant_type"))
		require.Equal(f, tok.RefreshToken, posts[0].form.Get("refresh_token"))
		require.Len(f, posts[0].form, 2, "nothing else is sent")
	})
}

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
	r := f.row(id)
	r.Holder, r.LeaseUntil, r.Intent = "crashed", r.Now.Add(15*time.Second), r.Now
	ok, err := f.store.Store.Swap(f.Context(), r)
	require.NoError(f, err)
	require.True(f, ok)
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
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Second):
					f.crash("g")
				}
			}
		}()
		began := time.Now()
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		close(stop)
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.Equal(f, 30*time.Second, time.Since(began), "two leases")
		require.Positive(f, retryAfter(f, err))
		require.Empty(f, f.as.requests)
	})
}

func TestRefresh_SentButUnansweredLeavesLeaseAndIntentAndIsAskedAgain(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{before: hang, status: dropped}))
		began := time.Now()
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.Equal(f, 8*time.Second, time.Since(began))
		row := f.row("g")
		require.NotEmpty(f, row.Holder)
		require.NotZero(f, row.Intent)
		require.Equal(f, vault.Active, row.State)
		require.InDelta(f, 7, retryAfter(f, err).Seconds(), 0.1, "what is left of the lease")

		_, err = f.replica().Reveal(f.Context(), "g", "alice")
		require.NoError(f, err, "the next holder")
		posts := f.as.posts("/token")
		require.Len(f, posts, 2)
		require.Equal(f, tok.RefreshToken, posts[1].form.Get("refresh_token"), "with the same refresh token")
		require.InDelta(f, 15, time.Since(began).Seconds(), 0.5)
	})
}

func TestRefresh_AServerThatHangsForAnHourLogsNobodyOut(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		recovers := time.Now().Add(time.Hour)
		f.as.set(func(int) act {
			if time.Now().Before(recovers) {
				return act{before: hang, status: dropped}
			}
			return act{}
		})
		fleet := []*vault.Vault{f.vault, f.replica(), f.replica()}
		for n := 0; time.Now().Before(recovers); n++ {
			ctx, cancel := context.WithTimeout(f.Context(), time.Second)
			_, err := fleet[n%3].Reveal(ctx, "g", "alice")
			cancel()
			require.ErrorIs(f, err, vault.ErrUnavailable)
			time.Sleep(10 * time.Second)
		}
		require.Equal(f, vault.Active, f.row("g").State)
		require.Less(f, f.as.refreshes(), 30, "with a back-off shared by the fleet")
		time.Sleep(8 * time.Minute)
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.Zero(f, f.row("g").NotBefore, "forgotten after a success")
	})
}

func TestRefresh_BackOffDoublesUpToFiveMinutes(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{status: 503} })
		var last time.Duration
		for n := range 12 {
			_, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.ErrorIs(f, err, vault.ErrUnavailable)
			pause := retryAfter(f, err)
			require.LessOrEqual(f, pause, 7*time.Minute+30*time.Second)
			if n < 7 {
				require.GreaterOrEqual(f, pause, last*3/2, "after %d failures", n+1)
			}
			last = pause
			time.Sleep(pause + time.Millisecond)
			require.Equal(f, n+1, f.as.refreshes())
		}
		require.GreaterOrEqual(f, last, 5*time.Minute)
	})
}

func TestRefresh_RotationWithoutAnAnswerCostsOneLogin(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{fail: reset}))
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		require.Equal(f, 2, f.as.refreshes(), "at most two POSTs")
		require.Equal(f, vault.Dead, f.row("g").State)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
		require.Equal(f, 2, f.as.refreshes(), "a dead grant is not asked for")
		f.connect("g", "alice", time.Hour)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err, "the one login")
	})
}

func TestRefresh_InvalidGrantForTheCurrentGenerationKills(t *testing.T) {
	for name, a := range map[string]act{
		"400": {status: 400, body: `{"error":"invalid_grant"}`},
		"200": {status: 200, body: `{"error":"invalid_grant"}`},
		"401": {status: 401, body: `{"error":"invalid_grant"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.set(once(a))
				require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
				row := f.row("g")
				require.Equal(f, vault.Dead, row.State)
				require.Empty(f, row.Holder)
				require.Equal(f, vault.ErrReauthorize, f.events.of("refresh")[0].Err)
			})
		})
	}
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
		require.ErrorIs(f, <-woken, vault.ErrUnavailable)
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

func TestRefresh_WithoutRefreshTokenNothingIsSentAndNothingDies(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := &oauth2.Token{AccessToken: "access token", Expiry: time.Now().Add(time.Minute)}
		require.NoError(f, f.vault.Put(f.Context(), "g", "alice", "as", tok))
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		time.Sleep(time.Minute)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		require.ErrorContains(f, err, "no refresh token")
		require.Equal(f, vault.Active, f.row("g").State)
		require.Empty(f, f.as.requests)
	})
}

func TestRefresh_PastItsLifetimeNothingIsSent(t *testing.T) {
	inBubble(t, func(_ *vault.Config, p *vault.Provider) { p.Lifetime = time.Hour }, func(f *fixture) {
		f.connect("g", "alice", time.Minute)
		time.Sleep(time.Hour)
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		require.Empty(f, f.as.requests)
	})
}

func TestRefresh_TheAnswersRefreshExpiresInCounts(t *testing.T) {
	for value, want := range map[any]time.Duration{1800: 30 * time.Minute, "1800": 30 * time.Minute, 0: 90 * 24 * time.Hour, -1: 90 * 24 * time.Hour, true: 90 * 24 * time.Hour} {
		t.Run(fmt.Sprint(value), func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.extra = map[string]any{"refresh_expires_in": value, "expires_in": "60"}
				require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
				row := f.row("g")
				require.WithinDuration(f, time.Now().Add(want), row.Expires, time.Second)
				require.WithinDuration(f, time.Now().Add(time.Minute), row.AccessExpires, time.Second)
			})
		})
	}
}

func TestRefresh_ClocksOfTheFleetDoNotMatter(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", 10*time.Minute)
		f.config.Now = func() time.Time { return time.Now().Add(11 * time.Minute) } // 11 minutes fast
		fast := f.replica()
		f.as.set(func(int) act { return act{after: func(context.Context) { time.Sleep(2 * time.Second) }} })
		done := make(chan error, 2)
		go func() { _, err := fast.Reveal(f.Context(), "g", "alice"); done <- err }()
		go func() { done <- f.vault.Refresh(f.Context(), "g", "alice") }()
		require.NoError(f, <-done)
		require.NoError(f, <-done)
		require.Equal(f, 1, f.as.refreshes(), "the lease goes by the store's clock")
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.True(f, f.as.alive(got.AccessToken))
	})
}

func TestRefresh_AnUnknownIDIsErrNotExist(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	_, err := f.vault.Reveal(t.Context(), "nobody", "alice")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, f.vault.Refresh(t.Context(), "nobody", "alice"), fs.ErrNotExist)
	require.ErrorIs(t, f.vault.Revoke(t.Context(), "nobody", "alice"), fs.ErrNotExist)
	_, err = f.vault.IDToken(t.Context(), "nobody", "alice")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Zero(t, f.store.writes.Load())
}

func TestRefresh_AnAnswerWithoutReadableTokenIsNoAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"truncated":       `{"access_token":"a`,
		"empty":           ``,
		"HTML":            `<html>`,
		"no access token": `{"refresh_token":"r"}`,
		"too long":        `{"access_token":"` + string(make([]byte, 64<<10)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.set(once(act{status: 200, body: body}))
				require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrUnavailable)
				row := f.row("g")
				require.NotEmpty(f, row.Holder, "lease and intent are left")
				require.NotZero(f, row.Intent)
				require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
				require.Equal(f, 2, f.as.refreshes())
			})
		})
	}
}

func TestRefresh_FormEncodedAnswersAreRead(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{
			status: 200, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
			body: "access_token=a%2Fb&expires_in=60&scope=x+y",
		}))
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.Equal(f, "a/b", got.AccessToken)
		require.Equal(f, "x y", got.Extra("scope"))
		require.WithinDuration(f, time.Now().Add(time.Minute), got.Expiry, time.Second)
	})
}

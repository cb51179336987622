package vault_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// A holder that is stopped and runs again after another has done its work owes
// its own callers what is stored by then.
func TestRefresh_AThawedHolderAnswersWithWhatIsStoredByThen(t *testing.T) {
	const none = 0
	for rule, c := range map[string]struct {
		acquire, post time.Duration // how long the first holder stands still before each
		other         time.Duration // how long the other's POST takes
		posts         int
	}{
		"before the POST":                                   {none, 20 * time.Second, none, 1},
		"before the POST, past its own deadline":            {none, time.Minute, none, 1},
		"before the POST, with the other's still in flight": {none, 17 * time.Second, 6 * time.Second, 1},
		"before the lease":                                  {20 * time.Second, none, none, 1},
		"before the lease, past its own deadline":           {time.Minute, none, none, 1},
	} {
		t.Run(rule, func(t *testing.T) {
			inBubble(t, func(config *vault.Config, p *vault.Provider) {
				p.Client = &http.Client{Transport: freezing(p.Client.Transport, c.post)}
			}, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.set(func(int) act { return act{before: func(context.Context) { time.Sleep(c.other) }} })
				stop := make(chan struct{}, 1)
				stop <- struct{}{}
				f.store.intercept(func(_ context.Context, op string, _ vault.Row) error {
					if op == "acquire" && c.acquire > 0 {
						select {
						case <-stop:
							time.Sleep(c.acquire)
						default:
						}
					}
					return nil
				})
				woken := make(chan error, 3)
				for range cap(woken) {
					go func() {
						_, err := f.vault.Reveal(f.Context(), "g", "alice")
						woken <- err
					}()
				}
				time.Sleep(time.Second)
				require.NoError(f, f.replica().Refresh(f.Context(), "g", "alice"))
				for range cap(woken) {
					require.NoError(f, <-woken)
				}
				require.Equal(f, c.posts, f.as.refreshes())
				require.EqualValues(f, 2, f.row("g").Generation)
			})
		})
	}
}

// freezing stands still before the first request.
func freezing(base http.RoundTripper, d time.Duration) http.RoundTripper {
	first := make(chan struct{}, 1)
	first <- struct{}{}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		select {
		case <-first:
			time.Sleep(d)
		default:
		}
		return base.RoundTrip(req)
	})
}

// The other holder has found the grant dead meanwhile: there is nothing to wait
// for.
func TestRefresh_AThawedHolderTellsOfADeadGrant(t *testing.T) {
	inBubble(t, func(_ *vault.Config, p *vault.Provider) {
		p.Client = &http.Client{Transport: freezing(p.Client.Transport, 20*time.Second)}
	}, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{status: 400, body: `{"error":"invalid_grant"}`} })
		woken := make(chan error, 1)
		go func() { woken <- f.vault.Refresh(f.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		require.ErrorIs(f, f.replica().Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
		require.ErrorIs(f, <-woken, vault.ErrReauthorize)
		require.Equal(f, 1, f.as.refreshes())
	})
}

// What is stored in the last moment of a waiter's time is used.
func TestRefresh_AWaiterLooksOnceMoreAtItsDeadline(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.crash("g")
		for n := range 5 {
			time.AfterFunc(time.Duration(n+1)*5*time.Second, func() { f.crash("g") })
		}
		time.AfterFunc(30*time.Second-time.Nanosecond, func() { f.connect("g", "alice", time.Hour) })
		require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
		require.Empty(f, f.as.requests)
	})
}

package vault_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Each test here is a fault that other libraries are known for.

func TestElsewhere_TwoReplicasRefreshAtOnceAndTheServerRevokesTheFamily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		old := f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{before: func(context.Context) { time.Sleep(time.Second) }} })
		var mu sync.Mutex
		tokens := map[string]int{}
		var wg sync.WaitGroup
		for range 8 {
			v := f.replica()
			for range 64 {
				wg.Go(func() {
					got, err := v.Reveal(t.Context(), "g", "alice")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					tokens[got.AccessToken]++
				})
			}
		}
		wg.Wait()
		require.Equal(t, 1, f.as.refreshes())
		require.Len(t, tokens, 1)
		for access, n := range tokens {
			require.NotEqual(t, old.AccessToken, access)
			require.Equal(t, 512, n)
			require.True(t, f.as.alive(access))
		}
		require.EqualValues(t, 2, f.row("g").Generation)
	})
}

func TestElsewhere_TheLosersFailureDeletesTheWinnersSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		winner := f.replica()
		// The first holder is frozen for 20 s and wakes up to invalid_grant.
		f.as.set(once(act{before: func(context.Context) { time.Sleep(20 * time.Second) }, status: 400, body: `{"error":"invalid_grant"}`}))
		loser := make(chan error, 1)
		go func() { loser <- f.vault.Refresh(t.Context(), "g", "alice") }()
		time.Sleep(16 * time.Second)
		won, err := winner.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err)
		require.NoError(t, <-loser, "it uses what the winner has saved")
		row := f.row("g")
		require.Equal(t, vault.Active, row.State)
		require.EqualValues(t, 2, row.Generation)
		got, err := f.vault.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err)
		require.Equal(t, won.AccessToken, got.AccessToken)
	})
}

func TestElsewhere_ATwoSecondLockLogsUsersOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{after: func(context.Context) { time.Sleep(7 * time.Second) }} })
		var wg sync.WaitGroup
		for _, v := range []*vault.Vault{f.vault, f.replica(), f.replica()} {
			wg.Go(func() {
				_, err := v.Reveal(t.Context(), "g", "alice")
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, f.as.refreshes())
		require.Equal(t, vault.Active, f.row("g").State)
	})
}

func TestElsewhere_WaitersDoNotRecheckAfterWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{after: func(context.Context) { time.Sleep(3 * time.Second) }} })
		other := f.replica()
		go func() { _ = f.vault.Refresh(t.Context(), "g", "alice") }()
		time.Sleep(time.Second)
		require.NoError(t, other.Refresh(t.Context(), "g", "alice"), "waits for the lease of the first")
		require.Equal(t, 1, f.as.refreshes(), "and finds the new generation instead of asking again")
	})
}

func TestElsewhere_RowTTLEqualToAccessExpiryLosesTheRefreshToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", time.Hour)
		require.WithinDuration(t, time.Now().Add(90*24*time.Hour), f.row("g").Expires, time.Second)
		time.Sleep(89 * 24 * time.Hour)
		got, err := f.vault.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err)
		require.True(t, f.as.alive(got.AccessToken))
		require.WithinDuration(t, time.Now().Add(90*24*time.Hour), f.row("g").Expires, time.Second, "counted from the last refresh")
	})
}

func TestElsewhere_A429OrANetworkErrorKillsTheSession(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]act{
		"429":                  {status: 429, header: http.Header{"Retry-After": {"7"}}},
		"500":                  {status: 500, body: "<h1>oops</h1>"},
		"503 with OAuth error": {status: 503, body: `{"error":"invalid_grant"}`},
		"not sent":             {unsent: errors.New("dial: connection refused")},
		"302":                  {status: 302, header: http.Header{"Location": {"https://evil.example/"}}},
		"403 of a firewall":    {status: 403, body: "denied"},
		"invalid_client":       {status: 401, body: `{"error":"invalid_client"}`},
		"an unknown error":     {status: 400, body: `{"error":"slow_down"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := setup(t, nil)
				old := f.connect("g", "alice", -time.Minute)
				f.as.set(once(a))
				if a.unsent != nil {
					var n int
					f.as.set(func(int) act { n++; return first(1, a)(n) })
				}
				_, err := f.vault.Reveal(t.Context(), "g", "alice")
				require.ErrorIs(t, err, vault.ErrUnavailable)
				require.NotErrorIs(t, err, vault.ErrReauthorize)
				after := retryAfter(t, err)
				if name == "429" {
					require.GreaterOrEqual(t, after, 7*time.Second)
				}
				row := f.row("g")
				require.Equal(t, vault.Active, row.State)
				require.EqualValues(t, 1, row.Generation)
				require.Empty(t, row.Holder, "the lease is given back")

				sent := f.as.refreshes()
				_, err = f.replica().Reveal(t.Context(), "g", "alice")
				require.ErrorIs(t, err, vault.ErrUnavailable, "the fleet shares the pause")
				require.Equal(t, sent, f.as.refreshes())

				time.Sleep(after + time.Microsecond)
				got, err := f.vault.Reveal(t.Context(), "g", "alice")
				require.NoError(t, err)
				require.NotEqual(t, old.RefreshToken, got.RefreshToken)
			})
		})
	}
}

func TestElsewhere_AnAnswerWithoutRefreshTokenWipesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		access, refresh := f.as.issue()
		tok := (&oauth2.Token{AccessToken: access, RefreshToken: refresh, Expiry: time.Now().Add(-time.Minute)}).
			WithExtra(map[string]any{"id_token": "the.id.token", "scope": "read write"})
		require.NoError(t, f.vault.Put(t.Context(), "g", "alice", "as", tok))
		f.as.extra = map[string]any{"refresh_token": nil}
		got, err := f.vault.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err)
		require.NotEqual(t, access, got.AccessToken)
		require.Equal(t, refresh, got.RefreshToken)
		require.Equal(t, "the.id.token", got.Extra("id_token"))
		require.Equal(t, "read write", got.Extra("scope"))
		// A null and an empty one are omitted ones, too.
		for _, none := range []any{"", 7, map[string]any{}} {
			f.as.extra = map[string]any{"refresh_token": none, "id_token": none, "scope": none}
			f.as.set(func(int) act {
				return act{status: 200, body: `{"access_token":"x","refresh_token":null,"id_token":"","scope":[]}`}
			})
			require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
			got, err = f.vault.Reveal(t.Context(), "g", "alice")
			require.NoError(t, err)
			require.Equal(t, refresh, got.RefreshToken)
			require.Equal(t, "the.id.token", got.Extra("id_token"))
			require.Equal(t, "read write", got.Extra("scope"))
		}
	})
}

func TestElsewhere_TheSaveFailsAfterRotationAndStrandsTheGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act {
			return act{after: func(context.Context) { f.store.fail(func(string, vault.Row) bool { return true }) }}
		})
		first, err := f.vault.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err, "whoever waits here is served")
		again, err := f.vault.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err, "also while the store cannot even be read")
		require.Equal(t, first.AccessToken, again.AccessToken)
		require.EqualValues(t, 1, f.row("g").Generation)
		require.Len(t, f.events.of("unsaved"), 1)
		_, err = f.vault.Reveal(t.Context(), "g", "mallory")
		require.Error(t, err, "the owner is checked without the store, too")

		time.Sleep(10 * time.Minute)
		f.store.fail(nil)
		time.Sleep(5 * time.Second)
		require.EqualValues(t, 2, f.row("g").Generation)
		got, err := f.replica().Reveal(t.Context(), "g", "alice")
		require.NoError(t, err)
		require.Equal(t, first.AccessToken, got.AccessToken)
		require.Len(t, f.events.of("saved"), 1)
		require.Equal(t, 1, f.as.refreshes())
	})
}

func TestElsewhere_ACallersCancelledContextCancelsEverybodysRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act {
			return act{fail: func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(3 * time.Second):
					return nil
				}
			}}
		})
		ctx, cancel := context.WithCancel(t.Context())
		leaver, stayer := make(chan error, 1), make(chan error, 1)
		go func() { leaver <- f.vault.Refresh(ctx, "g", "alice") }()
		synctest.Wait()
		go func() { stayer <- f.vault.Refresh(t.Context(), "g", "alice") }()
		synctest.Wait()
		began := time.Now()
		cancel()
		err := <-leaver
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, vault.ErrUnavailable)
		require.Zero(t, time.Since(began), "and does not wait")
		require.NoError(t, <-stayer)
		require.Equal(t, 1, f.as.refreshes())
		require.EqualValues(t, 2, f.row("g").Generation)
	})
}

func TestElsewhere_ADatabaseLockIsHeldOverHTTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		f.connect("other", "bob", time.Hour)
		f.as.set(func(int) act {
			return act{before: func(context.Context) {
				if n := f.store.active.Load(); n != 0 {
					t.Errorf("%d store calls are open while the server is asked", n)
				}
				if _, err := f.replica().Reveal(t.Context(), "other", "bob"); err != nil {
					t.Error(err)
				}
			}}
		})
		require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	})
}

func TestElsewhere_TheAuthStyleProbePostsTheRefreshTokenTwice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		style        oauth2.AuthStyle
		header, form bool
	}{
		{oauth2.AuthStyleAutoDetect, true, false},
		{oauth2.AuthStyleInHeader, true, false},
		{oauth2.AuthStyleInParams, false, true},
	} {
		f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.AuthStyle = c.style })
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{status: 401, body: `{"error":"invalid_client"}`}))
		require.ErrorIs(t, f.vault.Refresh(t.Context(), "g", "alice"), vault.ErrUnavailable)
		posts := f.as.posts("/token")
		require.Len(t, posts, 1, "style %d", c.style)
		require.Equal(t, c.header, strings.HasPrefix(posts[0].authorization, "Basic "), "style %d", c.style)
		require.Equal(t, c.form, posts[0].form.Has("client_secret"), "style %d", c.style)
	}
}

func TestElsewhere_ReencryptionDiscardsARotatedToken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", -time.Minute)
	f.ring.Replace(keys{f.keys[1], f.keys[0]}.ring(t))
	var once sync.Once
	f.store.intercept(func(_ context.Context, _ string, r vault.Row) error {
		if r.ID == "g" && r.Revision == 1 && r.Holder == "" && r.Generation == 1 { // Reseal is about to write what it listed
			once.Do(func() { require.NoError(t, f.replica().Refresh(t.Context(), "g", "alice")) })
		}
		return nil
	})
	require.NoError(t, f.vault.Reseal(t.Context(), nil))
	require.EqualValues(t, 2, f.row("g").Generation)
	got, err := f.vault.Reveal(t.Context(), "g", "alice")
	require.NoError(t, err)
	require.True(t, f.as.alive(got.AccessToken))
	require.Equal(t, 1, f.as.refreshes())
}

func TestElsewhere_UserAsIDWithUserBsOwner(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", -time.Minute)
	before := f.row("g")
	_, refresh := f.as.issue()
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Reveal":      func() error { _, err := f.vault.Reveal(ctx, "g", "bob"); return err },
		"IDToken":     func() error { _, err := f.vault.IDToken(ctx, "g", "bob"); return err },
		"Refresh":     func() error { return f.vault.Refresh(ctx, "g", "bob") },
		"Revoke":      func() error { return f.vault.Revoke(ctx, "g", "bob") },
		"TokenSource": func() error { _, err := f.vault.TokenSource(ctx, "g", "bob").Token(); return err },
		"Put":         func() error { return f.vault.Put(ctx, "g", "bob", "as", &oauth2.Token{RefreshToken: refresh}) },
		"Exchange":    func() error { return f.vault.Exchange(ctx, "g", "bob", "as", "code") },
		"Transport": func() error {
			req, _ := http.NewRequestWithContext(ctx, "GET", "https://api.example.com/", nil)
			resp, err := f.vault.Transport("g", "bob", f.as).RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return err
		},
	} {
		err := call()
		require.ErrorIs(t, err, tokenvault.ErrLabel, name)
		require.NotErrorIs(t, err, fs.ErrNotExist, name)
	}
	entries, err := f.vault.List(ctx, "bob")
	require.NoError(t, err)
	require.Empty(t, entries)
	require.Empty(t, f.as.requests, "nothing is sent")
	after := f.row("g")
	after.Now = before.Now
	require.Equal(t, before, after, "the row is unchanged")
}

func TestElsewhere_ATenantsProviderReceivesAnotherProvidersRefreshToken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*vault.Provider){
		"another token URL": func(p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "https://tenant.example/token" },
		"another client id": func(p *vault.Provider) { p.OAuth2.ClientID = "tenant" },
		"another name":      func(p *vault.Provider) { p.Name = "tenant" },
	} {
		f := setup(t, nil)
		f.connect("g", "alice", -time.Minute)
		changed := provider(f.as)
		change(changed)
		f.config.Providers = []*vault.Provider{changed}
		v := f.replica()
		_, err := v.Reveal(t.Context(), "g", "alice")
		require.ErrorIs(t, err, tokenvault.ErrLabel, name)
		require.ErrorIs(t, v.Refresh(t.Context(), "g", "alice"), tokenvault.ErrLabel, name)
		require.Empty(t, f.as.requests, name)
		require.ErrorIs(t, v.Revoke(t.Context(), "g", "alice"), tokenvault.ErrLabel, name)
		require.Empty(t, f.as.requests, name)
	}
}

func TestElsewhere_ACachedClientServesARevokedGrant(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	var api counter
	client := &http.Client{Transport: f.vault.Transport("g", "alice", &api)}
	source := f.vault.TokenSource(t.Context(), "g", "alice")
	resp, err := client.Get("https://api.example.com/")
	require.NoError(t, err)
	resp.Body.Close()
	_, err = source.Token()
	require.NoError(t, err)

	require.NoError(t, f.replica().Revoke(t.Context(), "g", "alice"))
	_, err = client.Get("https://api.example.com/")
	require.ErrorIs(t, err, vault.ErrReauthorize)
	_, err = source.Token()
	require.ErrorIs(t, err, vault.ErrReauthorize)
	require.EqualValues(t, 1, api.n.Load())
}

func TestElsewhere_TheBearerFollowsARedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	var stolen []string
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen = append(stolen, r.Header.Get("Authorization"))
	}))
	defer evil.Close()
	var seen []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/away", http.StatusTemporaryRedirect)
		case "/away":
			http.Redirect(w, r, evil.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer api.Close()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.Hosts, p.InsecureHTTP = []string{strings.TrimPrefix(api.URL, "http://")}, true
	})
	tok := f.connect("g", "alice", time.Hour)
	client := &http.Client{Transport: f.vault.Transport("g", "alice", nil)}
	resp, err := client.Get(api.URL + "/here")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, []string{"Bearer " + tok.AccessToken, "Bearer " + tok.AccessToken}, seen)
	require.Equal(t, []string{""}, stolen)
}

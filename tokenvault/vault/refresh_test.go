package vault_test

import (
	"context"
	"io/fs"
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

func TestRefresh_WithoutRefreshTokenNothingIsSentAndNothingDies(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := &oauth2.Token{AccessToken: "opaque", Expiry: time.Now().Add(time.Minute)}
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

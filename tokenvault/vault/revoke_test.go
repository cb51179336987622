package vault_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestRevoke_TombstoneFirstThenRefreshAndAccessToken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tok := f.connect("g", "alice", time.Hour)
	var order []string
	f.store.after = func(op string, r vault.Row) error {
		order = append(order, op+map[bool]string{true: " before", false: " after"}[len(f.as.posts("/revoke")) == 0])
		return nil
	}
	require.NoError(t, f.vault.Revoke(t.Context(), "g", "alice"))
	require.Equal(t, []string{"revoke before", "revoke after"}, order)
	posts := f.as.posts("/revoke")
	require.Len(t, posts, 2)
	require.Equal(t, map[string][]string{"token": {tok.RefreshToken}, "token_type_hint": {"refresh_token"}}, map[string][]string(posts[0].form))
	require.Equal(t, map[string][]string{"token": {tok.AccessToken}, "token_type_hint": {"access_token"}}, map[string][]string(posts[1].form))
	require.NotEmpty(t, posts[0].authorization)
	require.False(t, f.as.alive(tok.AccessToken))

	row := f.row("g")
	require.Equal(t, vault.Revoked, row.State)
	plaintext, _, err := f.ring.Open(t.Context(), row.Blob, tokenvault.Use{Subject: "alice", Purpose: "tv-grant"})
	require.NoError(t, err)
	require.NotContains(t, string(plaintext), tok.RefreshToken, "the tombstone keeps no tokens")
	require.NotContains(t, string(plaintext), tok.AccessToken)

	_, err = f.vault.Reveal(t.Context(), "g", "alice")
	require.ErrorIs(t, err, vault.ErrReauthorize)
	_, err = f.vault.IDToken(t.Context(), "g", "alice")
	require.ErrorIs(t, err, vault.ErrReauthorize)
	require.NoError(t, f.vault.Revoke(t.Context(), "g", "alice"), "again: nothing to do")
	require.Len(t, f.as.posts("/revoke"), 2)
}

func TestRevoke_WhileARefreshIsInFlightItsHolderRevokesWhatItIsGiven(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		revoker := f.replica()
		f.as.set(once(act{after: func(context.Context) {
			err := revoker.Revoke(f.Context(), "g", "alice")
			require.ErrorIs(f, err, vault.ErrRevokePending)
			require.InDelta(f, 15, retryAfter(f, err).Seconds(), 1)
			require.Empty(f, f.as.posts("/revoke"))
		}}))
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize, "a revoked row stays revoked")
		require.Len(f, f.as.posts("/revoke"), 2)
		for access := range f.as.access {
			require.False(f, f.as.alive(access))
		}
		row := f.row("g")
		require.Equal(f, vault.Revoked, row.State)
		require.Empty(f, row.Holder)
		require.NoError(f, revoker.Revoke(f.Context(), "g", "alice"))
		require.Len(f, f.as.posts("/revoke"), 2, "complete")
	})
}

func TestRevoke_TheHolderWhoseRefreshFailsRevokesWhatItHad(t *testing.T) {
	for name, a := range map[string]act{"refused": {status: 500}, "invalid_grant": {status: 400, body: `{"error":"invalid_grant"}`}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				tok := f.connect("g", "alice", -time.Minute)
				a.before = func(context.Context) {
					require.ErrorIs(f, f.vault.Revoke(f.Context(), "g", "alice"), vault.ErrRevokePending)
				}
				f.as.set(once(a))
				require.Error(f, f.vault.Refresh(f.Context(), "g", "alice"))
				require.Equal(f, vault.Revoked, f.row("g").State)
				posts := f.as.posts("/revoke")
				require.Len(f, posts, 2)
				require.Equal(f, tok.RefreshToken, posts[0].form.Get("token"))
			})
		})
	}
}

func TestRevoke_WhoseHolderDiedIsCompletedAfterTheLease(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", -time.Minute)
		f.crash("g")
		err := f.vault.Revoke(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrRevokePending)
		_, err2 := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err2, vault.ErrReauthorize, "at once")
		time.Sleep(retryAfter(f, err) + time.Microsecond)
		require.NoError(f, f.vault.Revoke(f.Context(), "g", "alice"))
		require.False(f, f.as.alive(tok.AccessToken))
		require.Len(f, f.as.posts("/revoke"), 2)
	})
}

func TestRevoke_OfARotationThatWaitsToBeSaved(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.store.fail(func(op string, _ vault.Row) bool { return op == "save" })
		require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
		require.ErrorIs(f, f.vault.Revoke(f.Context(), "g", "alice"), vault.ErrRevokePending)
		f.store.fail(nil)
		time.Sleep(10 * time.Second)
		require.Equal(f, vault.Revoked, f.row("g").State)
		for access := range f.as.access {
			require.False(f, f.as.alive(access))
		}
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
	})
}

func TestRevoke_TheServerDownLeavesTheTombstoneAndIsCompletedLater(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tok := f.connect("g", "alice", time.Hour)
	down := provider(roundTripper(errTransport))
	f.config.Providers = []*vault.Provider{down}
	require.ErrorIs(t, f.replica().Revoke(t.Context(), "g", "alice"), vault.ErrUnavailable)
	require.Equal(t, vault.Revoked, f.row("g").State)
	_, err := f.vault.Reveal(t.Context(), "g", "alice")
	require.ErrorIs(t, err, vault.ErrReauthorize)
	require.NoError(t, f.vault.Revoke(t.Context(), "g", "alice"))
	require.False(t, f.as.alive(tok.AccessToken))
}

func TestRevoke_WithoutRevocationURLSendsNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.RevocationURL = "" })
	f.connect("g", "alice", time.Hour)
	require.NoError(t, f.vault.Revoke(t.Context(), "g", "alice"))
	require.Empty(t, f.as.requests)
	require.Equal(t, vault.Revoked, f.row("g").State)
}

func TestRevoke_TheStoreDownIsUnavailableAndSendsNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	f.store.fail(func(op string, _ vault.Row) bool { return op == "revoke" })
	require.ErrorIs(t, f.vault.Revoke(t.Context(), "g", "alice"), vault.ErrUnavailable)
	require.Empty(t, f.as.requests, "tombstone first")
	require.Equal(t, vault.Active, f.row("g").State)
}

func TestRevoke_AGrantThatCannotBeOpenedIsStillEntombed(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	f.ring.Replace(f.keys[1:].ring(t))
	require.ErrorIs(t, f.vault.Revoke(t.Context(), "g", "alice"), tokenvault.ErrUnknownKey)
	require.Equal(t, vault.Revoked, f.row("g").State)
	require.Empty(t, f.as.requests)
}

func TestRevoke_WhatTheServerAnswers(t *testing.T) {
	t.Parallel()
	unsupported := `{"error":"unsupported_token_type"}`
	for rule, c := range map[string]struct {
		hint, body string
		status     int
		is         error
	}{
		"an access token it does not revoke lives out its time": {"access_token", unsupported, 400, nil},
		"a refresh token it does not revoke is a failure":       {"refresh_token", unsupported, 400, vault.ErrUnavailable},
		"503 means later (RFC 7009 section 2.2.1)":              {"refresh_token", "", 503, vault.ErrUnavailable},
		"so it does for the access token":                       {"access_token", "", 503, vault.ErrUnavailable},
		"a client it does not know is a failure":                {"refresh_token", `{"error":"invalid_client"}`, 401, vault.ErrUnavailable},
		"any 2xx will do":                                       {"refresh_token", "", 204, nil},
	} {
		asked := 0
		f := setup(t, func(_ *vault.Config, p *vault.Provider) {
			p.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				asked++
				if err := r.ParseForm(); err != nil || r.Form.Get("token_type_hint") != c.hint {
					return answer(r, 200, nil, ""), err
				}
				return answer(r, c.status, nil, c.body), nil
			})}
		})
		f.connect("g", "alice", time.Hour)
		err := f.vault.Revoke(t.Context(), "g", "alice")
		require.Equal(t, 2, asked, "%s: both are tried, whatever came of the first", rule)
		if c.is == nil {
			require.NoError(t, err, rule)
			continue
		}
		require.ErrorIs(t, err, c.is, rule)
		require.Len(t, f.events.of("revoke"), 1, rule)
		require.Equal(t, vault.ErrUnavailable, f.events.of("revoke")[0].Err, rule)
	}
}

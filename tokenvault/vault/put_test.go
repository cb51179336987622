package vault_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestPut_ReplacesTheOwnersGrantWhateverItsState(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	for n, state := range []vault.State{vault.Active, vault.Dead, vault.Revoked} {
		r := f.row("g")
		r.State, r.Holder, r.LeaseUntil, r.Intent, r.NotBefore = state, "h", r.Now.Add(time.Hour), r.Now, r.Now.Add(time.Hour)
		_, err := f.store.Store.Swap(t.Context(), r)
		require.NoError(t, err)
		tok := f.connect("g", "alice", time.Hour)
		row := f.row("g")
		require.EqualValues(t, n+2, row.Generation)
		require.Equal(t, vault.Active, row.State)
		require.Empty(t, row.Holder)
		require.True(t, row.LeaseUntil.IsZero() && row.Intent.IsZero() && row.NotBefore.IsZero())
		got, err := f.vault.Reveal(t.Context(), "g", "alice")
		require.NoError(t, err)
		require.Equal(t, tok.AccessToken, got.AccessToken)
		require.Equal(t, tok.RefreshToken, got.RefreshToken)
	}
}

func TestPut_BadInput(t *testing.T) {
	t.Parallel()
	good := &oauth2.Token{AccessToken: "opaque", RefreshToken: "rotating"}
	past := time.Now().Add(-time.Second)
	for name, c := range map[string]struct {
		id, owner, provider string
		token               *oauth2.Token
		is                  error
	}{
		"no id":                             {"", "alice", "as", good, nil},
		"no owner":                          {"g", "", "as", good, nil},
		"an id with NUL":                    {"a\x00", "alice", "as", good, nil},
		"an id that is not UTF-8":           {"\xff", "alice", "as", good, nil},
		"an id of 513 bytes":                {strings.Repeat("i", 513), "alice", "as", good, nil},
		"an owner of 513 bytes":             {"g", strings.Repeat("i", 513), "as", good, nil},
		"an unknown provider":               {"g", "alice", "nobody", good, nil},
		"no token":                          {"g", "alice", "as", nil, nil},
		"an empty token":                    {"g", "alice", "as", &oauth2.Token{}, vault.ErrReauthorize},
		"expired without refresh token":     {"g", "alice", "as", &oauth2.Token{AccessToken: "a", Expiry: past}, vault.ErrReauthorize},
		"a token type that is not bearer's": {"g", "alice", "as", &oauth2.Token{AccessToken: "a", TokenType: "DPoP"}, nil},
		"a token that is no header value":   {"g", "alice", "as", &oauth2.Token{AccessToken: "a\nb"}, nil},
		"a token of 64 KiB":                 {"g", "alice", "as", &oauth2.Token{AccessToken: strings.Repeat("a", 64<<10)}, nil},
	} {
		f := setup(t, nil)
		err := f.vault.Put(t.Context(), c.id, c.owner, c.provider, c.token)
		require.Error(t, err, name)
		require.True(t, strings.HasPrefix(err.Error(), "vault: "), "%s: %v", name, err)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
		require.Zero(t, f.store.writes.Load(), name)
	}
}

func TestPut_AKeyringThatCannotOpenWhatItSealsIsFoundBeforeAnythingIsKept(t *testing.T) {
	t.Parallel()
	pair, err := tokenvault.NewKeyPair()
	require.NoError(t, err)
	f := setup(t, nil)
	f.ring.Replace(keys{pair, f.keys[0]}.ring(t))
	access, refresh := f.as.issue()
	err = f.vault.Put(t.Context(), "g", "alice", "as", &oauth2.Token{AccessToken: access, RefreshToken: refresh})
	require.ErrorContains(t, err, "does not open what it seals")
	require.Zero(t, f.store.writes.Load())
}

func TestPut_KeepsIDTokenScopeAndRefreshExpiry(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Scopes = []string{"read"} })
	tok := (&oauth2.Token{AccessToken: "a", RefreshToken: "r", ExpiresIn: 600}).WithExtra(map[string]any{
		"id_token": "the.id.token", "scope": "read admin", "refresh_expires_in": float64(3600),
	})
	require.NoError(t, f.vault.Put(t.Context(), "g", "alice", "as", tok))
	id, err := f.vault.IDToken(t.Context(), "g", "alice")
	require.NoError(t, err)
	require.Equal(t, "the.id.token", id)
	entries, err := f.vault.List(t.Context(), "alice")
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, []string{"read", "admin"}, entries[0].Scopes)
	require.WithinDuration(t, time.Now().Add(time.Hour), entries[0].Expires, time.Minute)
	require.WithinDuration(t, time.Now().Add(10*time.Minute), entries[0].AccessExpires, time.Minute)
	require.Len(t, f.events.of("scopes"), 1, "beyond those requested")
}

func TestIDToken_WithoutOneIsErrNotExist(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	_, err := f.vault.IDToken(t.Context(), "g", "alice")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestStrictScopes(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.OAuth2.Scopes, p.StrictScopes = []string{"read", "write"}, true
	})
	excess := (&oauth2.Token{AccessToken: "a", RefreshToken: "r"}).WithExtra(map[string]any{"scope": "read admin"})
	require.ErrorContains(t, f.vault.Put(t.Context(), "g", "alice", "as", excess), "scopes")
	f.as.extra = map[string]any{"scope": "read admin"}
	require.ErrorContains(t, f.vault.Exchange(t.Context(), "g", "alice", "as", "code"), "scopes")
	require.Len(t, f.as.posts("/revoke"), 2, "what is not kept is revoked")
	require.Zero(t, f.store.writes.Load())

	f.as.extra = nil
	tok := f.connect("g", "alice", -time.Minute)
	f.as.extra = map[string]any{"scope": "read admin"}
	_, err := f.vault.Reveal(t.Context(), "g", "alice")
	require.ErrorContains(t, err, "scopes")
	require.EqualValues(t, 2, f.row("g").Generation, "saved all the same: the old refresh token is spent")
	require.Len(t, f.events.of("scopes"), 3)
	f.as.extra = map[string]any{"scope": "read"}
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	got, err := f.vault.Reveal(t.Context(), "g", "alice")
	require.NoError(t, err)
	require.NotEqual(t, tok.AccessToken, got.AccessToken)
}

func TestExchange_RedeemsTheCodeAsTheProvidersClient(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.as.extra = map[string]any{"id_token": "the.id.token"}
	verifier := oauth2.GenerateVerifier()
	err := f.vault.Exchange(t.Context(), "g", "alice", "as", "the code",
		oauth2.VerifierOption(verifier), oauth2.SetAuthURLParam("resource", "https://api.example.com/"))
	require.NoError(t, err)
	posts := f.as.posts("/token")
	require.Len(t, posts, 1)
	require.Equal(t, map[string][]string{
		"grant_type": {"authorization_code"}, "code": {"the code"}, "code_verifier": {verifier},
		"redirect_uri": {"https://app.example.com/callback"}, "resource": {"https://api.example.com/"},
	}, map[string][]string(posts[0].form))
	require.True(t, strings.HasPrefix(posts[0].authorization, "Basic "))
	got, err := f.vault.Reveal(t.Context(), "g", "alice")
	require.NoError(t, err)
	require.True(t, f.as.alive(got.AccessToken))
	require.Equal(t, "the.id.token", got.Extra("id_token"))
	require.WithinDuration(t, time.Now().Add(time.Hour), got.Expiry, time.Minute)
	require.Len(t, f.events.of("exchange"), 1)
}

func TestExchange_Failures(t *testing.T) {
	for name, c := range map[string]struct {
		act act
		is  error
	}{
		"the code is refused":       {act{status: 400, body: `{"error":"invalid_grant"}`}, vault.ErrReauthorize},
		"redeemed without answer":   {act{fail: reset}, vault.ErrReauthorize},
		"the server is overwhelmed": {act{status: 429}, vault.ErrUnavailable},
		"never sent":                {act{unsent: errStoreDown}, vault.ErrUnavailable},
		"the server hangs":          {act{before: hang, status: dropped}, vault.ErrReauthorize},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.as.set(func(int) act { return c.act })
				require.ErrorIs(f, f.vault.Exchange(f.Context(), "g", "alice", "as", "code"), c.is)
				require.LessOrEqual(f, f.as.refreshes(), 1)
				require.Zero(f, f.store.writes.Load())
			})
		})
	}
}

func TestExchange_TheStoreDownSendsNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.store.fail(func(string, vault.Row) bool { return true })
	require.ErrorIs(t, f.vault.Exchange(t.Context(), "g", "alice", "as", "code"), vault.ErrUnavailable)
	require.Empty(t, f.as.requests)
}

func TestExchange_WhatCannotBeSavedIsRevoked(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.store.fail(func(op string, _ vault.Row) bool { return op == "save" })
		require.ErrorIs(f, f.vault.Exchange(f.Context(), "g", "alice", "as", "code"), vault.ErrUnavailable)
		require.Len(f, f.as.posts("/revoke"), 2)
	})
}

func TestExchange_TheCallersLeavingDoesNotLoseTheGrant(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		f.as.set(func(int) act { return act{after: func(context.Context) { cancel() }} })
		require.NoError(f, f.vault.Exchange(ctx, "g", "alice", "as", "code"))
		require.EqualValues(f, 1, f.row("g").Generation)
	})
}

func TestClientCredentials(t *testing.T) {
	inBubble(t, func(_ *vault.Config, p *vault.Provider) {
		p.ClientCredentials, p.OAuth2.Scopes = true, []string{"read", "write"}
	}, func(f *fixture) {
		_, err := f.vault.Reveal(f.Context(), "another id", "service")
		require.ErrorIs(f, err, fs.ErrNotExist)
		other := f.replica()
		done := make(chan error, 2)
		for _, v := range []*vault.Vault{f.vault, other} {
			go func() { _, err := v.Reveal(f.Context(), "as", "service"); done <- err }()
		}
		require.NoError(f, <-done)
		require.NoError(f, <-done)
		posts := f.as.posts("/token")
		require.Len(f, posts, 1, "once for the fleet, at first use")
		require.Equal(f, map[string][]string{"grant_type": {"client_credentials"}, "scope": {"read write"}}, map[string][]string(posts[0].form))
		require.EqualValues(f, 1, f.row("as").Generation)
		_, err = f.vault.Reveal(f.Context(), "as", "another owner")
		require.ErrorIs(f, err, tokenvault.ErrLabel)

		time.Sleep(200 * 24 * time.Hour) // far past any lifetime
		_, err = f.vault.TokenSource(f.Context(), "as", "service").Token()
		require.NoError(f, err)
		require.Equal(f, 2, f.as.refreshes())

		time.Sleep(2 * time.Hour)
		f.as.set(func(n int) act {
			if n == 3 {
				return act{status: 400, body: `{"error":"invalid_grant"}`}
			}
			return act{}
		})
		_, err = f.vault.Reveal(f.Context(), "as", "service")
		require.ErrorIs(f, err, vault.ErrUnavailable, "there is no grant that could be invalid")
		time.Sleep(retryAfter(f, err) + time.Millisecond)
		_, err = f.vault.Reveal(f.Context(), "as", "service")
		require.NoError(f, err)
	})
}

func TestClientCredentials_WithoutOwner(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.ClientCredentials = true })
	got, err := f.vault.TokenSource(t.Context(), "as", "").Token()
	require.NoError(t, err)
	header, err := tokenvault.Inspect(got.AccessToken)
	require.NoError(t, err)
	require.Empty(t, header.Label.Subject, "shared")
}

package vault_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func token(access, refresh string) *oauth2.Token {
	return &oauth2.Token{AccessToken: access, RefreshToken: refresh, Expiry: time.Now().Add(time.Hour)}
}

// halfSealer does not seal what is meant for hosts, or nothing at all.
type halfSealer struct {
	tokenvault.Sealer
	all bool
}

var errSeal = errors.New("sealer: down")

func (s halfSealer) Seal(ctx context.Context, p []byte, l tokenvault.Label) (string, error) {
	if s.all || len(l.Hosts) > 0 {
		return "", errSeal
	}
	return s.Sealer.Seal(ctx, p, l)
}

func TestTokenSource_WhatCannotBeSealedIsNotHandedOut(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *vault.Config, _ *vault.Provider) { c.Sealer = halfSealer{c.Sealer, false} })
	f.connect("g", "alice", time.Hour)
	got, err := f.vault.TokenSource(t.Context(), "g", "alice").Token()
	require.ErrorIs(t, err, errSeal)
	require.Nil(t, got)
}

func TestTokenSource_ATokenWithoutExpiryHasNone(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	f.as.extra = map[string]any{"expires_in": nil}
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	require.True(t, f.row("g").AccessExpires.IsZero())
	got, err := f.vault.TokenSource(t.Context(), "g", "alice").Token()
	require.NoError(t, err)
	require.True(t, got.Expiry.IsZero())
	header, err := tokenvault.Inspect(got.AccessToken)
	require.NoError(t, err)
	require.True(t, header.Label.Expires.IsZero())
	require.Equal(t, 1, f.as.refreshes())
}

func TestIDToken_OfARowThatDoesNotOpenIsAnError(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	row := f.row("g")
	row.Blob = row.Blob[:len(row.Blob)-1]
	_, err := f.store.Store.Swap(t.Context(), row)
	require.NoError(t, err)
	got, err := f.vault.IDToken(t.Context(), "g", "alice")
	require.ErrorIs(t, err, tokenvault.ErrMalformed)
	require.Empty(t, got)
}

// What no key can be does not reach the store.
func TestReveal_ABadKeyDoesNotReachTheStore(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.store.intercept(func(context.Context, string, vault.Row) error {
		t.Error("the store was asked")
		return nil
	})
	for _, key := range [][2]string{{"", "alice"}, {"a\x00", "alice"}, {"g", "a\x00"}} {
		_, err := f.vault.Reveal(t.Context(), key[0], key[1])
		require.Error(t, err)
		require.NotErrorIs(t, err, fs.ErrNotExist)
	}
}

func TestReveal_AnUnknownIDIsNoOutage(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for _, id := range []string{"nobody", "as"} { // a provider's name is an id only without users
		_, err := f.vault.Reveal(t.Context(), id, "alice")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NotErrorIs(t, err, vault.ErrUnavailable)
	}
	require.Zero(t, f.store.writes.Load())
}

func TestClientCredentials_TheRowIsMadeOnce(t *testing.T) {
	t.Parallel()
	swaps := 0
	service := func(_ *vault.Config, p *vault.Provider) { p.ClientCredentials = true }
	f := setup(t, service)
	f.store.intercept(func(_ context.Context, op string, r vault.Row) error {
		if r.Revision == 0 && op == "save" {
			swaps++
		}
		return nil
	})
	for range 3 {
		_, err := f.vault.Reveal(t.Context(), "as", "service")
		require.NoError(t, err)
	}
	require.Equal(t, 1, swaps)
	require.Equal(t, map[string][]string{"grant_type": {"client_credentials"}}, map[string][]string(f.as.posts("/token")[0].form))

	down := setup(t, service)
	for _, op := range []string{"get", "save"} {
		down.store.fail(func(got string, _ vault.Row) bool { return got == op })
		_, err := down.vault.Reveal(t.Context(), "as", "service")
		require.ErrorIs(t, err, errStoreDown, op)
		require.Zero(t, down.store.writes.Load(), op)
	}
	require.Empty(t, down.as.requests)

	mute := setup(t, func(c *vault.Config, p *vault.Provider) {
		p.ClientCredentials = true
		c.Sealer = halfSealer{c.Sealer, true}
	})
	_, err := mute.vault.Reveal(t.Context(), "as", "service")
	require.ErrorIs(t, err, errSeal)
	require.Zero(t, mute.store.writes.Load())
	require.Empty(t, mute.as.requests)
}

func TestClientCredentials_ARowThatWasNeverFilledEndsToo(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.ClientCredentials = true })
	f.as.set(func(int) act { return act{status: 503} })
	_, err := f.vault.Reveal(t.Context(), "as", "service")
	require.ErrorIs(t, err, vault.ErrUnavailable)
	require.WithinDuration(t, time.Now().Add(90*24*time.Hour), f.row("as").Expires, time.Minute)
}

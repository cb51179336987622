package vault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// bad is a row that must be refused, beside one that must go on.
func TestRows_ThatDoNotBelongAreRefusedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(f *fixture, r *vault.Row)
		is    error
	}{
		"a row copied over another of its owner": {func(f *fixture, r *vault.Row) { r.Blob = f.row("good").Blob }, tokenvault.ErrLabel},
		"a row copied over another owner's":      {func(f *fixture, r *vault.Row) { r.Blob = f.row("bobs").Blob }, tokenvault.ErrLabel},
		"the owner rewritten with a stolen blob": {func(f *fixture, r *vault.Row) { r.Blob, r.ID = f.row("bobs").Blob, "bad" }, tokenvault.ErrLabel},
		"a blob of another generation":           {func(_ *fixture, r *vault.Row) { r.Generation++ }, tokenvault.ErrLabel},
		"a bearer token as a row": {func(f *fixture, r *vault.Row) {
			r.Blob, _ = f.ring.Seal(context.Background(), []byte(`{"v":1}`), tokenvault.Label{Subject: "alice"})
		}, tokenvault.ErrLabel},
		"a truncated blob": {func(_ *fixture, r *vault.Row) { r.Blob = r.Blob[:len(r.Blob)/2] }, tokenvault.ErrMalformed},
		"an empty blob":    {func(_ *fixture, r *vault.Row) { r.Blob = "" }, tokenvault.ErrMalformed},
		"an altered blob": {func(_ *fixture, r *vault.Row) {
			last := strings.LastIndex(r.Blob, ".") - 8
			r.Blob = r.Blob[:last] + map[bool]string{true: "B", false: "A"}[r.Blob[last] == 'A'] + r.Blob[last+1:]
		}, tokenvault.ErrOpen},
		"a retired key": {func(f *fixture, r *vault.Row) { r.Blob = sealed(f, f.keys[1:].ring(f), `{"v":1}`) }, tokenvault.ErrUnknownKey},
		"not JSON":      {func(f *fixture, r *vault.Row) { r.Blob = sealed(f, f.ring, `access_token=a`) }, tokenvault.ErrMalformed},
		"a newer schema": {func(f *fixture, r *vault.Row) {
			r.Blob = sealed(f, f.ring, `{"v":2,"owner":"alice","id":"bad","generation":1}`)
		}, nil},
		"a newer state": {func(_ *fixture, r *vault.Row) { r.State = "suspended" }, nil},
	} {
		f := setup(t, nil)
		f.connect("bad", "alice", -time.Minute)
		good := f.connect("good", "alice", time.Hour)
		f.connect("bobs", "bob", time.Hour)
		r := f.row("bad")
		c.spoil(f, &r)
		_, err := f.store.Store.Swap(t.Context(), r)
		require.NoError(t, err)
		spoilt := f.row("bad")

		_, err = f.vault.Reveal(t.Context(), "bad", "alice")
		require.Error(t, err, name)
		require.NotErrorIs(t, err, vault.ErrReauthorize, name)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
		require.Error(t, f.vault.Refresh(t.Context(), "bad", "alice"), name)
		require.Empty(t, f.as.requests, name)
		after := f.row("bad")
		after.Now = spoilt.Now
		require.Equal(t, spoilt, after, "%s: never killed", name)

		got, err := f.vault.Reveal(t.Context(), "good", "alice")
		require.NoError(t, err, name)
		require.Equal(t, good.AccessToken, got.AccessToken, name)
		entries, err := f.vault.List(t.Context(), "alice")
		require.NoError(t, err, name)
		require.Len(t, entries, 2, name)
		require.Equal(t, "as", entries[1].Provider, name)
	}
}

func sealed(f *fixture, ring *tokenvault.Keyring, plaintext string) string {
	f.Helper()
	s, err := ring.Seal(context.Background(), []byte(plaintext), tokenvault.Label{Subject: "alice", Purpose: "tv-grant"})
	require.NoError(f, err)
	return s
}

func TestAnUnknownKeyNeverKills(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", -time.Minute)
	f.ring.Replace(f.keys[1:].ring(t))
	before := f.row("g")
	require.ErrorIs(t, f.vault.Refresh(t.Context(), "g", "alice"), tokenvault.ErrUnknownKey)
	require.Equal(t, before.Revision, f.row("g").Revision)
	require.Empty(t, f.as.requests)
	f.ring.Replace(f.keys.ring(t))
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"), "once the key is back")
}

func TestList(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for n := range 1234 {
		tok := (&oauth2.Token{AccessToken: "a", RefreshToken: "r"}).WithExtra(map[string]any{"scope": "read write"})
		require.NoError(t, f.vault.Put(t.Context(), fmt.Sprintf("g%04d", n), "alice", "as", tok))
	}
	f.connect("bobs", "bob", time.Hour)
	require.NoError(t, f.vault.Revoke(t.Context(), "g0007", "alice"))
	entries, err := f.vault.List(t.Context(), "alice")
	require.NoError(t, err)
	require.Len(t, entries, 1234)
	for n, e := range entries {
		require.Equal(t, fmt.Sprintf("g%04d", n), e.ID)
		require.Equal(t, "as", e.Provider)
		require.Equal(t, []string{"read", "write"}, e.Scopes)
		require.True(t, e.AccessExpires.IsZero())
		require.WithinDuration(t, time.Now().Add(90*24*time.Hour), e.Expires, time.Hour)
		require.Equal(t, map[bool]vault.State{true: vault.Revoked, false: vault.Active}[n == 7], e.State)
	}
	_, err = f.vault.List(t.Context(), "")
	require.Error(t, err, "an empty owner is nobody's, not everybody's")
	f.store.fail(func(string, vault.Row) bool { return true })
	_, err = f.vault.List(t.Context(), "alice")
	require.ErrorIs(t, err, vault.ErrUnavailable)
}

func TestReseal_IsRestartableAndLeavesEverythingButTheBlob(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	const total = 1100
	before := make(map[string]vault.Row)
	for n := range total {
		id := fmt.Sprintf("g%04d", n)
		f.connect(id, "owner", time.Hour)
		before[id] = f.row(id)
	}
	f.ring.Replace(keys{f.keys[1], f.keys[0]}.ring(t))
	stop := errors.New("killed")
	var progress [][2]int
	f.store.intercept(func(_ context.Context, op string, _ vault.Row) error {
		if op == "list" && len(progress) == 1 {
			return stop
		}
		return nil
	})
	report := func(done, total int) { progress = append(progress, [2]int{done, total}) }
	require.ErrorIs(t, f.vault.Reseal(t.Context(), report), stop)
	require.Equal(t, [][2]int{{500, total}}, progress)
	f.store.fail(nil)
	progress = nil
	require.NoError(t, f.vault.Reseal(t.Context(), report))
	require.Equal(t, [][2]int{{500, total}, {1000, total}, {total, total}}, progress)
	f.ring.Replace(f.keys[1:].ring(t))
	for id, old := range before {
		now := f.row(id)
		require.NotEqual(t, old.Blob, now.Blob)
		require.EqualValues(t, 2, now.Revision, "written once over both runs")
		old.Blob, old.Revision, old.Now = now.Blob, now.Revision, now.Now
		require.Equal(t, old, now)
		_, err := f.vault.Reveal(t.Context(), id, "owner")
		require.NoError(t, err)
	}
}

func TestReseal_OneBadRowDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for _, id := range []string{"a", "b", "c"} {
		f.connect(id, "alice", time.Hour)
	}
	r := f.row("b")
	r.Blob = r.Blob[:20]
	_, err := f.store.Store.Swap(t.Context(), r)
	require.NoError(t, err)
	f.ring.Replace(keys{f.keys[1], f.keys[0]}.ring(t))
	err = f.vault.Reseal(t.Context(), nil)
	require.ErrorIs(t, err, tokenvault.ErrMalformed)
	require.ErrorContains(t, err, "1 of 3")
	f.ring.Replace(f.keys[1:].ring(t))
	for _, id := range []string{"a", "c"} {
		_, err := f.vault.Reveal(t.Context(), id, "alice")
		require.NoError(t, err)
	}
}

func TestReseal_AStoreThatFailsIsUnavailable(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("a", "alice", time.Hour)
	f.ring.Replace(keys{f.keys[1], f.keys[0]}.ring(t))
	f.store.fail(func(op string, _ vault.Row) bool { return op == "save" })
	require.ErrorIs(t, f.vault.Reseal(t.Context(), nil), vault.ErrUnavailable)
}

package vault

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// TestReseal goes over all grants, 100 000 on PostgreSQL, after a key rotation: the process that
// does is killed half way and another resumes, while a third refreshes. Then
// the old key is dropped.
func TestReseal(t *testing.T) {
	for e, total := range map[engine]int{postgreSQL: 100_000, onRedis: 20_000} {
		t.Run(string(e), func(t *testing.T) {
			const refreshed = 200
			l := newLab(t, e, vaulttiming.Default())
			ids := l.fill(t, total, refreshed)
			next := newKey(t)
			both := func(s *settings) { s.Keys = keySet(t, next, l.key) }

			stop := l.keepRefreshing(t, l.spawn(t, both), ids)
			first := l.spawn(t, both)
			began := time.Now()
			first.begin(command{Op: "reseal"})
			done := 0
			for done < total/2 {
				done = first.progress()
			}
			first.kill()
			t.Logf("killed after %d of %d rows, %.0f rows a second", done, total, float64(done)/time.Since(began).Seconds())

			began = time.Now()
			second := l.spawn(t, both)
			require.Empty(t, second.do(command{Op: "reseal", Timeout: 10 * patience}).Errors)
			t.Logf("resumed and done: %d rows looked at, %.0f a second", total, float64(total)/time.Since(began).Seconds())
			refreshes := stop()
			require.Positive(t, refreshes)
			t.Logf("%d refreshes meanwhile", refreshes)
			l.wantSealedUnder(t, keySet(t, next), ids, total)
		})
	}
}

// fill keeps total grants, and returns the ids of those that the authority
// knows.
func (l *lab) fill(t *testing.T, total, known int) (ids []string) {
	t.Helper()
	memory := vault.NewMemoryStore()
	ring, err := tokenvault.ParseKeyring(l.base.Keys)
	require.NoError(t, err)
	v, err := l.base.vault(memory, ring, nil)
	require.NoError(t, err)
	idle := &oauth2.Token{AccessToken: "at.idle.idle", RefreshToken: "rt.idle.idle", Expiry: time.Now().Add(time.Hour)}
	for n := range total {
		id, token := fmt.Sprintf("g-%06d", n), idle
		if n%(total/known) == 0 {
			token = l.authority.grant(id)
			ids = append(ids, id)
		}
		require.NoError(t, v.Put(t.Context(), id, owner, "idp", token))
	}
	rows, err := memory.List(t.Context(), "", "", total)
	require.NoError(t, err)
	require.NoError(t, l.store.load(t.Context(), rows))
	return ids
}

// keepRefreshing refreshes one grant after the other until stop is called,
// which says how often.
func (l *lab) keepRefreshing(t *testing.T, p *process, ids []string) (stop func() int) {
	t.Helper()
	quit, count := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-quit:
				count <- n
				return
			default:
			}
			r := p.do(command{Op: "refresh", ID: ids[n%len(ids)]})
			if len(r.Errors) > 0 {
				t.Errorf("refresh while resealing: %v", r.Messages)
			}
		}
	}()
	return func() int { close(quit); return <-count }
}

// wantSealedUnder expects every row to open without the old key, and every
// rotation to have been kept.
func (l *lab) wantSealedUnder(t *testing.T, keys []byte, ids []string, total int) {
	t.Helper()
	ring, err := tokenvault.ParseKeyring(keys)
	require.NoError(t, err)
	v, err := l.base.vault(l.store, ring, nil)
	require.NoError(t, err)
	entries, err := v.List(t.Context(), owner)
	require.NoError(t, err)
	require.Len(t, entries, total)
	for _, e := range entries {
		if e.Provider != "idp" || e.State != vault.Active {
			require.FailNow(t, "a grant is lost", "%+v", e)
		}
	}
	for _, id := range ids {
		got, err := v.Reveal(t.Context(), id, owner)
		require.NoError(t, err)
		f := l.authority.counts(id)
		require.Equal(t, f.access, got.AccessToken)
		require.Equal(t, f.refresh, got.RefreshToken, "the newest rotation was kept")
		require.Zero(t, f.reuses)
		require.Equal(t, f.posts, f.rotations)
	}
	require.NoError(t, v.Close(t.Context()))
}

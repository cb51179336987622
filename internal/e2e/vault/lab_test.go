package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// short is a lease that tests can wait for, and that a busy disk does not use up.
var short = vaulttiming.Timing{
	HTTP: 3 * time.Second, Save: 3 * time.Second, Margin: 500 * time.Millisecond,
	PollMin: 20 * time.Millisecond, PollMax: 60 * time.Millisecond,
	BackOffMin: 100 * time.Millisecond, BackOffMax: 400 * time.Millisecond,
}

// lab is a database, an authority and the means to put processes between them.
type lab struct {
	authority *authority
	database  *database
	store     *connection // the test's own look at the rows
	vault     *vault.Vault
	base      settings
	key       json.RawMessage
}

func newLab(t testing.TB, e engine, timing vaulttiming.Timing) *lab {
	t.Helper()
	l := &lab{authority: newAuthority(t), database: e.start(t)}
	l.key = newKey(t)
	l.base = settings{
		Engine: e, Addr: l.database.addr, Authority: l.authority.URL,
		Keys: keySet(t, l.key), Timing: timing,
	}
	return l.reconnect(t)
}

// reconnect returns l with new connections.
func (l *lab) reconnect(t testing.TB) *lab {
	t.Helper()
	c := *l
	l = &c
	l.store = l.database.open(t)
	keys, err := tokenvault.ParseKeyring(l.base.Keys)
	require.NoError(t, err)
	l.vault, err = l.base.vault(l.store, keys, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.vault.Close(context.Background())) })
	return l
}

func newKey(t testing.TB) json.RawMessage {
	t.Helper()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	return jwk
}

// keySet is a JWK Set whose first key seals.
func keySet(t testing.TB, keys ...json.RawMessage) json.RawMessage {
	t.Helper()
	set, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	return set
}

// spawn starts a process; edit may change its settings.
func (l *lab) spawn(t testing.TB, edit ...func(*settings)) *process {
	t.Helper()
	s := l.base
	s.Name = fmt.Sprintf("worker-%d", workers.Add(1))
	for _, e := range edit {
		e(&s)
	}
	return spawn(t, s)
}

var workers atomic.Int64

func skewed(d time.Duration) func(*settings) { return func(s *settings) { s.Skew = d } }

// put keeps a new grant whose access token has expired.
func (l *lab) put(t testing.TB, id string, script ...behaviour) {
	t.Helper()
	require.NoError(t, l.vault.Put(t.Context(), id, owner, "idp", l.authority.grant(id, script...)))
}

func (l *lab) row(t testing.TB, id string) vault.Row {
	t.Helper()
	r, err := l.store.Get(t.Context(), id)
	require.NoError(t, err)
	return r
}

// until waits for a row that satisfies ok.
func (l *lab) until(t testing.TB, id string, ok func(vault.Row) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		r, err := l.store.Get(t.Context(), id)
		return err == nil && ok(r)
	}, patience, 10*time.Millisecond)
}

func saved(r vault.Row) bool     { return r.Generation == 2 && r.Holder == "" }
func notPaused(r vault.Row) bool { return r.NotBefore.Before(r.Now) }

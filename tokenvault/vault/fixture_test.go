package vault_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

const (
	tokenURL  = "https://as.example.com/token"
	revokeURL = "https://as.example.com/revoke"
)

// fixture is a fleet of vaults on one store and one authorization server.
type fixture struct {
	*testing.T
	as     *server
	store  *faultyStore
	keys   keys // two, of which ring holds the first
	ring   *tokenvault.Keyring
	events *recorder
	config vault.Config
	vault  *vault.Vault // the first of the fleet
}

// setup makes a fixture with one vault. change, which may be nil, adjusts the
// configuration and its one provider.
func setup(t *testing.T, change func(*vault.Config, *vault.Provider)) *fixture {
	t.Helper()
	f := &fixture{T: t, as: newServer(), store: &faultyStore{Store: vault.NewMemoryStore()}, keys: newKeys(t, 2), events: new(recorder)}
	f.ring = f.keys[:1].ring(t)
	p := provider(f.as)
	f.config = vault.Config{Sealer: f.ring, Store: f.store, Providers: []*vault.Provider{p}, Observe: f.events.observe}
	if change != nil {
		change(&f.config, p)
	}
	f.vault = f.replica()
	return f
}

func provider(as http.RoundTripper) *vault.Provider {
	return &vault.Provider{
		Name: "as",
		OAuth2: &oauth2.Config{
			ClientID: "client", ClientSecret: "the client's secret", RedirectURL: "https://app.example.com/callback",
			Endpoint: oauth2.Endpoint{TokenURL: tokenURL},
		},
		RevocationURL: revokeURL, Hosts: []string{"api.example.com"}, Client: &http.Client{Transport: as},
	}
}

// replica returns another vault of the same configuration, as another process
// would have it.
func (f *fixture) replica() *vault.Vault {
	f.Helper()
	v, err := vault.New(f.config)
	require.NoError(f, err)
	f.Cleanup(func() { _ = v.Close(context.Background()) })
	return v
}

// connect puts a grant whose access token expires after life, and returns the
// tokens it has.
func (f *fixture) connect(id, owner string, life time.Duration) *oauth2.Token {
	f.Helper()
	access, refresh := f.as.issue()
	t := &oauth2.Token{AccessToken: access, RefreshToken: refresh, Expiry: time.Now().Add(life)}
	require.NoError(f, f.vault.Put(f.Context(), id, owner, "as", t))
	return t
}

// row returns the row as it is stored.
func (f *fixture) row(id string) vault.Row {
	f.Helper()
	r, err := f.store.Store.Get(context.Background(), id)
	require.NoError(f, err)
	return r
}

// faultyStore is a Store whose calls can be made to fail.
type faultyStore struct {
	vault.Store
	mu     sync.Mutex
	before func(ctx context.Context, op string, r vault.Row) error // instead of the call, unless nil
	after  func(op string, r vault.Row) error                      // after a swap that was written
	active atomic.Int64
	writes atomic.Int64
}

var errStoreDown = errors.New("store: connection refused")

func (s *faultyStore) hooks() (func(context.Context, string, vault.Row) error, func(string, vault.Row) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before, s.after
}

// fail makes every call for which when holds fail, until it is called again.
// when nil: none.
func (s *faultyStore) fail(when func(op string, r vault.Row) bool) {
	s.intercept(func(_ context.Context, op string, r vault.Row) error {
		if when != nil && when(op, r) {
			return errStoreDown
		}
		return nil
	})
}

func (s *faultyStore) intercept(before func(context.Context, string, vault.Row) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *faultyStore) call(ctx context.Context, op string, r vault.Row) error {
	s.active.Add(1)
	if before, _ := s.hooks(); before != nil {
		return before(ctx, op, r)
	}
	return nil
}

func (s *faultyStore) Get(ctx context.Context, id string) (vault.Row, error) {
	defer s.active.Add(-1)
	if err := s.call(ctx, "get", vault.Row{ID: id}); err != nil {
		return vault.Row{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *faultyStore) Swap(ctx context.Context, r vault.Row) (bool, error) {
	defer s.active.Add(-1)
	if err := s.call(ctx, op(r), r); err != nil {
		return false, err
	}
	ok, err := s.Store.Swap(ctx, r)
	if ok {
		s.writes.Add(1)
	}
	if _, after := s.hooks(); ok && after != nil {
		if err := after(op(r), r); err != nil {
			return false, err
		}
	}
	return ok, err
}

func (s *faultyStore) List(ctx context.Context, owner, after string, limit int) ([]vault.Row, error) {
	defer s.active.Add(-1)
	if err := s.call(ctx, "list", vault.Row{Owner: owner}); err != nil {
		return nil, err
	}
	return s.Store.List(ctx, owner, after, limit)
}

// op names what a swap is for, as far as the row tells.
func op(r vault.Row) string {
	switch {
	case r.State == vault.Revoked:
		return "revoke"
	case r.State == vault.Dead:
		return "kill"
	case r.Holder != "":
		return "acquire"
	case !r.NotBefore.IsZero():
		return "release"
	}
	return "save"
}

// recorder keeps events.
type recorder struct {
	mu     sync.Mutex
	events []vault.Event
}

func (r *recorder) observe(_ context.Context, e vault.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// kinds returns the events of one kind.
func (r *recorder) of(kind string) []vault.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []vault.Event
	for _, e := range r.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// retryAfter is how a caller learns when to ask again.
func retryAfter(t testing.TB, err error) time.Duration {
	t.Helper()
	var r interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &r)
	return r.RetryAfter()
}

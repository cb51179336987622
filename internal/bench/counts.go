package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// A count is a promise that is counted and not timed: it holds on any machine,
// however loaded, so it is always binding.
type count struct {
	Name string // of the row
	Of   string // what is counted
	Want int
	Run  func(context.Context) (int, error)
}

// counts is the part of the table that knows no ratios.
func counts() []count {
	return []count{
		{"refresh, one expired grant, 64 goroutines x 8 vaults on one store", "POSTs", 1, refreshPOSTs},
		{"50 concurrent requests, one new opaque token", "introspections", 1, introspections},
	}
}

// countRounds is how often each is counted; the worst round is what is reported.
const countRounds = 10

// report is the count as a row without cases, so that it appears wherever rows
// do. What cannot be counted misses its goal.
func (c count) report(ctx context.Context) ratio.Report {
	worst := c.Want
	for range countRounds {
		got, err := c.Run(ctx)
		if err != nil {
			got = -1
		}
		if got != c.Want {
			worst = got
			break
		}
	}
	goal := fmt.Sprintf("tokenvault: %s = %d", c.Of, c.Want)
	return ratio.Report{Row: c.Name, Verdicts: []ratio.Verdict{{Goal: goal, Got: float64(worst), OK: worst == c.Want, Binding: true}}}
}

// atOnce runs n calls that all begin at the same moment.
func atOnce(n int, call func(i int) error) error {
	var wg sync.WaitGroup
	begin, errs := make(chan struct{}), make([]error, n)
	for i := range n {
		wg.Go(func() {
			<-begin
			errs[i] = call(i)
		})
	}
	close(begin)
	wg.Wait()
	return errors.Join(errs...)
}

// refreshPOSTs counts what the token endpoint is sent when eight processes'
// worth of callers want one grant whose access token has expired.
func refreshPOSTs(ctx context.Context) (int, error) {
	const vaults, goroutines = 8, 64
	var posts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := posts.Add(1)
		time.Sleep(20 * time.Millisecond) // long enough for all to have come
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"access-%d","token_type":"Bearer","refresh_token":"refresh-%d","expires_in":3600}`, n, n)
	}))
	defer server.Close()
	store := vault.NewMemoryStore()
	keys, err := newKeyring()
	if err != nil {
		return 0, err
	}
	fleet := make([]*vault.Vault, vaults)
	for i := range fleet {
		fleet[i], err = vault.New(vault.Config{Sealer: keys, Store: store, Providers: []*vault.Provider{{
			Name: "bench", Hosts: []string{"api.example.com"}, InsecureHTTP: true,
			OAuth2: &oauth2.Config{ClientID: "client", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: server.URL}},
		}}})
		if err != nil {
			return 0, err
		}
		defer func() { _ = fleet[i].Close(ctx) }()
	}
	expired := &oauth2.Token{AccessToken: "access-0", RefreshToken: "refresh-0", Expiry: time.Now().Add(-time.Minute)}
	if err := fleet[0].Put(ctx, "grant", "alice", "bench", expired); err != nil {
		return 0, err
	}
	err = atOnce(vaults*goroutines, func(i int) error {
		t, err := fleet[i%vaults].Reveal(ctx, "grant", "alice")
		if err == nil && t.AccessToken != "access-1" {
			err = errors.New("not the token of the first refresh")
		}
		return err
	})
	return int(posts.Load()), err
}

func newKeyring() (*tokenvault.Keyring, error) {
	jwk, err := tokenvault.NewKey()
	if err != nil {
		return nil, err
	}
	return tokenvault.ParseKeyring(jwk)
}

// introspections counts what the authorization server is asked when a client
// uses a new token fifty times at once. The answer takes so long that nobody finds
// it in the cache.
func introspections(ctx context.Context) (int, error) {
	const requests = 50
	server := phantomtest.NewServer()
	defer server.Close()
	server.Answer("opaque", phantomtest.Answer{
		Format: phantom.JWT, Claims: map[string]any{"sub": "alice"}, Delay: 20 * time.Millisecond,
	})
	exchanger, err := phantom.New(phantom.Config{Endpoint: server.URL(), Auth: clientauth.None("gateway"), Client: server.Client()})
	if err != nil {
		return 0, err
	}
	defer func() { _ = exchanger.Close() }()
	handler := exchanger.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	err = atOnce(requests, func(int) error {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer opaque")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNoContent {
			return fmt.Errorf("answered %d", w.Code)
		}
		return nil
	})
	return server.Total(), err
}

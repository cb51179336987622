package spa

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

const (
	tabs  = 5
	calls = 20 // of each tab
	life  = 600
)

var stores = map[string]func(*testing.T, *settings){
	"Redis": func(t *testing.T, s *settings) {
		s.Redis = testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always").Addr
	},
	"PostgreSQL": func(t *testing.T, s *settings) { s.Postgres = testserver.Postgres(t).DSN() },
}

// Two instances behind a balancer that asks them in turn: 100 calls that find
// the token expired are one refresh, and nobody is logged out.
func TestFleetRefreshesOnce(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, store)
			f.start(2)
			statuses, retries := f.storm(nil)
			require.Equal(t, map[int]int{http.StatusOK: tabs * calls}, statuses)
			require.Zero(t, retries)
			f.requireOneRefresh()
		})
	}
}

// The same while the one that refreshes is killed, with its request at the
// server: the other takes over after the lease, and a call that the dead one had
// is made again.
func TestFleetSurvivesAHolderKilledDuringItsRefresh(t *testing.T) {
	t.Parallel()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, store)
			instances := f.start(2)
			held := f.gate.holdNext()
			first := make(chan int, 1)
			go func() {
				status, _ := f.persist()
				first <- status
			}()
			f.await(held) // by the second instance, whose turn it was
			statuses, retries := f.storm(instances[1].kill)
			require.Equal(t, map[int]int{http.StatusOK: tabs * calls}, statuses, "after at most one retry each")
			require.Equal(t, http.StatusOK, <-first)
			require.Positive(t, retries, "what the killed one had")
			require.EqualValues(t, 2, f.gate.refreshes.Load(), "refresh POSTs")
			f.requireOneRefresh()
		})
	}
}

// fleet is a browser with five tabs, whose cookie it holds, before a balancer.
type fleet struct {
	*testing.T
	w        *world
	gate     *gate
	settings settings
	cookie   *http.Cookie
}

// newFleet logs in at an instance whose clock is right; those that start later
// are a token's life ahead.
func newFleet(t *testing.T, store func(*testing.T, *settings)) *fleet {
	t.Helper()
	w := newWorld(t, life, nil)
	issuer, err := url.Parse(w.as.Issuer)
	require.NoError(t, err)
	f := &fleet{T: t, w: w, gate: newGate(t, w, issuer)}
	f.settings = settings{
		Issuer: w.as.Issuer, Token: f.gate.URL + "/token", Vault: w.vault.URL, App: w.app.URL, API: w.api.URL, IssuerHost: issuer.Host, APIHost: w.api.Host,
		CertPEM: w.cert.CertPEM, KeyPEM: w.cert.KeyPEM,
	}
	f.settings.Keys, err = tokenvault.NewKey()
	require.NoError(t, err)
	store(t, &f.settings)
	f.start(1)
	f.login()
	status, err := f.call()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	f.settings.Ahead = (life + 1) * time.Second
	return f
}

// start starts n instances behind a balancer.
func (f *fleet) start(n int) []*instance {
	f.Helper()
	var all []*instance
	for range n {
		all = append(all, startInstance(f.T, f.settings))
	}
	f.w.vault.handle(newBalancer(f.w.client.Transport, all))
	return all
}

// newBalancer asks the instances in turn, and no more the one that failed.
func newBalancer(network http.RoundTripper, all []*instance) http.Handler {
	var turn atomic.Uint64
	dead := make([]atomic.Bool, len(all))
	type chosen struct{}
	proxy := &httputil.ReverseProxy{
		Transport: network,
		Rewrite: func(r *httputil.ProxyRequest) {
			i := r.In.Context().Value(chosen{}).(int)
			// A name that the certificate has, and the instance's port.
			r.SetURL(&url.URL{Scheme: "https", Host: "vault.example.test" + all[i].addr[strings.LastIndexByte(all[i].addr, ':'):]})
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(rw http.ResponseWriter, r *http.Request, _ error) {
			dead[r.Context().Value(chosen{}).(int)].Store(true)
			rw.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		i := int(turn.Add(1) % uint64(len(all)))
		if dead[i].Load() {
			i = (i + 1) % len(all)
		}
		proxy.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), chosen{}, i)))
	})
}

func (f *fleet) login() {
	f.Helper()
	verifier := oauth2.GenerateVerifier()
	config := oauth2.Config{
		ClientID: clientID, RedirectURL: f.w.app.URL + "/callback", Scopes: []string{"openid", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: f.w.as.Issuer + "/auth"},
	}
	back, err := f.w.as.Login(f.Context(), f.w.client, config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "ada")
	require.NoError(f, err)
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "code_verifier": {verifier},
		"client_id": {clientID}, "redirect_uri": {config.RedirectURL},
	}
	res := f.send(http.MethodPost, "/oauth2/token", form.Encode())
	defer func() { _ = res.Body.Close() }()
	require.Equal(f, http.StatusOK, res.StatusCode)
	for _, c := range res.Cookies() {
		if c.Name == cookieName {
			f.cookie = c
		}
	}
	require.NotNil(f, f.cookie)
}

func (f *fleet) send(method, path, body string) *http.Response {
	f.Helper()
	res, err := f.try(method, path, body)
	require.NoError(f, err)
	return res
}

// try sends what the service worker would.
func (f *fleet) try(method, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(f.Context(), method, f.w.vault.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Origin", f.w.app.URL)
	req.Header.Set("X-Tokenvault", "1")
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if f.cookie != nil {
		req.AddCookie(f.cookie)
	}
	return f.w.client.Do(req)
}

// call makes one API call as ada.
func (f *fleet) call() (status int, err error) {
	res, err := f.try(http.MethodGet, "/v1/me", "")
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return res.StatusCode, err
	}
	var me struct{ Sub string }
	if err := json.Unmarshal(body, &me); err != nil || me.Sub != "ada" {
		return 0, fmt.Errorf("not ada: %s", body)
	}
	return res.StatusCode, nil
}

// persist makes one call, and once more if it fails for want of its instance.
func (f *fleet) persist() (status int, again bool) {
	status, err := f.call()
	if again = err != nil || status == http.StatusBadGateway; again {
		status, err = f.call()
	}
	if err != nil {
		return 0, again
	}
	return status, again
}

// storm makes 20 calls in each of five tabs, all at once, and counts their
// statuses and those made again. When all have arrived it calls midway.
func (f *fleet) storm(midway func()) (statuses map[int]int, retries int) {
	f.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses = map[int]int{}
	all := f.w.vault.count("GET /v1/me") + tabs*calls
	for range tabs * calls {
		wg.Go(func() {
			status, again := f.persist()
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
			if again {
				retries++
			}
		})
	}
	if midway != nil {
		require.Eventually(f, func() bool { return f.w.vault.count("GET /v1/me") >= all }, patience, time.Millisecond)
		midway()
	}
	wg.Wait()
	return statuses, retries
}

func (f *fleet) await(what <-chan struct{}) {
	f.Helper()
	select {
	case <-what:
	case <-f.Context().Done():
		f.Fatal("the test was over before it happened")
	}
}

// requireOneRefresh checks what reached the two servers.
func (f *fleet) requireOneRefresh() {
	f.Helper()
	counts := f.w.counts(f.T)
	require.Equal(f, 1, counts["grant.success refresh_token"])
	require.Zero(f, counts["grant.error refresh token already used"])
	bearers := map[string]int{}
	for _, r := range f.w.api.got() {
		bearers[r.Header.Get("Authorization")]++
	}
	require.Len(f, bearers, 2, "the token of the login and the refreshed one")
	require.NotContains(f, bearers, "")
	status, err := f.call()
	require.NoError(f, err)
	require.Equal(f, http.StatusOK, status, "still logged in")
}

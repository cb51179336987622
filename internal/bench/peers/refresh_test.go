package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestRefreshers(t *testing.T) {
	t.Parallel()
	rows := []struct {
		question, ours string
		timed          bool // by synctest's clock; a caller that waits for a mutex stops it
		observe        func(*testing.T, refresher) string
	}{
		{"8 processes of 64 goroutines want one expired token: refresh POSTs", "1", false, func(t *testing.T, r refresher) string {
			as := newAuthServer()
			fleet(t, r, as)
			return fmt.Sprint(as.posts)
		}},
		{"the grant after that, where the server rotates refresh tokens and takes a second use for theft", "alive", false, func(t *testing.T, r refresher) string {
			as := newAuthServer()
			fleet(t, r, as)
			if as.ended {
				return "revoked by the server"
			}
			return "alive"
		}},
		{"the token endpoint answers 500 to a call every second for a minute: POSTs", "fewer than 10", true, callsThroughOutage},
		{"a caller with 1 s left, while the token endpoint hangs for a minute, returns after", "1 s", true, impatientCaller},
		{"a redirect to another host carries the access token", "no", false, redirected},
		{"the error of a failed refresh quotes the server's body", "no", false, quotedBody},
		{"what lies in the table", "sealed", false, atRest},
		{"revokes at the server (RFC 7009)", "yes", false, func(t *testing.T, r refresher) string { return mentionsRevocation(t, r.name) }},
	}
	tab := table{name: "refreshers"}
	for _, r := range refreshers {
		tab.columns = append(tab.columns, r.name)
	}
	for _, r := range rows {
		made := row{question: r.question, ours: r.ours}
		for _, who := range refreshers {
			if cell := ""; r.timed {
				synctest.Test(t, func(t *testing.T) { cell = r.observe(t, who) })
				made.cells = append(made.cells, cell)
			} else {
				made.cells = append(made.cells, r.observe(t, who))
			}
		}
		tab.rows = append(tab.rows, made)
	}
	held(t, tab)
}

// A refresher makes the http.RoundTripper of one process for the one grant that
// the processes share. The first call stores the grant.
type refresher struct {
	name   string
	shared func(t *testing.T, as *authServer) (process func() http.RoundTripper, stored func() string)
}

var refreshers = []refresher{{"tokenvault/vault", sharedVault}, {"x/oauth2, tokens saved in a table of your own", sharedTable}}

const tokenURL = "https://login.example.com/token"

func expired() *oauth2.Token {
	return &oauth2.Token{AccessToken: "access-0", RefreshToken: "refresh-0", Expiry: time.Now().Add(-time.Minute)}
}

func sharedVault(t *testing.T, as *authServer) (func() http.RoundTripper, func() string) {
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	store := vault.NewMemoryStore()
	process := func() *vault.Vault {
		v, err := vault.New(vault.Config{Sealer: keys, Store: store, Providers: []*vault.Provider{{
			Name: "example", Hosts: []string{"api.example.com"}, Client: &http.Client{Transport: as},
			OAuth2: &oauth2.Config{ClientID: "client", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: tokenURL}},
		}}})
		require.NoError(t, err)
		t.Cleanup(func() { _ = v.Close(context.Background()) })
		return v
	}
	require.NoError(t, process().Put(t.Context(), "grant", "alice", "example", expired()))
	return func() http.RoundTripper { return process().Transport("grant", "alice", as) }, func() string {
		row, err := store.Get(t.Context(), "grant")
		require.NoError(t, err)
		return row.Blob
	}
}

// sharedTable is x/oauth2 as it is commonly made to persist: a TokenSource
// around the refreshing one that saves what changed.
func sharedTable(_ *testing.T, as *authServer) (func() http.RoundTripper, func() string) {
	table := &savedToken{token: expired()}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: as})
	config := &oauth2.Config{ClientID: "client", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: tokenURL, AuthStyle: oauth2.AuthStyleInHeader}}
	process := func() http.RoundTripper {
		source := config.TokenSource(ctx, table.load())
		return &oauth2.Transport{Base: as, Source: savingSource{source, table}}
	}
	return process, func() string {
		text, _ := json.Marshal(table.load())
		return string(text)
	}
}

type savedToken struct {
	mu    sync.Mutex
	token *oauth2.Token
}

func (s *savedToken) load() *oauth2.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

type savingSource struct {
	inner oauth2.TokenSource
	table *savedToken
}

func (s savingSource) Token() (*oauth2.Token, error) {
	t, err := s.inner.Token()
	if err != nil {
		return nil, err
	}
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.table.token = t
	return t, nil
}

// authServer is the authorization server and every API at once. It rotates
// refresh tokens strictly.
type authServer struct {
	mu       sync.Mutex
	posts    int
	current  string
	ended    bool
	delay    time.Duration
	status   int               // of the token endpoint's answers, when it is not 200
	redirect string            // where api.example.com sends its callers
	bearers  map[string]string // by host
}

func newAuthServer() *authServer {
	return &authServer{current: "refresh-0", bearers: map[string]string{}}
}

func (s *authServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() == tokenURL {
		return s.token(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bearers[r.URL.Host] = r.Header.Get("Authorization")
	if s.redirect != "" && r.URL.Host == "api.example.com" {
		res := answer(r, http.StatusFound, "")
		res.Header.Set("Location", s.redirect)
		return res, nil
	}
	return answer(r, http.StatusOK, ""), nil
}

func (s *authServer) token(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.posts++
	s.mu.Unlock()
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.status != 0:
		return answer(r, s.status, `{"error":"server_error","error_description":"refresh-0 was not taken"}`), nil
	case s.ended || form.Get("refresh_token") != s.current:
		s.ended = true
		return answer(r, http.StatusBadRequest, `{"error":"invalid_grant"}`), nil
	}
	s.current = fmt.Sprintf("refresh-%d", s.posts)
	return answer(r, http.StatusOK, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","refresh_token":%q,"expires_in":3600}`, s.posts, s.current)), nil
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}
}

func call(ctx context.Context, rt http.RoundTripper) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/me", http.NoBody)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// fleet has eight processes call at once, 64 times each.
func fleet(t *testing.T, r refresher, as *authServer) {
	t.Helper()
	process, _ := r.shared(t, as)
	var processes []http.RoundTripper
	for range 8 { // all start with the token that has expired
		processes = append(processes, process())
	}
	var done sync.WaitGroup
	for _, rt := range processes {
		for range 64 {
			done.Go(func() { _ = call(t.Context(), rt) })
		}
	}
	done.Wait()
}

func callsThroughOutage(t *testing.T, r refresher) string {
	as := newAuthServer()
	as.status = http.StatusInternalServerError
	process, _ := r.shared(t, as)
	rt := process()
	for range 60 {
		require.Error(t, call(t.Context(), rt))
		time.Sleep(time.Second)
	}
	if as.posts < 10 { // the back-off has jitter
		return "fewer than 10"
	}
	return fmt.Sprint(as.posts)
}

func impatientCaller(t *testing.T, r refresher) string {
	as := newAuthServer()
	as.delay = time.Minute
	process, _ := r.shared(t, as)
	rt, began := process(), time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = call(ctx, rt)
	return spell(time.Since(began))
}

func redirected(t *testing.T, r refresher) string {
	as := newAuthServer()
	as.redirect = "https://evil.test/"
	process, _ := r.shared(t, as)
	require.NoError(t, call(t.Context(), process()))
	require.Equal(t, "Bearer access-1", as.bearers["api.example.com"])
	require.Contains(t, as.bearers, "evil.test")
	if as.bearers["evil.test"] != "" {
		return "yes"
	}
	return "no"
}

func quotedBody(t *testing.T, r refresher) string {
	as := newAuthServer()
	as.status = http.StatusBadRequest
	process, _ := r.shared(t, as)
	if err := call(t.Context(), process()); strings.Contains(err.Error(), "refresh-0") {
		return "yes"
	}
	return "no"
}

func atRest(t *testing.T, r refresher) string {
	as := newAuthServer()
	process, stored := r.shared(t, as)
	require.NoError(t, call(t.Context(), process()))
	if strings.Contains(stored(), "refresh-1") {
		return "plaintext"
	}
	return "sealed"
}

func mentionsRevocation(t *testing.T, name string) string {
	dir := "../../../tokenvault/vault"
	if name != "tokenvault/vault" {
		dir = moduleDirs(t, "golang.org/x/oauth2")[0]
	}
	if mentions(t, dir, "evocation") {
		return "yes"
	}
	return "no"
}

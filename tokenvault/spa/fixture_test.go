package spa_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

const (
	appOrigin   = "https://app.example.com"
	vaultOrigin = "https://vault.example.com"
	redirectURI = appOrigin + "/callback"
	cookieName  = "__Host-tokenvault"
	secret      = "the confidential client's secret"
)

var verifier = strings.Repeat("v", 43)

// fixture is a proxy between a browser that the test plays, an authorization
// server and an API.
type fixture struct {
	*testing.T
	as     *authServer
	api    *upstream
	config spa.Config
	vault  *vault.Vault
	proxy  *spa.Proxy
	cookie string
	mu     sync.Mutex
	events []spa.Event
}

// setup makes a fixture; change, which may be nil, adjusts the configuration.
func setup(t *testing.T, change func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{T: t, as: newAuthServer(t), api: newUpstream(t)}
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	f.vault, err = vault.New(vault.Config{Sealer: keys, Providers: []*vault.Provider{{
		Name: "as", OAuth2: &oauth2.Config{
			ClientID: "spa", ClientSecret: secret, Scopes: []string{"openid", "read"},
			Endpoint: oauth2.Endpoint{TokenURL: f.as.URL + "/token"},
		},
		RevocationURL: f.as.URL + "/revoke", Client: f.as.Client(), InsecureHTTP: true,
		Hosts: []string{hostOf(t, f.api.URL), hostOf(t, f.as.URL)},
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.vault.Close(t.Context()) })
	f.config = spa.Config{
		Vault: f.vault, Provider: "as", InsecureHTTP: true,
		Endpoints: spa.Endpoints{Authorization: f.as.URL + "/auth", UserInfo: f.as.URL + "/me", EndSession: f.as.URL + "/end"},
		Origin:    vaultOrigin, Origins: []string{appOrigin}, RedirectURIs: []string{redirectURI},
		Resources: []spa.Resource{
			{Pattern: "/v1/", Upstream: f.api.URL, Exclude: []string{"/v1/private/"}},
			{Pattern: "GET /admin/", Upstream: f.api.URL, Scopes: []string{"admin"}},
		},
		Observe: f.observe,
	}
	if change != nil {
		change(f)
	}
	f.proxy, err = spa.New(f.config)
	require.NoError(t, err)
	return f
}

func (f *fixture) observe(_ context.Context, e spa.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

func hostOf(t *testing.T, s string) string {
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u.Host
}

// do sends r as the application's page does: with its origin, the required
// header and the cookie.
func (f *fixture) do(r *http.Request) *http.Response {
	f.Helper()
	if r.Header.Get("Origin") == "" {
		r.Header.Set("Origin", appOrigin)
	}
	r.Header.Set("X-Tokenvault", "1")
	return f.send(r)
}

// send adds only the cookie.
func (f *fixture) send(r *http.Request) *http.Response {
	f.Helper()
	if f.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: f.cookie})
	}
	w := httptest.NewRecorder()
	f.proxy.ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		if c.Name == cookieName {
			f.cookie = c.Value
		}
	}
	return res
}

func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, vaultOrigin+path, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	}
	r.RequestURI = path
	return r
}

func exchangeForm() url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"spa"}, "code": {"the code"},
		"code_verifier": {verifier}, "redirect_uri": {redirectURI},
	}
}

// exchange posts form to the token endpoint.
func (f *fixture) exchange(form url.Values) (*http.Response, string) {
	f.Helper()
	r := request("POST", "/oauth2/token", form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res := f.do(r)
	return res, read(f.T, res)
}

// login opens a session.
func (f *fixture) login() {
	f.Helper()
	res, body := f.exchange(exchangeForm())
	require.Equal(f, http.StatusOK, res.StatusCode, body)
	require.NotEmpty(f, f.cookie)
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(b)
}

// authServer is an authorization server with refresh-token rotation that counts.
type authServer struct {
	*httptest.Server
	mu       sync.Mutex
	access   string // the one that is good
	refresh  string
	issued   []string // every access and refresh token there ever was
	forms    []url.Values
	extra    map[string]any // members of the token answer
	status   int            // instead of an answer, with body; negative: none, the connection ends
	body     string
	expires  int
	revoked  []string
	requests map[string]int
}

func newAuthServer(t *testing.T) *authServer {
	s := &authServer{requests: map[string]int{}, extra: map[string]any{}, expires: 3600}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *authServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	defer s.mu.Unlock()
	grant := r.PostForm.Get("grant_type")
	s.requests[r.URL.Path+" "+grant]++
	switch r.URL.Path {
	case "/token":
		s.forms = append(s.forms, r.PostForm)
		if s.status < 0 {
			panic(http.ErrAbortHandler)
		}
		if s.status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(s.status)
			_, _ = io.WriteString(w, s.body)
			return
		}
		if grant == "refresh_token" && r.PostForm.Get("refresh_token") != s.refresh {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		s.access, s.refresh = "at-"+rand.Text(), "rt-"+rand.Text()
		s.issued = append(s.issued, s.access, s.refresh)
		answer := map[string]any{
			"access_token": s.access, "refresh_token": s.refresh, "token_type": "Bearer", "expires_in": s.expires,
			"scope": "openid read", "id_token": idToken(map[string]any{"sub": "ada", "sid": "s1"}),
		}
		maps.Copy(answer, s.extra)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	case "/revoke":
		s.revoked = append(s.revoked, r.PostForm.Get("token"))
	case "/me":
		if r.Header.Get("Authorization") != "Bearer "+s.access {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"sub":"ada"}`)
	}
}

func (s *authServer) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *authServer) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[what]
}

func (s *authServer) tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.issued...)
}

// kill makes the good access token bad, as a server-side revocation does.
func (s *authServer) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access = "none"
}

func (s *authServer) good() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access
}

func idToken(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
}

// upstream is an API that records what reaches it.
type upstream struct {
	*httptest.Server
	mu      sync.Mutex
	got     []*http.Request
	handler http.HandlerFunc // nil: 200 and the path
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.got = append(u.got, r.Clone(t.Context()))
		handler := u.handler
		u.mu.Unlock()
		if handler != nil {
			handler(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello from "+r.URL.Path)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) requests() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*http.Request{}, u.got...)
}

func (u *upstream) handle(h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handler = h
}

// clock is one that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

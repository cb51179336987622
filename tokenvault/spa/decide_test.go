package spa_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

// A store of sessions that keeps everything for ever, fails when told to, and
// counts.
type stubbornSessions struct {
	spa.Sessions
	mu         sync.Mutex
	gets, sets int
	failGet    func(n int) bool
	failSet    func(n int) bool
	spoil      func(n int) bool
}

var errDown = errors.New("sessions: connection refused")

func (s *stubbornSessions) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gets++; s.failGet != nil && s.failGet(s.gets) {
		return nil, errDown
	}
	if s.spoil != nil && s.spoil(s.gets) {
		return []byte("{"), nil
	}
	return s.Sessions.Get(ctx, key)
}

func (s *stubbornSessions) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets++; s.failSet != nil && s.failSet(s.sets) {
		return errDown
	}
	if ttl > 0 {
		ttl = 10000 * time.Hour
	}
	return s.Sessions.Set(ctx, key, value, ttl)
}

func (s *stubbornSessions) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets, s.sets = 0, 0
	change()
}

func (s *stubbornSessions) counts() (gets, sets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets, s.sets
}

func stubborn(t *testing.T) (*fixture, *stubbornSessions, *clock) {
	t.Helper()
	c, s := newClock(), &stubbornSessions{Sessions: spa.NewMemorySessions(nil)}
	f := setup(t, func(f *fixture) {
		f.config.Now, f.config.Sessions, f.config.Idle, f.config.Absolute = c.Now, s, 10*time.Minute, time.Hour
		f.config.VerifyLogout = logoutTokens{}.verify
	})
	return f, s, c
}

// However long the store keeps it, a session ends.
func TestSessionsEndWhateverTheStoreKeeps(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rule  string
		steps []time.Duration
		alive bool
	}{
		{"just within Idle", []time.Duration{10*time.Minute - 1}, true},
		{"Idle", []time.Duration{10 * time.Minute}, false},
		{"just within Absolute", []time.Duration{9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 6*time.Minute - 1}, true},
		{"Absolute", []time.Duration{9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 6 * time.Minute}, false},
	} {
		f, _, c := stubborn(t)
		f.login()
		status := 0
		for _, d := range row.steps {
			c.advance(d)
			status = f.do(request("GET", "/v1/x", "")).StatusCode
		}
		require.Equal(t, map[bool]int{true: 200, false: 400}[row.alive], status, row.rule)
	}
}

func TestASessionIsWrittenOnceInATenthOfIdle(t *testing.T) {
	t.Parallel()
	f, s, c := stubborn(t)
	f.login()
	s.set(func() {})
	for _, step := range []struct {
		after time.Duration
		sets  int
	}{{0, 0}, {time.Minute, 0}, {time.Nanosecond, 1}, {0, 1}, {time.Minute, 1}, {time.Second, 2}} {
		c.advance(step.after)
		require.Equal(t, 200, f.do(request("GET", "/v1/x", "")).StatusCode)
		_, sets := s.counts()
		require.Equal(t, step.sets, sets)
	}
}

// A store that fails, at whichever step, means 503 and nothing sent.
func TestSessionStoreThatFailsHalfway(t *testing.T) {
	t.Parallel()
	f, s, c := stubborn(t)
	f.login()
	for rule, change := range map[string]func(){
		"the logout mark cannot be read": func() { s.failGet = func(n int) bool { return n == 2 } },
		"the session cannot be read":     func() { s.failGet = func(n int) bool { return n == 1 } },
		"the session cannot be kept":     func() { c.advance(2 * time.Minute); s.failSet = func(int) bool { return true } },
		"the logout mark is no time":     func() { s.spoil = func(n int) bool { return n == 2 } },
	} {
		s.set(func() { s.failGet, s.failSet, s.spoil = nil, nil, nil; change() })
		require.Equal(t, http.StatusServiceUnavailable, f.do(request("GET", "/v1/x", "")).StatusCode, rule)
		require.Empty(t, f.api.requests(), rule)
	}
	s.set(func() { s.failGet, s.failSet, s.spoil = nil, nil, func(int) bool { return true } })
	require.Equal(t, http.StatusBadRequest, f.do(request("GET", "/v1/x", "")).StatusCode, "what is kept is no session")
	require.Empty(t, f.api.requests())
}

// What no cookie of ours can be does not reach the store.
func TestAForeignCookieValueDoesNotReachTheStore(t *testing.T) {
	t.Parallel()
	f, s, _ := stubborn(t)
	b64 := base64.RawURLEncoding.EncodeToString
	for _, value := range []string{"abc", "!", b64(make([]byte, 31)), b64(make([]byte, 33)), b64(make([]byte, 32)) + "A", strings.Repeat("A", 42) + "B"} {
		f.cookie = value
		require.Equal(t, http.StatusBadRequest, f.do(request("GET", "/v1/x", "")).StatusCode, value)
		gets, _ := s.counts()
		require.Zero(t, gets, value)
	}
}

func TestASessionThatCannotBeKeptIsNotOpened(t *testing.T) {
	t.Parallel()
	f, s, _ := stubborn(t)
	s.set(func() { s.failSet = func(int) bool { return true } })
	res, body := f.exchange(exchangeForm())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Empty(t, res.Cookies())
	require.NotContains(t, body, "id_token")
	require.ElementsMatch(t, f.as.tokens(), f.as.revoked, "what was made for nothing is revoked")
}

func TestCookies(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	res, _ := f.exchange(exchangeForm())
	require.Len(t, res.Cookies(), 1)
	c := res.Cookies()[0]
	require.True(t, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteStrictMode && c.Path == "/" && c.Domain == "" && c.MaxAge == 0)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	res = f.send(request("GET", "/oauth2/logout", ""))
	require.Len(t, res.Cookies(), 1)
	require.Empty(t, res.Cookies()[0].Value)
	require.Negative(t, res.Cookies()[0].MaxAge)
}

// What the browser posts to the token endpoint is read strictly.
func TestExchangeForms(t *testing.T) {
	t.Parallel()
	good := exchangeForm().Encode()
	long := good + "&x=" + strings.Repeat("x", 64<<10-len(good)-len("&x="))
	for _, row := range []struct {
		rule, contentType, body string
		status                  int
	}{
		{"as it should be", "application/x-www-form-urlencoded;charset=UTF-8", good, 200},
		{"without client_id", "application/x-www-form-urlencoded", without("client_id"), 200},
		{"64 KiB", "application/x-www-form-urlencoded", long, 200},
		{"64 KiB and a byte", "application/x-www-form-urlencoded", long + "x", 413},
		{"another type", "application/json", good, 400},
		{"a type that does not parse", "application/x-www-form-urlencoded; charset", good, 400},
		{"no type", "", good, 400},
		{"no form", "application/x-www-form-urlencoded", good + "&x=%zz", 400},
	} {
		f := setup(t, nil)
		r := request("POST", "/oauth2/token", row.body)
		r.Header.Set("Content-Type", row.contentType)
		res := f.do(r)
		require.Equal(t, row.status, res.StatusCode, row.rule)
		require.Equal(t, row.status == 200, f.as.count("/token authorization_code") == 1, row.rule)
	}
	f := setup(t, nil)
	r := request("POST", "/oauth2/token", good)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(good), brokenReader{}))
	require.Equal(t, 413, f.do(r).StatusCode)
	require.Zero(t, f.as.count("/token authorization_code"))
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errDown }

// A refusal is told in the server's words; every other failure in ours.
func TestExchangeFailures(t *testing.T) {
	t.Parallel()
	const words = `{"error":"invalid_grant","error_description":"upstream words"}`
	for _, row := range []struct {
		status int
		body   string
		want   int
		told   bool
	}{
		{400, words, 400, true}, {401, words, 401, true},
		{400, "<html>upstream words", 502, false},
		{429, words, 503, false}, {500, words, 503, false}, {503, words, 503, false},
	} {
		f := setup(t, nil)
		f.as.body = row.body
		f.as.answer(row.status)
		res, body := f.exchange(exchangeForm())
		require.Equal(t, row.want, res.StatusCode, "%d %s", row.status, body)
		require.Equal(t, row.told, strings.Contains(body, "upstream words"), row.status)
		require.Empty(t, res.Cookies(), row.status)
	}
}

// RFC 6749 section 5.1: without a scope in the answer, that of the request.
func TestScopesOfASession(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]int{"openid read": 200, "": 200, "openid": 403, "openid reader": 403} {
		f := setup(t, func(f *fixture) {
			f.config.Resources = []spa.Resource{{Pattern: "/r/", Upstream: f.api.URL, Scopes: []string{"openid", "read"}}}
			f.as.extra["scope"] = scope
		})
		f.login()
		require.Equal(t, want, f.do(request("GET", "/r/x", "")).StatusCode, scope)
		require.Equal(t, want == 200, len(f.api.requests()) == 1, scope)
	}
}

// The vault's own page, and those whom the browser vouches for.
func TestOrigins(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	for _, row := range []struct {
		rule, method string
		header       http.Header
		status       int
		cors         string
	}{
		{"the app", "POST", http.Header{"Origin": {appOrigin}}, 200, appOrigin},
		{"the app, as browsers say it", "POST", http.Header{"Origin": {appOrigin}, "Sec-Fetch-Site": {"same-site"}}, 200, appOrigin},
		{"its own page", "POST", http.Header{"Origin": {vaultOrigin}, "Sec-Fetch-Site": {"same-origin"}}, 200, ""},
		{"its own page by GET, as browsers say it", "GET", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 200, ""},
		{"no browser", "GET", http.Header{}, 200, ""},
		{"its own origin from another site", "POST", http.Header{"Origin": {vaultOrigin}, "Sec-Fetch-Site": {"cross-site"}}, 403, ""},
		{"the app's and another origin", "GET", http.Header{"Origin": {appOrigin, "https://evil.test"}}, 403, ""},
		{"another and the app's origin", "GET", http.Header{"Origin": {"https://evil.test", appOrigin}}, 403, ""},
	} {
		r := request(row.method, "/v1/x", "")
		for name, values := range row.header {
			r.Header[name] = values
		}
		r.Header.Set("X-Tokenvault", "1")
		before := len(f.api.requests())
		res := f.send(r)
		require.Equal(t, row.status, res.StatusCode, row.rule)
		require.Equal(t, row.cors, res.Header.Get("Access-Control-Allow-Origin"), row.rule)
		require.Equal(t, row.cors != "", res.Header.Get("Access-Control-Allow-Credentials") == "true", row.rule)
		require.Equal(t, row.status == 200, len(f.api.requests()) == before+1, row.rule)
	}
	r := request("OPTIONS", "/v1/x", "")
	r.Header.Set("Origin", appOrigin)
	r.Header.Set("Access-Control-Request-Method", "PUT")
	names := "x-a, b c, ,x\x7f, x-b"
	r.Header.Set("Access-Control-Request-Headers", names+strings.Repeat(" ", 2048-len(names)))
	res := f.send(r)
	require.Equal(t, 204, res.StatusCode, "2048 bytes of names")
	require.Equal(t, "x-a, x-b", res.Header.Get("Access-Control-Allow-Headers"))
	require.Equal(t, "PUT", res.Header.Get("Access-Control-Allow-Methods"))
	require.Equal(t, "600", res.Header.Get("Access-Control-Max-Age"))
}

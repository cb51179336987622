package phantom_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	active := phantomtestJSON(m{"scope": "read", "aud": "api"})
	bearer := authorization("Bearer " + opaque)
	status := func(code int, header ...string) phantomtest.Answer {
		a := phantomtest.Answer{Status: code}
		if len(header) > 0 {
			a.Header = http.Header{header[0]: {header[1]}}
		}
		return a
	}
	cfg := func(f func(*phantom.Config)) func(*phantom.Config) { return f }
	plain := cfg(func(*phantom.Config) {})
	realm := cfg(func(c *phantom.Config) { c.Realm = "api" })
	quick := cfg(func(c *phantom.Config) { c.Timeout = 500 * time.Millisecond })
	for _, c := range []struct {
		rule       string
		header     http.Header
		answer     phantomtest.Answer
		change     func(*phantom.Config)
		status     int
		challenge  string // the whole WWW-Authenticate
		retryAfter string
		calls      int
	}{
		{"a good token", bearer, active, plain, 200, "", "", 1},
		{"no token", nil, active, plain, 401, `Bearer`, "", 0},
		{"no token, realm", nil, active, realm, 401, `Bearer realm="api"`, "", 0},
		{"another scheme", authorization("Basic Zm9vOmJhcg=="), active, plain, 401, `Bearer`, "", 0},
		{"an empty header", authorization(""), active, plain, 401, `Bearer`, "", 0},
		{"two headers", authorization("Bearer a", "Bearer b"), active, realm, 400, `Bearer realm="api", error="invalid_request"`, "", 0},
		{"Bearer alone", authorization("Bearer"), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"Bearer and a space", authorization("Bearer "), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"a list of tokens", authorization("Bearer a, Bearer b"), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"malformed", authorization("Bearer a b"), active, realm, 401, `Bearer realm="api", error="invalid_token"`, "", 0},
		{"padding inside", authorization("Bearer a=b"), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"only padding", authorization("Bearer =="), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"not ASCII", authorization("Bearer ä"), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"a NUL", authorization("Bearer a\x00"), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"16 KiB and a byte", authorization("Bearer " + strings.Repeat("a", 16<<10+1)), active, plain, 401, `Bearer error="invalid_token"`, "", 0},
		{"the scheme in another case", authorization("bEARER " + opaque), active, plain, 200, "", "", 1},
		{"more spaces (1*SP)", authorization("Bearer   " + opaque), active, plain, 200, "", "", 1},
		{"inactive", bearer, phantomtest.Answer{}, plain, 401, `Bearer error="invalid_token"`, "", 1},
		{"inactive by 204", bearer, status(204), plain, 401, `Bearer error="invalid_token"`, "", 1},
		{"expired", bearer, phantomtestJSON(m{"exp": 1}), plain, 401, `Bearer error="invalid_token"`, "", 1},
		{"wrong audience", bearer, active, cfg(func(c *phantom.Config) { c.Audience = []string{"x", "y"} }), 401, `Bearer error="invalid_token"`, "", 1},
		{"no audience in the token", bearer, phantomtestJSON(m{}), cfg(func(c *phantom.Config) { c.Audience = []string{"api"} }), 401, `Bearer error="invalid_token"`, "", 1},
		{"one audience of several", bearer, active, cfg(func(c *phantom.Config) { c.Audience = []string{"x", "api"} }), 200, "", "", 1},
		{"missing scope", bearer, active, cfg(func(c *phantom.Config) { c.Scopes = []string{"read", "write"} }), 403, `Bearer error="insufficient_scope", scope="read write"`, "", 1},
		{"missing scope, realm", bearer, active, cfg(func(c *phantom.Config) { c.Realm, c.Scopes = "api", []string{"write"} }), 403, `Bearer realm="api", error="insufficient_scope", scope="write"`, "", 1},
		{"the server refuses us", bearer, status(401, "Www-Authenticate", "Basic"), plain, 502, "", "", 1},
		{"the server forbids us", bearer, status(403), plain, 502, "", "", 1},
		{"the server does not understand", bearer, status(400), plain, 502, "", "", 1},
		{"no such endpoint", bearer, status(404), plain, 502, "", "", 1},
		{"a redirect", bearer, status(307, "Location", "https://elsewhere.example/"), plain, 502, "", "", 1},
		{"another success", bearer, status(206), plain, 502, "", "", 1},
		{"a bad body", bearer, phantomtest.Answer{Body: []byte("{")}, plain, 502, "", "", 1},
		{"a format not listed", bearer, phantomtest.Answer{Format: phantom.Introspection, Claims: m{}}, plain, 502, "", "", 1},
		{"Auth fails", bearer, active, cfg(func(c *phantom.Config) { c.Auth = clientauth.Basic("", "") }), 502, "", "", 0},
		{"429", bearer, status(429, "Retry-After", "17"), plain, 503, "", "17", 1},
		{"503", bearer, status(503, "Retry-After", "17"), plain, 503, "", "17", 1},
		{"503 without Retry-After", bearer, status(503), plain, 503, "", "", 1},
		{"503 for two hours", bearer, status(503, "Retry-After", "7200"), plain, 503, "", "3600", 1},
		{"503 for ever", bearer, status(503, "Retry-After", "99999999999999999999"), plain, 503, "", "3600", 1},
		{"503 for nonsense", bearer, status(503, "Retry-After", "soon"), plain, 503, "", "", 1},
		{"500", bearer, status(500), plain, 502, "", "", 2},
		{"502", bearer, status(502), plain, 502, "", "", 2},
		{"504", bearer, status(504), plain, 502, "", "", 2},
		{"the connection breaks", bearer, phantomtest.Answer{Drop: true}, plain, 502, "", "", 2},
		{"a timeout", bearer, phantomtest.Answer{Claims: m{}, Delay: time.Minute}, quick, 504, "", "", 1},
		{"PassJWT, refused", authorization("Bearer " + compact(`{"alg":"ES256"}`, `{}`)), active, cfg(func(c *phantom.Config) { c.PassJWT, c.Verify = true, verdict(errors.New("no")) }), 401, `Bearer error="invalid_token"`, "", 0},
		{"PassJWT, keys unavailable", authorization("Bearer " + compact(`{"alg":"ES256"}`, `{}`)), active, cfg(func(c *phantom.Config) { c.PassJWT, c.Verify = true, verdict(laterError{errors.New("no")}) }), 503, "", "7", 0},
	} {
		srv.Answer(opaque, c.answer)
		before := srv.Total()
		next := &seen{}
		w := get(newExchanger(t, srv, c.change).Handler(next), c.header)
		require.Equal(t, c.status, w.Code, c.rule)
		require.Equal(t, c.challenge, w.Header().Get("WWW-Authenticate"), c.rule)
		require.Equal(t, c.retryAfter, w.Header().Get("Retry-After"), c.rule)
		require.Equal(t, c.calls, srv.Total()-before, c.rule)
		require.Equal(t, c.status == 200, next.count() == 1, c.rule)
		if c.status != 200 {
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"), c.rule)
			require.Equal(t, http.StatusText(c.status), strings.TrimSpace(w.Body.String()), c.rule)
		}
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Status: 503, Header: http.Header{
		"Retry-After": {clk.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)},
	}})
	w := get(newExchanger(t, srv, withClock(clk)).Handler(&seen{}), authorization("Bearer "+opaque))
	require.Equal(t, "90", w.Header().Get("Retry-After"))
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	ex, err := phantom.New(phantom.Config{Endpoint: "https://" + l.Addr().String() + "/i", Auth: clientauth.None("gateway")})
	require.NoError(t, err)
	defer ex.Close()
	w := get(ex.Handler(&seen{}), authorization("Bearer "+opaque))
	require.Equal(t, http.StatusBadGateway, w.Code)
	_, err = exchange(t, ex)
	require.ErrorIs(t, err, phantom.ErrUnavailable)
}

func TestAServerThatComesBackIsAskedAgain(t *testing.T) {
	t.Parallel()
	var calls int
	ex, err := phantom.New(phantom.Config{
		Endpoint: "https://as.example/i", Auth: clientauth.None("gateway"),
		Client: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			if calls++; calls == 1 {
				return nil, errors.New("connection refused: " + opaque)
			}
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.WriteString(`{"active":true}`)
			return w.Result(), nil
		})},
	})
	require.NoError(t, err)
	defer ex.Close()
	_, err = exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 2, calls)
}

func TestNothingIsWrittenForACallerWhoLeft(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	ex := newExchanger(t, srv)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+opaque)
	ex.Handler(&seen{}).ServeHTTP(silent{t}, r)
	require.Zero(t, srv.Total())

	release := srv.Hold()
	defer release()
	ctx, cancel = context.WithCancel(t.Context())
	r = httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+opaque)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ex.Handler(&seen{}).ServeHTTP(silent{t}, r)
	}()
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	cancel()
	<-done
}

// silent is a ResponseWriter that must not be touched.
type silent struct{ t *testing.T }

func (s silent) Header() http.Header         { s.t.Error("Header"); return http.Header{} }
func (s silent) WriteHeader(int)             { s.t.Error("WriteHeader") }
func (s silent) Write(p []byte) (int, error) { s.t.Error("Write"); return len(p), nil }

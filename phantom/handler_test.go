package phantom_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func jwtServer(t *testing.T) (*phantomtest.Server, string) {
	t.Helper()
	srv := newServer(t)
	jwt := srv.Sign("at+jwt", m{"sub": "alice@example.com", "scope": "read"})
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Body: []byte(jwt)})
	return srv, jwt
}

func TestTheNextHandlerSeesTheJWTOnly(t *testing.T) {
	t.Parallel()
	srv, jwt := jwtServer(t)
	next := &seen{}
	header := http.Header{
		"Authorization":             {"Bearer " + opaque},
		"authorization":             {"Bearer smuggled"},
		"X-Forwarded-Access-Token":  {"smuggled"},
		"X_forwarded_access_token":  {"smuggled"},
		"X-Auth-Request-User":       {"smuggled"},
		"X-Ms-Token-Aad-Id-Token":   {"smuggled"},
		"X-Forwarded-Authorization": {"smuggled"},
		"Connection":                {"close, Authorization, X-Hop"},
		"X-Hop":                     {"smuggled"},
		"Proxy-Authorization":       {"smuggled"},
		"Te":                        {"smuggled"},
		"Trailer":                   {"Authorization"},
		"Upgrade":                   {"smuggled"},
		"Keep-Alive":                {"smuggled"},
		"Proxy-Connection":          {"smuggled"},
		"":                          {"smuggled"},
		"Cookie":                    {"a=1;b=2"},
		"X-Request-Id":              {"17", "18"},
		"X-Forwarded-For":           {"192.0.2.1"},
		"Content-Type":              {"text/plain"},
	}
	before := header.Clone()
	require.Equal(t, http.StatusOK, get(newExchanger(t, srv).Handler(next), header).Code)
	require.Equal(t, before, header, "the caller's header is not altered")
	got := next.last(t)
	require.Equal(t, http.Header{
		"Authorization":   {"Bearer " + jwt},
		"Cookie":          {"a=1;b=2"},
		"X-Request-Id":    {"17", "18"},
		"X-Forwarded-For": {"192.0.2.1"},
		"Content-Type":    {"text/plain"},
	}, got.Header)
	tok, ok := phantom.FromContext(got.Context())
	require.True(t, ok)
	require.Equal(t, jwt, tok.JWT())
	got.Header["X-Request-Id"][0] = "changed"
	require.Equal(t, before, header)
}

func TestRequestTrailersDoNotReachTheNextHandler(t *testing.T) {
	t.Parallel()
	srv, _ := jwtServer(t)
	next := &seen{}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
	r.Header.Set("Authorization", "Bearer "+opaque)
	r.Trailer = http.Header{"Authorization": {"Bearer smuggled"}}
	newExchanger(t, srv).Handler(next).ServeHTTP(httptest.NewRecorder(), r)
	require.Empty(t, next.last(t).Trailer)
	require.NotEmpty(t, r.Trailer)
}

func TestWithoutAJWTTheAuthorizationIsRemoved(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
	next := &seen{}
	require.Equal(t, http.StatusOK, get(newExchanger(t, srv).Handler(next), authorization("Bearer "+opaque)).Code)
	require.Empty(t, next.last(t).Header)
	tok, ok := phantom.FromContext(next.last(t).Context())
	require.True(t, ok)
	require.Equal(t, "alice", tok.Subject())
	require.Empty(t, tok.JWT())
	require.True(t, tok.Expires().IsZero(), "nobody said when")
}

func TestCookie(t *testing.T) {
	t.Parallel()
	srv, jwt := jwtServer(t)
	srv.Answer("other-token", phantomtest.Answer{})
	ex := newExchanger(t, srv, func(c *phantom.Config) { c.Cookie = "__Host-token" })
	for _, c := range []struct {
		rule   string
		header http.Header
		status int
		passed []string // the Cookie header for the next handler
	}{
		{"the cookie counts", http.Header{"Cookie": {"a=1; __Host-token=" + opaque + "; b=2"}}, 200, []string{"a=1; b=2"}},
		{"alone", http.Header{"Cookie": {"__Host-token=" + opaque}}, 200, nil},
		{"alone, with a semicolon", http.Header{"Cookie": {"__Host-token=" + opaque + ";"}}, 200, nil},
		{"Authorization goes first, the cookie ends here", http.Header{"Authorization": {"Bearer " + opaque}, "Cookie": {"__Host-token=other-token; a=1"}}, 200, []string{"a=1"}},
		{"not with another scheme", http.Header{"Authorization": {"Basic x"}, "Cookie": {"__Host-token=" + opaque}}, 401, nil},
		{"not with an empty Authorization", http.Header{"Authorization": {""}, "Cookie": {"__Host-token=" + opaque}}, 401, nil},
		{"twice", http.Header{"Cookie": {"__Host-token=" + opaque + "; __Host-token=x"}}, 400, nil},
		{"another name", http.Header{"Cookie": {"token=" + opaque}}, 401, nil},
		{"empty", http.Header{"Cookie": {"__Host-token="}}, 401, nil},
		{"malformed", http.Header{"Cookie": {"__Host-token=a&b"}}, 401, nil},
	} {
		next := &seen{}
		require.Equal(t, c.status, get(ex.Handler(next), c.header).Code, c.rule)
		if c.status == 200 {
			require.Equal(t, "Bearer "+jwt, next.last(t).Header.Get("Authorization"), c.rule)
			passed, there := next.last(t).Header["Cookie"]
			require.Equal(t, c.passed, passed, c.rule)
			require.Equal(t, c.passed != nil, there, c.rule)
		}
	}
	require.Equal(t, 401, get(newExchanger(t, srv).Handler(&seen{}), http.Header{"Cookie": {"__Host-token=" + opaque}}).Code, "not configured")
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	preflight := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"PUT"}}
	for _, c := range []struct {
		rule   string
		skip   bool
		method string
		header http.Header
		status int
	}{
		{"passes if so configured", true, "OPTIONS", preflight, 200},
		{"not by default", false, "OPTIONS", preflight, 401},
		{"not another method", true, "GET", preflight, 401},
		{"not without Origin", true, "OPTIONS", http.Header{"Access-Control-Request-Method": {"PUT"}}, 401},
		{"not without a method asked for", true, "OPTIONS", http.Header{"Origin": {"https://app.example"}}, 401},
	} {
		next := &seen{}
		ex := newExchanger(t, srv, func(cfg *phantom.Config) { cfg.SkipPreflight = c.skip })
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header = c.header.Clone()
		r.Header.Set("X-Forwarded-Access-Token", "smuggled")
		if c.status == 200 {
			r.Header.Set("Authorization", "Bearer smuggled")
		}
		w := httptest.NewRecorder()
		ex.Handler(next).ServeHTTP(w, r)
		require.Equal(t, c.status, w.Code, c.rule)
		if c.status == 200 {
			require.Equal(t, c.header, next.last(t).Header, c.rule)
			_, ok := phantom.FromContext(next.last(t).Context())
			require.False(t, ok, c.rule)
		}
	}
	require.Zero(t, srv.Total())
}

func TestPassJWT(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Otherwise(phantomtestJSON(m{"scope": "read", "aud": "api"}))
	var verified []string
	ex := newExchanger(t, srv, withClock(clk), func(c *phantom.Config) {
		c.PassJWT, c.Scopes, c.Audience = true, []string{"read"}, []string{"api"}
		c.Verify = func(_ context.Context, jwt string) error { verified = append(verified, jwt); return nil }
	})
	sign := func(claims m) string { return srv.Sign("at+jwt", claims) }
	good := sign(m{"scope": "read", "aud": "api", "exp": clk.In(60e9)})
	for _, c := range []struct {
		rule, token string
		want        error
	}{
		{"good", good, nil},
		{"expired", sign(m{"scope": "read", "aud": "api", "exp": clk.In(0)}), phantom.ErrInactive},
		{"scope", sign(m{"aud": "api"}), phantom.ErrScope},
		{"audience", sign(m{"scope": "read"}), phantom.ErrAudience},
	} {
		verified = nil
		_, err := ex.Exchange(t.Context(), c.token)
		require.ErrorIs(t, err, c.want, c.rule)
		require.Equal(t, []string{c.token}, verified, c.rule)
	}
	require.Zero(t, srv.Total(), "no introspection")
	next := &seen{}
	get(ex.Handler(next), authorization("Bearer "+good))
	require.Equal(t, "Bearer "+good, next.last(t).Header.Get("Authorization"))

	verified = nil
	for _, token := range []string{"a.b.c", compact(`{"alg":"none"}`, `{}`), opaque} {
		_, err := ex.Exchange(t.Context(), token)
		require.NoError(t, err, "what is no JWT is introspected")
	}
	require.Empty(t, verified)
	require.Equal(t, 3, srv.Total())

	ctx, cancel := context.WithCancel(t.Context())
	leaving := newExchanger(t, srv, func(c *phantom.Config) {
		c.PassJWT = true
		c.Verify = func(context.Context, string) error { cancel(); return context.Canceled }
	})
	_, err := leaving.Exchange(ctx, good)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, phantom.ErrInactive)
}

// Every way in which an upstream may send its request headers back.
func TestTheJWTNeverReachesTheClient(t *testing.T) {
	t.Parallel()
	srv, jwt := jwtServer(t)
	unsigned := jwt[:strings.LastIndexByte(jwt, '.')]
	echo := func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			w.Header()["Echo-"+name] = values
		}
		w.Header().Set("Set-Cookie", "t="+jwt)
		w.Header()["not-canonical"] = []string{"fine", jwt}
		w.Header().Set("Without-Signature", "x="+unsigned+";")
		w.Header().Set("Without-Signature-Alone", unsigned)
		w.Header().Set("Harmless", "yes")
		w.Header().Set("Long", strings.Repeat("x", 2*len(jwt)))
	}
	trailer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Late")
		w.Header().Set("Harmless", "yes")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("Late", jwt)
		w.Header().Set(http.TrailerPrefix+"Later", jwt)
	}
	early := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Harmless", "yes")
		w.Header().Set("Link", jwt)
		w.WriteHeader(http.StatusEarlyHints)
		echo(w, r)
	}
	then := func(f ...http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, f := range f {
				f(w, r)
			}
		}
	}
	body := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("body")) }
	teapot := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	flush := func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }
	control := func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetWriteDeadline(time.Now().Add(time.Minute)), c.Flush()); err != nil {
			t.Error(err)
		}
	}
	copied := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("body")})
	}
	upstream := httptest.NewServer(http.HandlerFunc(then(echo, flush)))
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)

	for name, next := range map[string]http.Handler{
		"nothing written":    http.HandlerFunc(echo),
		"written":            then(echo, body),
		"status":             then(echo, teapot),
		"flushed":            then(echo, flush),
		"flushed by control": then(echo, control),
		"copied":             then(echo, copied),
		"trailers":           http.HandlerFunc(trailer),
		"early hints":        then(early, body),
		"early, then status": then(early, teapot),
		"reverse proxy":      httputil.NewSingleHostReverseProxy(target),
		"panic, answered outside": then(echo, func(http.ResponseWriter, *http.Request) {
			panic("boom")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front := httptest.NewServer(recovering(newExchanger(t, srv).Handler(next)))
			defer front.Close()
			var informational []byte
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
					informational = fmt.Append(informational, h)
					return nil
				},
			})
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, front.URL, nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+opaque)
			resp, err := front.Client().Do(r)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, "yes", resp.Header.Get("Harmless"))
			require.Equal(t, strings.Contains(name, "status"), resp.StatusCode == http.StatusTeapot)
			require.True(t, name == "trailers" || resp.Header.Get("Long") != "", "what holds no JWT stays")
			all := fmt.Append(informational, resp.Header, resp.Trailer, string(body))
			leaktest.None(t, all, jwt, unsigned)
		})
	}
}

// recovering answers 500 for a handler that panics, as many servers' middleware
// does, with whatever headers are set by then.
func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// What a program prints and logs about an exchange.
func TestNothingPrintedCarriesASecret(t *testing.T) {
	t.Parallel()
	srv, jwt := jwtServer(t)
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	ex := newExchanger(t, srv, func(c *phantom.Config) {
		c.Scopes = []string{"read"}
		c.Observe = func(_ context.Context, e phantom.Event) { fmt.Fprintf(&out, "%+v %#v\n", e, e) }
	})
	tok, err := exchange(t, ex)
	require.NoError(t, err)
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", tok, tok, tok, tok, tok, tok, tok)
	logger.Info("exchanged", "token", tok)
	out.WriteString(tok.String())
	require.NoError(t, json.NewEncoder(&out).Encode(map[string]phantom.Token{"token": tok}))
	log.New(&out, "", 0).Println(tok, &tok, []phantom.Token{tok}, struct{ T phantom.Token }{tok})
	srv.Answer(opaque+"2", phantomtest.Answer{Status: 400, Body: []byte(jwt)})
	srv.Answer(opaque+"3", phantomtest.Answer{Body: []byte(`{"active":"alice@example.com"}`)})
	for _, token := range []string{opaque + "2", opaque + "3", opaque + " 4", opaque + "5"} {
		_, err := ex.Exchange(t.Context(), token)
		require.Error(t, err)
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(&out, "%v %+v %#v\n", e, e, e)
		}
	}
	require.Contains(t, out.String(), "phantom.Token(concealed)")
	leaktest.None(t, out.Bytes(), opaque, jwt, strings.Split(jwt, ".")[1], "alice@example.com", "gateway-secret")
}

// A handler that prints what it is given prints no token.
func TestPrintingTheRequestTellsNoToken(t *testing.T) {
	t.Parallel()
	srv, jwt := jwtServer(t)
	var out bytes.Buffer
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), &out, "v"))
		defer cancel()
		for _, v := range []any{r.Context(), ctx, w} {
			fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
		}
	})
	require.Equal(t, http.StatusOK, get(newExchanger(t, srv).Handler(next), authorization("Bearer "+opaque)).Code)
	require.Contains(t, out.String(), "phantom context")
	leaktest.None(t, out.Bytes(), jwt, jwt[:strings.LastIndexByte(jwt, '.')])
}

func TestEvents(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	var kinds []string
	ex := newExchanger(t, srv, withClock(clk), func(c *phantom.Config) {
		c.StaleIfError = 60e9
		c.Observe = func(_ context.Context, e phantom.Event) {
			kinds = append(kinds, fmt.Sprintf("%s %t %v", e.Kind, e.Duration > 0, e.Err))
			require.Equal(t, strings.TrimPrefix(strings.TrimSuffix(srv.URL(), "/introspect"), "https://"), e.Host)
		}
	})
	_, _ = exchange(t, ex)
	_, _ = exchange(t, ex)
	srv.Answer(opaque, phantomtest.Answer{Status: 503})
	clk.Add(5 * 60e9)
	_, _ = exchange(t, ex)
	_, _ = ex.Exchange(t.Context(), "unknown")
	_, _ = ex.Exchange(t.Context(), "unknown")
	require.Equal(t, []string{
		"introspect true <nil>", "hit false <nil>",
		"introspect true phantom: introspection unavailable", "stale false phantom: introspection unavailable",
		"introspect true <nil>", "negative false phantom: token not active",
	}, kinds)
}

func TestTheZeroToken(t *testing.T) {
	t.Parallel()
	var tok phantom.Token
	require.Empty(t, tok.JWT()+tok.Subject()+tok.ClientID())
	require.True(t, tok.Expires().IsZero())
	require.False(t, tok.HasScope("a"))
	require.Error(t, tok.Decode(&struct{}{}))
	_, ok := phantom.FromContext(t.Context())
	require.False(t, ok)
}

func TestDecodeErrorsDoNotQuoteClaims(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"email": "alice@example.com"}))
	tok, err := exchange(t, newExchanger(t, srv))
	require.NoError(t, err)
	var wrong struct{ Email int }
	err = tok.Decode(&wrong)
	require.Error(t, err)
	leaktest.None(t, []byte(err.Error()), "alice@example.com")
}

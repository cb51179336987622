package spa_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

// What a browser sends that would let it speak as somebody else, stays here;
// so does an upstream's word for the vault's origin.
func TestHeadersThatDoNotPass(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Set-Cookie", "Clear-Site-Data", "Service-Worker-Allowed", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Refresh", "Alt-Svc"} {
			w.Header().Set(name, "evil")
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Cache-Control", "public, max-age=9999")
		w.Header().Set("X-Rate", "17")
	})
	r := request("GET", "/v1/x", "")
	sent := []string{
		"Authorization", "Proxy-Authorization", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Access-Token",
		"X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "Origin", "Referer", "Sec-Fetch-Site", "X-Tokenvault",
	}
	for _, name := range sent {
		r.Header.Set(name, "evil")
		r.Header[strings.ReplaceAll(name, "-", "_")] = []string{"evil"}
	}
	r.Header.Set("Origin", appOrigin)
	r.Header.Set("Sec-Fetch-Site", "same-site")
	r.Header.Set("X-App", "passes")
	res := f.do(r)
	got := f.api.requests()[0].Header
	require.Equal(t, []string{"Bearer " + f.as.good()}, got.Values("Authorization"))
	require.Equal(t, "passes", got.Get("X-App"))
	for name := range got {
		folded := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if folded != "Authorization" {
			require.NotContains(t, sent, folded)
		}
	}
	require.Empty(t, got.Get("Cookie"))

	h := res.Header
	for _, name := range []string{"Set-Cookie", "Clear-Site-Data", "Service-Worker-Allowed", "Access-Control-Allow-Headers", "Refresh", "Alt-Svc"} {
		require.Empty(t, h.Get(name), name)
	}
	require.Equal(t, appOrigin, h.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.Contains(t, h.Get("Content-Security-Policy"), "sandbox")
	require.Subset(t, h.Values("Vary"), []string{"Cookie", "Origin"})
	require.Contains(t, h.Get("Access-Control-Expose-Headers"), "X-Rate")
	require.NotContains(t, h.Get("Access-Control-Expose-Headers"), "Set-Cookie")
}

// An upstream that echoes the bearer is scrubbed, in headers and body, plain,
// escaped, in base64 and compressed, and the answer keeps its length.
func TestEchoedBearerIsScrubbed(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(w http.ResponseWriter, token string){
		"body":   func(w http.ResponseWriter, token string) { _, _ = io.WriteString(w, "you sent "+token) },
		"header": func(w http.ResponseWriter, token string) { w.Header().Set("X-Echo", token) },
		"base64": func(w http.ResponseWriter, token string) {
			_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString([]byte(token)))
		},
		"percent": func(w http.ResponseWriter, token string) { _, _ = io.WriteString(w, url.QueryEscape("a/"+token)) },
		"length": func(w http.ResponseWriter, token string) {
			w.Header().Set("Content-Length", fmt.Sprint(len(token)))
			_, _ = io.WriteString(w, token)
		},
		"chunks": func(w http.ResponseWriter, token string) {
			for i := range len(token) {
				_, _ = io.WriteString(w, token[i:i+1])
				_ = http.NewResponseController(w).Flush()
			}
		},
		"error": func(w http.ResponseWriter, token string) { http.Error(w, "bad token "+token, 500) },
		"redirect": func(w http.ResponseWriter, token string) {
			w.Header().Set("Location", "/v1/next?token="+token)
			w.WriteHeader(302)
		},
		"gzip": func(w http.ResponseWriter, token string) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, "you sent "+token)
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil)
			f.login()
			f.api.handle(func(w http.ResponseWriter, r *http.Request) {
				_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				write(w, token)
			})
			r := request("GET", "/v1/x", "")
			r.Header.Set("Accept-Encoding", "gzip, br")
			res := f.do(r)
			body := read(t, res)
			require.Len(t, f.api.requests(), 1)
			leaktest.None(t, []byte(body+headerText(res.Header)), f.as.tokens()...)
			require.Contains(t, body+headerText(res.Header), "REDACTED")
			if n := res.Header.Get("Content-Length"); n != "" {
				require.Equal(t, n, fmt.Sprint(len(body)))
			}
		})
	}
}

// Redirects are never followed; within the upstream they lead to the vault's
// own address, elsewhere they lead nowhere.
func TestRedirects(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	for _, row := range []struct{ rule, location, want string }{
		{"relative", "next?a=1", vaultOrigin + "/v1/next?a=1"},
		{"absolute path", "/v1/next", vaultOrigin + "/v1/next"},
		{"the upstream's own URL", f.api.URL + "/v1/next", vaultOrigin + "/v1/next"},
		{"another host", "https://evil.test/?code=x", ""},
		{"another host without scheme", "//evil.test/", ""},
		{"userinfo", strings.Replace(f.api.URL, "://", "://a:b@", 1) + "/v1/next", ""},
		{"a script", "javascript:alert(1)", ""},
		{"not a URL", "http://[::1", ""},
	} {
		f.api.handle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", row.location)
			w.WriteHeader(http.StatusFound)
		})
		before := len(f.api.requests())
		res := f.do(request("GET", "/v1/x", ""))
		require.Equal(t, http.StatusFound, res.StatusCode)
		require.Equal(t, row.want, res.Header.Get("Location"), row.rule)
		require.Len(t, f.api.requests(), before+1, row.rule)
	}
}

// server puts the proxy behind a real server, for what a recorder cannot show.
func (f *fixture) server() (*httptest.Server, func(method, path string, body io.Reader) *http.Request) {
	s := httptest.NewServer(f.proxy)
	f.Cleanup(s.Close)
	return s, func(method, path string, body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(f.Context(), method, s.URL+path, body)
		require.NoError(f, err)
		r.Header.Set("Origin", appOrigin)
		r.Header.Set("X-Tokenvault", "1")
		r.AddCookie(&http.Cookie{Name: cookieName, Value: f.cookie})
		return r
	}
}

func TestStatusesAndBodiesPassAsTheyAre(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	s, call := f.server()
	content := bytes.Repeat([]byte("0123456789"), 100)
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/204":
			w.WriteHeader(204)
		case "/v1/304":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(304)
		case "/v1/file":
			http.ServeContent(w, r, "f.bin", time.Unix(1, 0), bytes.NewReader(content))
		case "/v1/trailer":
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "17")
		case "/v1/echo":
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
		}
	})
	do := func(r *http.Request) (*http.Response, []byte) {
		res, err := s.Client().Do(r)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res, body
	}
	res, body := do(call("GET", "/v1/204", nil))
	require.Equal(t, 204, res.StatusCode)
	require.Empty(t, body)
	r := call("GET", "/v1/304", nil)
	r.Header.Set("If-None-Match", `"x"`)
	res, body = do(r)
	require.Equal(t, 304, res.StatusCode)
	require.Empty(t, body)
	res, body = do(call("HEAD", "/v1/file", nil))
	require.EqualValues(t, 1000, res.ContentLength)
	require.Empty(t, body)
	r = call("GET", "/v1/file", nil)
	r.Header.Set("Range", "bytes=5-14")
	res, body = do(r)
	require.Equal(t, 206, res.StatusCode)
	require.Equal(t, "bytes 5-14/1000", res.Header.Get("Content-Range"))
	require.Equal(t, "5678901234", string(body))
	res, body = do(call("GET", "/v1/trailer", nil))
	require.Equal(t, "body", string(body))
	require.Equal(t, "17", res.Trailer.Get("X-Sum"))
	binary := bytes.Repeat([]byte{0, 0xff, 0x80, '\n'}, 1000)
	_, body = do(call("POST", "/v1/echo", bytes.NewReader(binary)))
	require.True(t, bytes.Equal(binary, body))
}

// An event arrives while the stream is open.
func TestServerSentEventsAreNotDelayed(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	s, call := f.server()
	next := make(chan string)
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", event)
			_ = http.NewResponseController(w).Flush()
		}
	})
	res, err := func() (*http.Response, error) {
		go func() { next <- "one" }()
		return s.Client().Do(call("GET", "/v1/events", nil))
	}()
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for _, event := range []string{"one", "two", "three"} {
		require.True(t, lines.Scan())
		require.Equal(t, "data: "+event, lines.Text())
		require.True(t, lines.Scan())
		switch event {
		case "one":
			next <- "two"
		case "two":
			next <- "three"
		}
	}
	close(next)
	require.False(t, lines.Scan())
}

// A gigabyte each way passes without being held.
func TestAGigabyteInConstantMemory(t *testing.T) {
	f := setup(t, nil)
	f.login()
	s, call := f.server()
	const size = gigabyte
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n)
			return
		}
		_, _ = io.CopyN(w, zeros{}, size)
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	res, err := s.Client().Do(call("GET", "/v1/big", nil))
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.NoError(t, res.Body.Close())
	r := call("POST", "/v1/big", io.LimitReader(zeros{}, size))
	res, err = s.Client().Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, fmt.Sprint(size), string(body))
	runtime.ReadMemStats(&after)
	require.Less(t, after.HeapSys, before.HeapSys+(64<<20), "the heap does not grow with the body")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// 401 of what cannot be replayed passes through, and the token is renewed
// behind it.
func TestRefusedPostPassesThroughAndRefreshesBehind(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	refuseUnless(f)
	f.as.kill()
	require.Equal(t, 401, f.do(request("POST", "/v1/x", "{}")).StatusCode)
	require.Len(t, f.api.requests(), 1, "sent once")
	require.Eventually(t, func() bool { return f.as.count("/token refresh_token") == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, 200, f.do(request("GET", "/v1/x", "")).StatusCode)
}

func TestUnauthorizedAfterRefreshPassesThrough(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	f.api.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	require.Equal(t, 401, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Len(t, f.api.requests(), 2)
	require.Equal(t, 1, f.as.count("/token refresh_token"))
}

func TestDeadGrantTellsTheAppToStartAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	refuseUnless(f)
	f.as.mu.Lock()
	f.as.access, f.as.refresh = "none", "none" // the family was ended at the server
	f.as.mu.Unlock()
	res := f.do(request("GET", "/v1/x", ""))
	require.Equal(t, 400, res.StatusCode)
	require.Contains(t, read(t, res), `"error":"invalid_token"`)
	require.Equal(t, 400, f.do(request("POST", "/.tokenvault/refresh", "")).StatusCode)
}

func TestNoSessionIs400(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for _, cookie := range []string{"", "short", strings.Repeat("A", 43)} {
		f.cookie = cookie
		res := f.do(request("GET", "/v1/x", ""))
		require.Equal(t, 400, res.StatusCode)
		require.Contains(t, read(t, res), `"error":"invalid_token"`)
	}
	require.Empty(t, f.api.requests())
}

func TestSessionStoreDownIs503(t *testing.T) {
	t.Parallel()
	f := setup(t, func(f *fixture) { f.config.Sessions = &brokenSessions{Sessions: spa.NewMemorySessions(nil)} })
	f.login()
	f.config.Sessions.(*brokenSessions).broken = true
	res := f.do(request("GET", "/v1/x", ""))
	require.Equal(t, 503, res.StatusCode)
	require.Equal(t, "1", res.Header.Get("Retry-After"))
	require.Empty(t, f.api.requests())
	require.NotEmpty(t, f.cookie)
}

type brokenSessions struct {
	spa.Sessions
	broken bool
}

func (b *brokenSessions) Get(ctx context.Context, key string) ([]byte, error) {
	if b.broken {
		return nil, io.ErrUnexpectedEOF
	}
	return b.Sessions.Get(ctx, key)
}

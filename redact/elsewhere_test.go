package redact_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

func TestElsewhere_JSONInsideAJSONString(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Config{JSON: []string{"$..access_token"}})
	in := `{"status":200,"body":"{\"access_token\":\"` + canary + `\",\"raw\":\"{\\\"access_token\\\":\\\"` + canary + `\\\"}\"}","cut":"{\"access_token\":\"` + canary + `"}`
	out := masked(t, r, in)
	requireNoCanary(t, out, "nested")
	require.Equal(t, `{"status":200,"body":"{\"access_token\":\"REDACTED\",\"raw\":\"{\\\"access_token\\\":\\\"REDACTED\\\"}\"}","cut":"{\"access_token\":\"REDACTED"}`, out)
}

func TestElsewhere_EscapedKeyNames(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Config{JSON: []string{"$.accessToken"}})
	require.Equal(t, `{"access\u0054oken":"REDACTED"}`, masked(t, r, `{"access\u0054oken":"`+canary+`"}`))
}

func TestElsewhere_DuplicateKeys(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Config{JSON: []string{"$.t"}})
	require.Equal(t, `{"t":"REDACTED","a":1,"t":"REDACTED"}`, masked(t, r, `{"t":"`+canary+`","a":1,"t":"`+canary+`"}`))
}

func TestElsewhere_NestedLogValuerLeaks(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Config{Attrs: []string{"unrelated"}})
	v := stringValuer(canary)
	for name, x := range map[string]any{
		"struct": struct{ V stringValuer }{v}, "pointer": &struct{ V *stringValuer }{&v}, "map": map[string]any{"k": v},
		"error": fmt.Errorf("w: %w", v), "[]any": []any{v, &v}, "unexported": struct{ v stringValuer }{v},
	} {
		var plain, b bytes.Buffer
		slog.New(slog.NewJSONHandler(&plain, nil)).Info("m", "x", x)
		slog.New(slog.NewTextHandler(&plain, nil)).Info("m", "x", x)
		require.Contains(t, plain.String(), canary, "%s: the plain handlers leak", name)
		for _, h := range bothHandlers(r, &b) {
			slog.New(h).Info("m", "x", x)
		}
		requireNoCanary(t, b.String(), name)
	}
}

func TestElsewhere_PlusVOfAStruct(t *testing.T) {
	t.Parallel()
	type session struct {
		User  string
		token redact.Secret
	}
	out := fmt.Sprintf("%+v %#v", &session{"u", redact.NewSecret(canary)}, session{"u", redact.NewSecret(canary)})
	require.Contains(t, out, "User:u")
	requireNoCanary(t, out, "%+v")
}

func TestElsewhere_HeadersInRequestDumps(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "DPoP"} {
		req.Header.Set(name, canary)
	}
	dump, err := newRedactor(t, redact.Default()).DumpRequest(req)
	require.NoError(t, err)
	requireNoCanary(t, string(dump), "dump")
	require.Equal(t, 5, strings.Count(string(dump), "REDACTED"))
}

func TestElsewhere_TokenInLocationAndReferer(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Config{Params: []string{"access_token", "code"}})
	for _, at := range []string{"https://x.test/cb?code=%s&state=1", "https://x.test/cb#access_token=%s", "/cb?code=%s", "//x.test/?c%%6fde=%s", "?code=%s"} {
		h := http.Header{"Location": {fmt.Sprintf(at, canary)}, "Referer": {fmt.Sprintf(at, canary)}, "Link": {"<" + fmt.Sprintf(at, canary) + ">; rel=next"}, "Refresh": {"0; url=" + fmt.Sprintf(at, canary)}}
		out := r.Header(h)
		for name := range h {
			requireNoCanary(t, out.Get(name), at+" "+name)
			require.Contains(t, out.Get(name), "REDACTED", at+" "+name)
		}
	}
}

func TestElsewhere_WrappedURLError(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://user:"+canary+"@127.0.0.1:1/cb?code="+canary, nil)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req)
	require.Error(t, err)
	var u *url.Error
	require.ErrorAs(t, err, &u)
	var b bytes.Buffer
	for _, h := range bothHandlers(r, &b) {
		slog.New(h).Error("call failed", "err", fmt.Errorf("sync: %w", errors.Join(err, io.EOF)))
	}
	requireNoCanary(t, b.String(), "url.Error")
	require.Contains(t, b.String(), "127.0.0.1:1")
}

func TestElsewhere_TruncatedBeforeRedacted(t *testing.T) {
	t.Parallel()
	r, jwt := detector(t), newSource().jwt()
	for _, n := range []int{len(jwt) - 1, len(jwt) - 50, len(jwt) / 2} {
		require.Equal(t, "got REDACTED", r.Text("got "+jwt[:n]), "a JWT without its end")
	}
	pem := newSource().pem()
	require.NotContains(t, r.Text(pem[:len(pem)/2]), strings.Split(pem, "\n")[1][:20], "a key without its end")
	require.Equal(t, "dump: {\"password\":\"REDACTED", newRedactor(t, redact.Default()).Text(`dump: {"password":"`+canary[:5]))
}

// endless is a JSON array of n elements, made as it is read.
type endless struct {
	left int
	rest []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		switch {
		case e.left < 0:
			return 0, io.EOF
		case e.left == 0:
			e.rest = []byte(`0]`)
		default:
			e.rest = []byte(`{"access_token":"` + canary + `","pad":"` + strings.Repeat("x", 1000) + `"},`)
		}
		e.left--
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestElsewhere_LargeBodiesAreNotBuffered(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	ahead, written := 0, 0
	src := &endless{left: 8_000, rest: []byte("[")}
	read := readFunc(func(p []byte) (int, error) {
		n, err := src.Read(p)
		ahead += n
		return n, err
	})
	most := 0
	err := r.JSON(writeFunc(func(p []byte) (int, error) {
		most = max(most, ahead-written)
		written += len(p)
		if bytes.Contains(p, []byte(canary)) {
			return 0, errors.New("leak")
		}
		return len(p), nil
	}), read)
	require.NoError(t, err)
	require.Greater(t, written, 8_000_000)
	require.Less(t, most-(ahead-written), 1<<20, "the writer follows the reader")
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

func TestElsewhere_NumbersRespelled(t *testing.T) {
	t.Parallel()
	in := `{"id":9007199254740993,"big":123456789012345678901234567890,"e":1E400,"z":-0.0,"access_token":"` + canary + `"}`
	require.Equal(t, strings.ReplaceAll(in, canary, "REDACTED"), masked(t, newRedactor(t, redact.Default()), in))
}

func TestElsewhere_GzipPassedUnread(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for contentType, in := range map[string]string{"application/json": `{"access_token":"` + canary + `"}`, "text/plain": bearer + "\n", "text/event-stream": "data: " + bearer + "\n\n"} {
		res, got, err := get(t, r.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, compressed(in))
		})))
		require.NoError(t, err)
		require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
		require.Equal(t, fmt.Sprint(len(got)), res.Header.Get("Content-Length"))
		requireNoCanary(t, unpacked(t, got), contentType)
		require.Contains(t, unpacked(t, got), "REDACTED")
	}
	_, got, err := get(t, r.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, compressed(strings.Repeat(bearer+" ", 100_000))[:500])
	})))
	require.NoError(t, err)
	requireNoCanary(t, got, "truncated gzip")
}

func TestElsewhere_FlushesDelayed(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for contentType, pieces := range map[string][2][]string{
		"text/event-stream":    {{": hi\n\n", "data: " + bearer + "\n\n", "data: {\"password\":\"" + canary + "\"}\n\n"}, {": hi\n\n", "data: Bearer REDACTED\n\n", "data: {\"password\":\"REDACTED\"}\n\n"}},
		"application/x-ndjson": {{"{\"password\":\"" + canary + "\"}\n", "{}\n"}, {"{\"password\":\"REDACTED\"}\n", "{}\n"}},
		"text/plain":           {{"line " + bearer + "\n", "and a word \n"}, {"line Bearer REDACTED\n", "and a word \n"}},
	} {
		ack := make(chan struct{})
		server := httptest.NewServer(r.Handler(lineByLine(contentType, ack, pieces[0]...)))
		res, err := server.Client().Get(server.URL)
		require.NoError(t, err)
		readEach(t, res.Body, ack, pieces[1]...)
		require.NoError(t, res.Body.Close())
		server.Close()

		server = httptest.NewServer(lineByLine(contentType, ack, pieces[0]...))
		res, err = (&http.Client{Transport: r.Transport(server.Client().Transport)}).Get(server.URL)
		require.NoError(t, err)
		readEach(t, res.Body, ack, pieces[1]...)
		require.NoError(t, res.Body.Close())
		server.Close()
	}
}

func TestElsewhere_FlushesDelayedInGzip(t *testing.T) {
	t.Parallel()
	ack := make(chan struct{})
	server := httptest.NewServer(newRedactor(t, redact.Default()).Handler(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 2 {
			_, _ = io.WriteString(z, "data: "+bearer+"\n\n")
			_ = z.Flush()
			_ = http.NewResponseController(w).Flush()
			select {
			case <-ack:
			case <-q.Context().Done():
			}
		}
	})))
	defer server.Close()
	res, err := server.Client().Get(server.URL) // the client decodes
	require.NoError(t, err)
	defer res.Body.Close()
	readEach(t, res.Body, ack, "data: Bearer REDACTED\n\n", "data: Bearer REDACTED\n\n")
}

func TestElsewhere_StaleContentLength(t *testing.T) {
	t.Parallel()
	in := `{"access_token":"` + strings.Repeat(canary, 10) + `"}`
	res, got, err := get(t, newRedactor(t, redact.Default()).Handler(body("application/json", in)))
	require.NoError(t, err)
	require.EqualValues(t, len(got), res.ContentLength)
	require.Less(t, len(got), len(in))
}

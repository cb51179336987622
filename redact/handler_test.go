package redact_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

// body answers with a content type and a body, in pieces.
func body(contentType string, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(strings.Join(pieces, ""))))
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Digest", "sha-256=:AAAA:")
		w.Header().Set("Digest", "SHA-256=AAAA")
		w.Header().Set("X-Auth-Token", canary)
		for _, p := range pieces {
			_, _ = io.WriteString(w, p)
		}
	}
}

// get asks h over a real connection.
func get(t *testing.T, h http.Handler, edit ...func(*http.Request)) (*http.Response, string, error) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	for _, f := range edit {
		f(req)
	}
	res, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func TestHandlerBodies(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	big := strings.Repeat(`{"n":1,"access_token":"`+canary+`"},`, 5000)
	for _, row := range []struct{ rule, contentType, in, want string }{
		{"JSON", "application/json", `{"access_token":"` + canary + `"}`, `{"access_token":"REDACTED"}`},
		{"a large JSON", "application/json", "[" + big + "1]", "[" + strings.ReplaceAll(big, canary, "REDACTED") + "1]"},
		{"NDJSON", "application/x-ndjson", "{\"password\":\"" + canary + "\"}\n{}\n", "{\"password\":\"REDACTED\"}\n{}\n"},
		{"form", "application/x-www-form-urlencoded", "a=1&code=" + canary, "a=1&code=REDACTED"},
		{"text", "text/plain; charset=utf-8", "x " + bearer + " y", "x Bearer REDACTED y"},
		{"HTML", "text/html", `<a href="/cb?code=` + canary + `&x=1">`, `<a href="/cb?code=REDACTED&x=1">`},
		{"events", "text/event-stream", "data: {\"access_token\":\"" + canary + "\"}\n\n", "data: {\"access_token\":\"REDACTED\"}\n\n"},
		{"empty", "application/json", "", ""},
	} {
		for _, size := range []int{1, 7, 1 << 20} {
			var pieces []string
			for rest := row.in; rest != ""; {
				n := min(size, len(rest))
				if len(row.in) > 10_000 {
					n = min(len(rest), 1000*size)
				}
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			res, got, err := get(t, r.Handler(body(row.contentType, pieces...)))
			require.NoError(t, err, row.rule)
			require.Equal(t, http.StatusOK, res.StatusCode, row.rule)
			require.Equal(t, row.want, got, row.rule)
			require.Equal(t, `W/"v1"`, res.Header.Get("ETag"), row.rule)
			require.Empty(t, res.Header.Get("Content-Digest")+res.Header.Get("Digest"), row.rule)
			require.Equal(t, "REDACTED", res.Header.Get("X-Auth-Token"), row.rule)
			if len(row.in) < 10_000 {
				require.Equal(t, strconv.Itoa(len(row.want)), res.Header.Get("Content-Length"), row.rule)
			}
		}
	}
}

func TestHandlerLeavesBinaryAlone(t *testing.T) {
	t.Parallel()
	res, got, err := get(t, newRedactor(t, redact.Default()).Handler(body("image/png", "\x89PNG ", bearer)))
	require.NoError(t, err)
	require.Equal(t, "\x89PNG "+bearer, got)
	require.Equal(t, `"v1"`, res.Header.Get("ETag"))
	require.Equal(t, strconv.Itoa(len(got)), res.Header.Get("Content-Length"))
	require.NotEmpty(t, res.Header.Get("Content-Digest"))
}

func TestHandlerAnswers502BeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rule string
		want error
		next http.HandlerFunc
	}{
		{"truncated JSON", redact.ErrInvalid, body("application/json", `{"access_token":"`+canary)},
		{"not JSON", redact.ErrInvalid, body("application/json", "<html>"+canary)},
		{"an unknown encoding", redact.ErrUnreadable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, canary)
		}},
		{"two encodings", redact.ErrUnreadable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Encoding"] = []string{"gzip", "gzip"}
			_, _ = io.WriteString(w, canary)
		}},
		{"part of a document", redact.ErrUnreadable, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, canary)
		}},
		{"gzip that is none", redact.ErrInvalid, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, canary)
		}},
		{"a wide charset", redact.ErrUnreadable, body("application/json; charset=utf-16", canary)},
	} {
		c, seen := redact.Default(), make(chan redact.Event, 1)
		c.Observe = func(_ context.Context, e redact.Event) { seen <- e }
		res, got, err := get(t, newRedactor(t, c).Handler(row.next))
		require.NoError(t, err, row.rule)
		require.Equal(t, http.StatusBadGateway, res.StatusCode, row.rule)
		requireNoCanary(t, got, row.rule)
		require.Empty(t, res.Header.Values("X-Auth-Token"), row.rule)
		require.Empty(t, res.Header.Get("Content-Encoding"), row.rule)
		e := <-seen
		require.Equal(t, row.want, e.Err, row.rule)
		require.Equal(t, "response", e.Kind, row.rule)
	}
}

func TestHandlerAbortsAfterTheFirstByte(t *testing.T) {
	t.Parallel()
	_, got, err := get(t, newRedactor(t, redact.Default()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"a":1,`)
		require.NoError(t, http.NewResponseController(w).Flush())
		_, _ = io.WriteString(w, `"access_token":"`+canary+`" broken`)
		_, err := io.WriteString(w, canary)
		require.Error(t, err)
	})))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.True(t, strings.HasPrefix(got, `{"a":1`), got)
	requireNoCanary(t, got, "aborted")
}

func TestHandlerPassesPanicsOn(t *testing.T) {
	t.Parallel()
	h := newRedactor(t, redact.Default()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"a":`)
		panic("next's own")
	}))
	rec := httptest.NewRecorder()
	require.PanicsWithValue(t, "next's own", func() { h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil)) })
	require.Empty(t, rec.Body.String())
}

func TestHandlerHeaderOnlyResponses(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	res, _, err := get(t, r.Handler(body("application/json", `{"a":1}`)), func(q *http.Request) { q.Method = http.MethodHead })
	require.NoError(t, err)
	require.Empty(t, res.Header.Get("Content-Length"), "it would be that of the unmasked body")
	require.Equal(t, `W/"v1"`, res.Header.Get("ETag"))
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified, http.StatusFound} {
		res, got, err := get(t, r.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://x.test/cb?code="+canary+"&state=1")
			w.WriteHeader(status)
		})))
		require.NoError(t, err)
		require.Equal(t, status, res.StatusCode)
		require.Empty(t, got)
		require.Equal(t, "https://x.test/cb?code=REDACTED&state=1", res.Header.Get("Location"))
	}
}

func TestHandlerTrailersAndInformation(t *testing.T) {
	t.Parallel()
	res, _, err := get(t, newRedactor(t, redact.Default()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "<https://x.test/?code="+canary+">; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Auth-Token")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "x")
		require.NoError(t, http.NewResponseController(w).Flush())
		w.Header().Set("X-Auth-Token", canary)
		w.Header().Set(http.TrailerPrefix+"Authorization", canary)
		w.Header().Set(http.TrailerPrefix+"Content-Digest", "sha-256=:AAAA:")
	})))
	require.NoError(t, err)
	require.Equal(t, "REDACTED", res.Trailer.Get("X-Auth-Token"))
	require.Equal(t, "REDACTED", res.Trailer.Get("Authorization"))
	require.Empty(t, res.Trailer.Get("Content-Digest"))
	requireNoCanary(t, res.Header.Get("Link"), "Link")
}

func TestHandlerControllers(t *testing.T) {
	t.Parallel()
	_, got, err := get(t, newRedactor(t, redact.Default()).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		_, _, err := c.Hijack()
		require.ErrorIs(t, err, http.ErrNotSupported)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
		require.Implements(t, (*http.Flusher)(nil), w)
		_, _ = io.WriteString(w, "done")
	})))
	require.NoError(t, err)
	require.Equal(t, "done", got)
}

func TestHandlerAsksNextForEncodingsItCanRead(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{"": "", "gzip": "gzip", "br, gzip;q=0.5": "gzip", "zstd, br": "identity", "gzip;q=0, br": "identity", "*": "gzip"} {
		var got atomic.Value
		_, _, err := get(t, newRedactor(t, redact.Default()).Handler(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
			got.Store(q.Header.Get("Accept-Encoding"))
		})), func(q *http.Request) {
			if accept != "" {
				q.Header.Set("Accept-Encoding", accept)
			}
		})
		require.NoError(t, err)
		require.Equal(t, want, got.Load(), accept)
	}
}

func compressed(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func unpacked(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(s))
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(b)
}

// elsewhere is a server whose answers the Transport under test gets.
func reply(t *testing.T, r *redact.Redactor, next http.HandlerFunc, edit ...func(*http.Request)) (*http.Response, string, error) {
	t.Helper()
	server := httptest.NewServer(next)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	for _, f := range edit {
		f(req)
	}
	res, err := r.Transport(nil).RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func TestTransport(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	res, got, err := reply(t, r, body("application/json", `{"access_token":"`+canary+`"}`))
	require.NoError(t, err)
	require.Equal(t, `{"access_token":"REDACTED"}`, got)
	require.EqualValues(t, -1, res.ContentLength)
	require.Empty(t, res.Header.Get("Content-Length")+res.Header.Get("Digest"))
	require.Equal(t, "REDACTED", res.Header.Get("X-Auth-Token"))
	require.Equal(t, `W/"v1"`, res.Header.Get("ETag"))

	res, got, err = reply(t, r, func(w http.ResponseWriter, q *http.Request) {
		require.Equal(t, "gzip", q.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, compressed(`{"access_token":"`+canary+`"}`))
	}, func(q *http.Request) { q.Header.Set("Accept-Encoding", "br, gzip") })
	require.NoError(t, err)
	require.Equal(t, `{"access_token":"REDACTED"}`, got)
	require.Empty(t, res.Header.Get("Content-Encoding"))

	_, got, err = reply(t, r, body("application/json", `{"access_token":"`+canary))
	require.ErrorIs(t, err, redact.ErrInvalid)
	requireNoCanary(t, got+err.Error(), "truncated")

	res, got, err = reply(t, r, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Auth-Token")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, bearer)
		w.Header().Set("X-Auth-Token", canary)
	})
	require.NoError(t, err)
	require.Equal(t, "Bearer REDACTED", got)
	require.Equal(t, "REDACTED", res.Trailer.Get("X-Auth-Token"))
}

// closed is a body that tells whether it was closed.
type closed struct {
	io.Reader
	done atomic.Bool
}

func (c *closed) Close() error { c.done.Store(true); return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func TestTransportRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for rule, res := range map[string]*http.Response{
		"encoding": {StatusCode: 200, Header: http.Header{"Content-Encoding": {"zstd"}}}, "part": {StatusCode: 206, Header: http.Header{"Content-Type": {"text/plain"}}},
		"upgrade": {StatusCode: 101, Header: http.Header{}}, "charset": {StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain; charset=utf-16"}}},
	} {
		b := &closed{Reader: strings.NewReader(canary)}
		res.Body = b
		var seen []redact.Event
		c := redact.Default()
		c.Observe = func(_ context.Context, e redact.Event) { seen = append(seen, e) }
		_, err := newRedactor(t, c).Transport(roundTrip(func(*http.Request) (*http.Response, error) { return res, nil })).
			RoundTrip(httptest.NewRequest(http.MethodGet, "http://api.test/", nil))
		require.ErrorIs(t, err, redact.ErrUnreadable, rule)
		require.True(t, b.done.Load(), rule)
		require.Len(t, seen, 1, rule)
		require.Equal(t, "api.test", seen[0].Host)
		require.Equal(t, redact.ErrUnreadable, seen[0].Err)
	}
}

func TestTransportBodyIsClosedAndObservedOnce(t *testing.T) {
	t.Parallel()
	b := &closed{Reader: strings.NewReader(`{"access_token":"` + canary + `"}`)}
	events := 0
	c := redact.Default()
	c.Observe = func(context.Context, redact.Event) { events++ }
	res, err := newRedactor(t, c).Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: b}, nil
	})).RoundTrip(httptest.NewRequest(http.MethodGet, "http://api.test/", nil))
	require.NoError(t, err)
	one := make([]byte, 1)
	_, err = res.Body.Read(one)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.NoError(t, res.Body.Close())
	require.True(t, b.done.Load())
	require.Equal(t, 1, events)
	_, err = res.Body.Read(one)
	require.Error(t, err)
}

func TestTransportPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("no route")
	_, err := newRedactor(t, redact.Default()).Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, broken })).
		RoundTrip(httptest.NewRequest(http.MethodGet, "http://api.test/", nil))
	require.Equal(t, broken, err)
}

func TestDumps(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	form := "grant_type=authorization_code&code=" + canary
	req := httptest.NewRequest(http.MethodPost, "https://x.test/token?client_secret="+canary, strings.NewReader(form))
	req.Header.Set("Authorization", "Basic "+canary)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Content-Length", strconv.Itoa(len(form)))
	dump, err := r.DumpRequest(req)
	require.NoError(t, err)
	requireNoCanary(t, string(dump), "request")
	require.Contains(t, string(dump), "POST https://x.test/token?client_secret=REDACTED HTTP/1.1\r\n")
	require.Contains(t, string(dump), "\r\n\r\ngrant_type=authorization_code&code=REDACTED")
	require.Contains(t, string(dump), "Content-Length: 43\r\n")
	left, err := io.ReadAll(req.Body)
	require.NoError(t, err)
	require.Equal(t, form, string(left), "the body still reads")
	require.Equal(t, "Basic "+canary, req.Header.Get("Authorization"))

	packed := compressed(`{"access_token":"` + canary + `"}`)
	res := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, "Set-Cookie": {canary}},
		ContentLength: int64(len(packed)), Body: io.NopCloser(strings.NewReader(packed))}
	dump, err = r.DumpResponse(res)
	require.NoError(t, err)
	requireNoCanary(t, string(dump), "response")
	require.Contains(t, string(dump), "\r\n\r\n{\"access_token\":\"REDACTED\"}")
	left, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, packed, string(left))
}

func TestDumpFailsClosedAndRestoresTheBody(t *testing.T) {
	t.Parallel()
	c := redact.Default()
	c.MaxBuffer = 256
	r := newRedactor(t, c)
	for want, in := range map[error]string{redact.ErrInvalid: `{"access_token":"` + canary, redact.ErrTooLarge: `{"access_token":"` + strings.Repeat(canary, 50) + `"}`} {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(in))
		req.Header.Set("Content-Type", "application/json")
		dump, err := r.DumpRequest(req)
		require.ErrorIs(t, err, want)
		require.Nil(t, dump)
		requireNoCanary(t, err.Error(), "error")
		left, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		require.Equal(t, in, string(left))
	}
}

// lineByLine serves pieces, flushing each, and waits for the client to say that
// it has what came before.
func lineByLine(contentType string, ack <-chan struct{}, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for _, p := range pieces {
			_, _ = io.WriteString(w, p)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-ack:
			case <-q.Context().Done():
				return
			}
		}
	}
}

// readEach reads one piece after the other; it would hang if one were held back
// until the next.
func readEach(t *testing.T, body io.Reader, ack chan<- struct{}, want ...string) {
	t.Helper()
	in := bufio.NewReader(body)
	for _, w := range want {
		got := make([]byte, len(w))
		_, err := io.ReadFull(in, got)
		require.NoError(t, err)
		require.Equal(t, w, string(got))
		ack <- struct{}{}
	}
}

package redact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

func TestLogPassesSlogtest(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	var b bytes.Buffer
	require.NoError(t, slogtest.TestHandler(r.Log(slog.NewJSONHandler(&b, nil)), func() (out []map[string]any) {
		for line := range bytes.Lines(b.Bytes()) {
			var m map[string]any
			require.NoError(t, json.Unmarshal(line, &m))
			out = append(out, m)
		}
		return out
	}))
}

const bearer = "Bearer canary-s3cr3t-value-123" // found by Detect

type (
	stringValuer string
	ptrValuer    struct{ raw string }
	Token        struct {
		AccessToken string `json:"access_token"`
		Note        string `json:"note,omitempty"`
		Password    *string
		secret      string
	}
	marshaler struct{ s string }
	wrapped   struct{ inner error }
	cycle     struct{ Next *cycle }
	panicker  struct{}
)

func (stringValuer) LogValue() slog.Value { return slog.StringValue("shown") }
func (p *ptrValuer) LogValue() slog.Value { return slog.StringValue("shown") }
func (m marshaler) MarshalJSON() ([]byte, error) {
	return []byte(`{"access_token":"` + m.s + `"}`), nil
}
func (w wrapped) Error() string                      { return "wrapped: " + w.inner.Error() }
func (w wrapped) Unwrap() error                      { return w.inner }
func (s stringValuer) Error() string                 { return "raw " + string(s) }
func (panicker) MarshalText() (text []byte, e error) { panic(canary) }

// logPlaces are values with the canary in a place that a log may show.
func logPlaces() map[string]any {
	password := canary
	u := &url.URL{Scheme: "https", Host: "x.test", Path: "/cb", RawQuery: "code=" + canary}
	req := httptest.NewRequest(http.MethodGet, "https://user:"+canary+"@x.test/cb?code="+canary, nil)
	req.Header.Set("Authorization", "Bearer "+canary)
	tok := Token{AccessToken: canary, Password: &password, secret: canary}
	loop := &cycle{}
	loop.Next = loop
	return map[string]any{
		"LogValuer": stringValuer(canary), "pointer LogValuer": &ptrValuer{canary}, "struct": tok, "pointer": &tok, "slice": []Token{tok}, "any slice": []any{tok, &tok},
		"map by key": map[string]string{"Refresh-Token": canary}, "map by value": map[string]any{"x": bearer}, "map of struct": map[string]Token{"k": tok},
		"map key":             map[string]int{"ghp_0123456789" + strings.Repeat("canary", 5): 1},
		"LogValuer in struct": struct{ V stringValuer }{canary}, "LogValuer in unexported field": struct{ v stringValuer }{canary},
		"LogValuer in pointer": struct{ V *stringValuer }{ptr(stringValuer(canary))}, "LogValuer in map": map[string]any{"k": stringValuer(canary)},
		"LogValuer in []any": []any{1, []any{stringValuer(canary)}}, "pointer LogValuer by value": struct{ V ptrValuer }{ptrValuer{canary}},
		"LogValuer as map key": map[stringValuer]int{canary: 1}, "LogValuer in an error": wrapped{stringValuer(canary)},
		"LogValuer joined": errors.Join(errors.New("a"), stringValuer(canary)), "LogValuer wrapped": fmt.Errorf("b: %w", stringValuer(canary)),
		"bytes": []byte(bearer), "bytes in struct": struct{ B []byte }{[]byte(bearer)}, "json.RawMessage": json.RawMessage(`{"access_token":"` + canary + `"}`),
		"header": http.Header{"Authorization": {canary}, "Location": {"https://x.test/#access_token=" + canary}}, "header in struct": struct{ H http.Header }{http.Header{"Cookie": {canary}}},
		"URL": u, "URL value": *u, "URL in struct": struct{ U *url.URL }{u}, "values": url.Values{"code": {canary}}, "request": req, "request in map": map[string]any{"r": req},
		"cookie": &http.Cookie{Name: "sid", Value: canary}, "response": &http.Response{Status: "200 OK", Header: http.Header{"Set-Cookie": {canary}}, Request: req},
		"error text": errors.New("refused " + bearer), "url.Error": &url.Error{Op: "Get", URL: u.String(), Err: errors.New("refused")},
		"wrapped url.Error": fmt.Errorf("call: %w", &url.Error{Op: "Get", URL: u.String(), Err: io.EOF}),
		"error in struct":   struct{ Err error }{errors.New(bearer)}, "MarshalJSON": marshaler{canary}, "MarshalJSON in struct": struct{ M any }{marshaler{canary}},
		"group": slog.GroupValue(slog.String("access_token", canary), slog.Group("g", "x", bearer)), "attrs": []slog.Attr{slog.String("password", canary)},
		"attr in struct": struct{ A slog.Attr }{slog.String("password", canary)}, "panic": panicker{}, "cycle": loop, "named type": struct{ T stringKind }{stringKind(bearer)},
		"named bool": map[string]any{"password": []int{1}}, "interface": struct{ X any }{map[string]any{"secret": map[string]string{"a": canary}}},
	}
}

type stringKind string

func ptr[T any](v T) *T { return &v }

func bothHandlers(r *redact.Redactor, w io.Writer) []slog.Handler {
	return []slog.Handler{r.Log(slog.NewJSONHandler(w, noTime)), r.Log(slog.NewTextHandler(w, noTime))}
}

func TestLogLeavesNoHole(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for name, v := range logPlaces() {
		var b bytes.Buffer
		for _, h := range bothHandlers(r, &b) {
			log := slog.New(h)
			log.Info("m", "v", v)
			log.Info("m", slog.Group("g", "v", v))
			log.With("v", v).Info("m")
			log.WithGroup("g").With("v", v).Info("m", "w", v)
			log.With(slog.Group("g", slog.Any("v", v))).Info("m")
		}
		require.Contains(t, b.String(), "m", name)
		requireNoCanary(t, b.String(), name)
		require.NotContains(t, b.String(), "canarycanary", name)
	}
}

func TestLogByName(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for _, key := range []string{"access_token", "accessToken", "Access-Token", "ACCESSTOKEN", "password"} {
		for _, v := range []any{canary, []byte(canary), struct{ A string }{canary}, slog.GroupValue(slog.String("a", canary)), stringValuer(canary), 42} {
			var b bytes.Buffer
			for _, h := range bothHandlers(r, &b) {
				slog.New(h).Info("m", key, v)
				slog.New(h).With(key, v).Info("m")
				slog.New(h).WithGroup(key).Info("m", "inner", canary, slog.Group("x", "y", canary))
				slog.New(h).WithGroup(key).With("inner", canary).Info("m")
			}
			requireNoCanary(t, b.String(), key)
			require.NotContains(t, b.String(), "42", key)
			require.Contains(t, b.String(), "REDACTED")
		}
	}
}

func TestLogMessageText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, h := range bothHandlers(newRedactor(t, redact.Default()), &b) {
		slog.New(h).Info("calling https://x.test/?code=" + canary + " with " + bearer)
	}
	requireNoCanary(t, b.String(), "message")
	require.Contains(t, b.String(), "code=REDACTED")
}

func TestLogLeavesTheRestAsItIs(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	type plain struct {
		A int `json:"a"`
		B []string
		c float64
		D map[string]any `json:",omitempty"`
	}
	args := []any{"s", "text", "n", 1, "f", 1.5, "d", time.Second, "t", time.Unix(0, 0).UTC(), "st", plain{A: 1, B: []string{"x"}, c: 2}, "p", &plain{},
		"nil", nil, "err", errors.New("plain"), slog.Group("g", "a", 1), "h", http.Header{"Accept": {"*/*"}}, "access_token", "", "b", []byte("bytes"), "code", 7}
	for _, handler := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, noTime) },
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, noTime) },
	} {
		var want, got bytes.Buffer
		slog.New(handler(&want)).With("w", 1).WithGroup("g").Info("m", args...)
		slog.New(r.Log(handler(&got))).With("w", 1).WithGroup("g").Info("m", args...)
		require.Equal(t, want.String(), got.String())
	}
}

var noTime = &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}

func TestLogKeepsTheShapeOfAMaskedStruct(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	v := struct {
		Token
		ID   int            `json:"id"`
		Skip string         `json:"-"`
		M    map[string]any `json:"m"`
	}{Token{AccessToken: "abc", Note: "n"}, 7, "abc", map[string]any{"b": 1, "a": []any{true, nil, 1.5}}}
	var b bytes.Buffer
	slog.New(r.Log(slog.NewJSONHandler(&b, noTime))).Info("m", "v", v)
	require.JSONEq(t, `{"level":"INFO","msg":"m","v":{"access_token":"REDACTED","note":"n","Password":null,"id":7,"m":{"a":[true,null,1.5],"b":1}}}`, b.String())
	b.Reset()
	slog.New(r.Log(slog.NewTextHandler(&b, noTime))).Info("m", "v", v)
	require.Equal(t, `level=INFO msg=m v="{access_token:REDACTED note:n Password:<nil> id:7 m:{a:[true <nil> 1.5] b:1}}"`+"\n", b.String())
}

func TestLogHandsNoErrorToUnwrap(t *testing.T) {
	t.Parallel()
	inner := &url.Error{Op: "Get", URL: "https://x.test/?code=" + canary, Err: io.EOF}
	var seen error
	h := catcher{func(a slog.Attr) { seen, _ = a.Value.Any().(error) }}
	slog.New(newRedactor(t, redact.Default()).Log(h)).Info("m", "err", fmt.Errorf("a: %w", inner))
	require.ErrorContains(t, seen, "code=REDACTED")
	require.NotErrorIs(t, seen, io.EOF)
}

// catcher shows what reaches a handler.
type catcher struct{ see func(slog.Attr) }

func (c catcher) Enabled(context.Context, slog.Level) bool { return true }
func (c catcher) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c catcher) WithGroup(string) slog.Handler            { return c }
func (c catcher) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { c.see(a); return true })
	return nil
}

func TestLogAltersNoArgument(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for name := range logPlaces() {
		v := logPlaces()[name]
		if name == "panic" || name == "cycle" {
			continue
		}
		before := fmt.Sprintf("%#v", v)
		if strings.Contains(before, "0x") {
			before = fmt.Sprintf("%+v", v)
		}
		slog.New(r.Log(slog.NewJSONHandler(io.Discard, nil))).Info("m", "v", v)
		after := fmt.Sprintf("%#v", v)
		if strings.Contains(after, "0x") {
			after = fmt.Sprintf("%+v", v)
		}
		require.Equal(t, before, after, name)
	}
}

func TestLogConcurrently(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	var b bytes.Buffer
	log := slog.New(r.Log(slog.NewJSONHandler(&b, nil)))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				log.With("password", canary).WithGroup("g").Info("m", "i", i, "v", Token{AccessToken: canary}, "u", bearer)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 400, bytes.Count(b.Bytes(), []byte("\n")))
	requireNoCanary(t, b.String(), "concurrent")
}

func TestLogCostsNoAllocationWhenThereIsNothingToMask(t *testing.T) {
	r := newRedactor(t, redact.Default())
	log := slog.New(r.Log(deaf{}))
	n := testing.AllocsPerRun(100, func() {
		log.LogAttrs(context.Background(), slog.LevelInfo, "m", slog.String("method", "GET"), slog.Int("status", 200), slog.Bool("ok", true))
	})
	require.Zero(t, n)
}

// deaf is a handler that does nothing with a record.
type deaf struct{ catcher }

func (deaf) Handle(context.Context, slog.Record) error { return nil }

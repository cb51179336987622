package redact_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

// quietText is log text, code and prose without a credential.
func quietText() string {
	s := newSource()
	var b strings.Builder
	for b.Len() < 1<<20 {
		b.WriteString(`2026-03-01T12:00:00Z INFO request method=GET path=/api/v1/items/` + s.uuid() + ` status=200 duration=12.5ms user_agent="Mozilla/5.0 (X11; Linux x86_64)"` + "\n")
		b.WriteString(`{"level":"debug","msg":"cache miss","key":"item:` + s.of(hexa, 40) + `","children":[1,2,3],"url":"https://api.example.test/v2/things?page=2&size=50"}` + "\n")
		b.WriteString("The quick brown fox jumps over the lazy dog, and the highest towers laugh at the digits of the network.\n")
	}
	return b.String()
}

func BenchmarkTextQuiet(b *testing.B) {
	text := quietText()
	for name, c := range map[string]redact.Config{"detect": {Detect: true}, "default": redact.Default()} {
		b.Run(name, func(b *testing.B) {
			r, err := redact.New(c)
			require.NoError(b, err)
			require.Equal(b, text, r.Text(text))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r.Text(text)
			}
		})
	}
}

func BenchmarkLog(b *testing.B) {
	r, err := redact.New(redact.Default())
	require.NoError(b, err)
	plain := slog.NewJSONHandler(io.Discard, nil)
	names := map[string]bool{"authorization": true, "password": true, "token": true, "access_token": true, "refresh_token": true}
	replace := slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if names[strings.ToLower(a.Key)] {
			return slog.String(a.Key, "REDACTED")
		}
		return a
	}})
	for _, h := range []struct {
		name string
		h    slog.Handler
	}{{"plain", plain}, {"redact", r.Log(plain)}, {"ReplaceAttr", replace}} {
		b.Run(h.name, func(b *testing.B) {
			log, ctx := slog.New(h.h), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				log.LogAttrs(ctx, slog.LevelInfo, "request served", slog.String("method", "GET"), slog.String("path", "/api/v1/items/42"),
					slog.Int("status", 200), slog.Duration("duration", 12*time.Millisecond), slog.Bool("cached", true))
			}
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	r, err := redact.New(redact.Default())
	require.NoError(b, err)
	doc := `{"items":[` + strings.Repeat(`{"id":"0123456789","name":"a name of some length","n":[1,2,3.5],"ok":true},`, 10_000) + `{"access_token":"x"}]}`
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.JSON(io.Discard, strings.NewReader(doc)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	r, err := redact.New(redact.Default())
	require.NoError(b, err)
	h := map[string][]string{"Authorization": {"Bearer abc"}, "Accept": {"application/json"}, "User-Agent": {"test"}, "X-Request-Id": {"42"}}
	b.ReportAllocs()
	for b.Loop() {
		r.Header(h)
	}
}

package main

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/redact"
)

// redactRows measure a log record with five attributes through the wrapping
// handler, and the search for credentials in text that has none.
func redactRows() []ratio.Row {
	r := must(redact.New(redact.Default()))
	detect := must(redact.New(redact.Config{Detect: true}))
	plain := slog.NewJSONHandler(io.Discard, nil)
	replace := slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{ReplaceAttr: replaceAttr})
	text := quietText()
	// Six kinds in one expression, and a JWT as secret scanners spell it.
	union := regexp.MustCompile(`gh[pousr]_[A-Za-z0-9]{36}|xox[baprs]-[A-Za-z0-9-]{10,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)
	jwt := regexp.MustCompile(`\b(ey[a-zA-Z0-9]{17,}\.ey[a-zA-Z0-9\/\\_-]{17,}\.(?:[a-zA-Z0-9\/\\_-]{10,}={0,2})?)(?:['"\s;]|\\[nr]|$)`)
	return []ratio.Row{{
		Name: "log 5 attributes",
		Cases: []ratio.Case{
			{Name: "plain JSON handler", Run: func(n int) { repeat(n, func() { logFive(plain) }) }},
			{Name: "redact", Run: func(n int) { h := r.Log(plain); repeat(n, func() { logFive(h) }) }},
			{Name: "ReplaceAttr", Run: func(n int) { repeat(n, func() { logFive(replace) }) }},
		},
		Goals: []ratio.Goal{{Case: "redact", AtMost: 1.35, Allocs: -1}},
	}, {
		// 500 MB/s where the expressions do 52 and 13.
		Name: "scan 64 KiB of text without credentials",
		Cases: []ratio.Case{
			{Name: "redact", Run: func(n int) { repeat(n, func() { detect.Text(text) }) }},
			{Name: "redact, Default", Run: func(n int) { repeat(n, func() { r.Text(text) }) }},
			{Name: "JWT expression", Run: func(n int) { repeat(n, func() { jwt.MatchString(text) }) }},
			{Name: "union of six", Run: func(n int) { repeat(n, func() { union.MatchString(text) }) }},
		},
		Goals: []ratio.Goal{{Case: "JWT expression", AtLeast: 9.6}, {Case: "union of six", AtLeast: 38}},
	}}
}

func logFive(h slog.Handler) {
	slog.New(h).LogAttrs(context.Background(), slog.LevelInfo, "request served", slog.String("method", "GET"), slog.String("path", "/api/v1/items/42"),
		slog.Int("status", 200), slog.Duration("duration", 12*time.Millisecond), slog.Bool("cached", true))
}

// replaceAttr masks by name alone, as handlers are commonly configured.
func replaceAttr(_ []string, a slog.Attr) slog.Attr {
	switch strings.ToLower(a.Key) {
	case "authorization", "password", "token", "access_token", "refresh_token", "client_secret", "cookie":
		return slog.String(a.Key, redact.DefaultMask)
	}
	return a
}

func quietText() string {
	const lines = `2026-03-01T12:00:00Z INFO request method=GET path=/api/v1/items/7f9c24e8-3b12-4fef-91e0-56a2d5a7c1de status=200 agent="Mozilla/5.0 (X11; Linux x86_64)"
{"level":"debug","msg":"cache miss","key":"item:9b74c9897bac770ffc029102a200c5de","children":[1,2,3],"url":"https://api.example.test/v2/things?page=2&size=50"}
The quick brown fox jumps over the lazy dog, and the highest towers laugh at the digits of the network.
`
	return strings.Repeat(lines, 64<<10/len(lines))
}

package jsonedit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tokenList is about n bytes of a list of accounts with a token each.
func tokenList(n int) []byte {
	var b bytes.Buffer
	b.WriteString("[\n")
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `  {"id": %d, "name": "User %d", "email": "user%d@example.com", "active": %t, "score": %d.25, "tags": ["alpha", "beta", "gamma"], "profile": {"city": "Z\u00fcrich", "bio": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor", "visits": [1, 22, 333, 4444]}, "token": "eyJhbGciOiJSUzI1NiJ9.%032d.c2lnbmF0dXJl"}`,
			i, i, i, i%2 == 0, i%100, i)
	}
	b.WriteString("\n]\n")
	return b.Bytes()
}

// tokenResponse is a token endpoint's answer of about 0.7 KB.
func tokenResponse() []byte {
	return fmt.Appendf(nil, `{"access_token":"eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.%s.%s","token_type":"Bearer","expires_in":3600,"refresh_token":"%s","scope":"openid profile email offline_access"}`,
		strings.Repeat("eyJzdWIi", 30), strings.Repeat("c2lnbmF0", 20), strings.Repeat("cmVmcmVz", 8))
}

// redacting is an edit of doc with constant replacements.
func redacting(b testing.TB, doc []byte, paths ...string) func() {
	repl := []byte(`"REDACTED"`)
	f := func(Value) ([]byte, error) { return repl, nil }
	e, src := compile(b, paths...), bytes.NewReader(doc)
	return func() {
		src.Reset(doc)
		if err := e.Edit(io.Discard, src, f); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMemoryOfALargeDocument(t *testing.T) {
	var before, after runtime.MemStats
	edit := redacting(t, tokenList(10e6), "$..token")
	runtime.ReadMemStats(&before)
	edit()
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<10), "in total, the first time")
}

func TestNoAllocations(t *testing.T) {
	if raced {
		return // sync.Pool forgets on purpose
	}
	edit := redacting(t, tokenResponse(), "$.access_token", "$..refresh_token", "$['scope']")
	require.Zero(t, testing.AllocsPerRun(100, edit))
	edit = redacting(t, tokenList(1e6), "$..token", "$[*].tags[1]", "$[5:1000:3].name")
	require.Zero(t, testing.AllocsPerRun(5, edit))
}

func BenchmarkEdit(b *testing.B) {
	for _, c := range []struct {
		name string
		doc  []byte
		path []string
	}{
		{"10MB", tokenList(10e6), []string{"$..token"}},
		{"response", tokenResponse(), []string{"$.access_token", "$.refresh_token"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			edit := redacting(b, c.doc, c.path...)
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			for b.Loop() {
				edit()
			}
		})
	}
}

func BenchmarkValid(b *testing.B) {
	doc := tokenList(10e6)
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		require.True(b, json.Valid(doc))
	}
}

package echo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const (
	secret = "s3cr3t-token-of-the-third-party"
	odd    = "tok/en+with \"odd\" \\ bytes ? & \u00e9\u65e5\U0001F511 %41"
)

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func spellings(s string) map[string]string {
	quoted, _ := json.Marshal(s)
	return map[string]string{
		"raw": s, "JSON": string(quoted[1 : len(quoted)-1]), "JSON, all escaped": asciiJSON(s),
		"JSON, slashes": strings.ReplaceAll(string(quoted[1:len(quoted)-1]), "/", `\/`),
		"query":         url.QueryEscape(s), "path": url.PathEscape(s), "percent": percentAll(s), "percent, upper": strings.ToUpper(percentAll(s)),
		"base64": base64.StdEncoding.EncodeToString([]byte(s)), "base64url": base64.URLEncoding.EncodeToString([]byte(s)),
		"base64 raw": base64.RawStdEncoding.EncodeToString([]byte(s)), "base64url raw": base64.RawURLEncoding.EncodeToString([]byte(s)),
		"base64 in a query": url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))),
		"base64 in JSON":    strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(s)), "/", `\/`),
	}
}

// Every spelling, in every cut into chunks.
func TestScrubberFindsEverySpelling(t *testing.T) {
	t.Parallel()
	const sealed = "tv1.SEALED"
	for _, plain := range []string{secret, odd, "12345678", "====////++++", "  leading and trailing  "} {
		for name, spelling := range spellings(plain) {
			text := "before " + spelling + "|" + spelling[:len(spelling)-1] + "| after \\ %4 %"
			want := "before " + sealed + "|" + spelling[:len(spelling)-1] + "| after \\ %4 %"
			if strings.HasPrefix(name, "base64") && strings.HasSuffix(spelling, "=") || strings.HasSuffix(spelling, "%3D") {
				want = "" // less padding is a spelling, too
			}
			for _, src := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
				s := New([]Value{{Plain: plain, Replace: sealed}}, MinBytes)
				got, err := io.ReadAll(s.Reader(src))
				require.NoError(t, err)
				if want != "" {
					require.Equal(t, want, string(got), "%s of %q", name, plain)
				}
				require.NotContains(t, string(got), spelling, "%s of %q", name, plain)
				require.Contains(t, string(got), "| after \\ %4 %")
			}
		}
	}
}

func TestScrubberLeavesTheRest(t *testing.T) {
	t.Parallel()
	s := New([]Value{{Plain: secret, Replace: "X"}, {Plain: "short", Replace: "Y"}, {Plain: odd, Replace: "Z"}}, MinBytes)
	for _, text := range []string{"", "short", secret[1:], secret[:len(secret)-1], `\`, `\u`, `\ud83d`, "%", "%7", "%zz", "s%", "s3cr3t-token-of", strings.Repeat("s3cr3t-", 100)} {
		for range 2 {
			out, rest := s.scrub(nil, []byte(text), true)
			require.Equal(t, text, string(out))
			require.Empty(t, rest)
		}
	}
	require.Nil(t, New([]Value{{Plain: "short", Replace: "Y"}}, MinBytes))
}

// What cannot begin a plaintext is passed on at once.
func TestScrubberDoesNotDelay(t *testing.T) {
	t.Parallel()
	s := New([]Value{{Plain: secret, Replace: "X"}}, MinBytes)
	for _, text := range []string{"data: a\n\n", "data: " + secret[:10] + "\n\n"} {
		out, rest := s.scrub(nil, []byte(text), false)
		require.Equal(t, text, string(out))
		require.Empty(t, rest)
	}
	out, rest := s.scrub(nil, []byte("data: "+secret[:10]), false)
	require.Equal(t, "data: ", string(out))
	require.Equal(t, secret[:10], string(rest))
}

func TestElsewhere_GrowthAttack(t *testing.T) {
	t.Parallel()
	sealed := "tv1." + strings.Repeat("x", 2000)
	attack := strings.Repeat("8 bytes!", 100_000)
	s := New([]Value{{Plain: "8 bytes!", Replace: sealed}}, MinBytes)
	out, _ := s.scrub(nil, []byte(attack), true)
	require.LessOrEqual(t, len(out), len(attack)+maxGrowth)
	require.NotContains(t, string(out), "8 bytes!")
	require.Contains(t, string(out), sealed)
	require.Nil(t, New([]Value{{Plain: "x", Replace: sealed}}, MinBytes), "a one-byte secret is not scrubbed")

	many := make([]Value, 1000)
	for i := range many {
		many[i] = Value{Plain: fmt.Sprintf("secret number %d", i), Replace: sealed}
	}
	require.LessOrEqual(t, len(New(many, MinBytes).needles), maxNeedles+1)
}

func FuzzScrubber(f *testing.F) {
	for _, s := range spellings(odd) {
		f.Add([]byte("x"+s+"y"), 3)
	}
	f.Add([]byte(secret+secret), 1)
	f.Fuzz(func(t *testing.T, text []byte, chunk int) {
		values := []Value{{Plain: secret, Replace: "<>"}, {Plain: odd, Replace: "<>"}, {Plain: "aaaaaaaab", Replace: "<>"}}
		whole, _ := New(values, MinBytes).scrub(nil, text, true)
		for _, v := range values {
			if bytes.Contains(whole, []byte(v.Plain)) {
				t.Fatalf("%q is left in %q", v.Plain, whole)
			}
		}
		size := max(1, chunk%50)
		r := New(values, MinBytes).Reader(readerFunc(func(p []byte) (int, error) {
			n := copy(p[:min(size, len(p))], text)
			text = text[n:]
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		}))
		streamed, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(streamed, whole) {
			t.Fatalf("in chunks of %d: %q, at once: %q (%v)", size, streamed, whole, err)
		}
	})
}

// Fill keeps an answer's length, whatever the spelling.
func TestFillKeepsTheLength(t *testing.T) {
	t.Parallel()
	for name, spelling := range spellings(odd) {
		text := "a " + spelling + " b"
		out := New([]Value{{Plain: odd, Replace: "REDACTED", Fill: true}}, MinBytes).Text(text)
		require.Len(t, out, len(text), name)
		require.Contains(t, out, "a REDACTED**", name)
	}
}

func BenchmarkScrub(b *testing.B) {
	text := bytes.Repeat([]byte(`{"id":12345,"name":"the quick brown fox","url":"https://example.com/a/b"},`), 1000)
	s := New([]Value{{Plain: "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl", Replace: "tv1.x"}}, MinBytes)
	b.SetBytes(int64(len(text)))
	var out []byte
	for b.Loop() {
		out, _ = s.scrub(out[:0], text, true)
	}
	require.Equal(b, text, out)
}

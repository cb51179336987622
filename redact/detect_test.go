package redact_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the figures in doc.go")

const perKind = 20

func detector(t testing.TB) *redact.Redactor {
	t.Helper()
	r, err := redact.New(redact.Config{Detect: true})
	require.NoError(t, err)
	return r
}

// left reports whether a stretch of secret is in text that would be of use.
func left(text, secret string) bool {
	n := min(12, len(secret))
	for i := 0; i+n <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+n]) {
			return true
		}
	}
	return false
}

func TestDetectFiguresOfPackageComment(t *testing.T) {
	t.Parallel()
	r, s := detector(t), newSource()
	keys, found, falseAlarms, others := 0, 0, 0, 0
	for _, k := range kinds {
		missed := 0
		for range perKind {
			for _, frame := range frames {
				text, secret := k.make(s)
				keys++
				if out := r.Text(fmt.Sprintf(frame, text)); left(out, secret) {
					missed++
					if missed == 1 {
						t.Logf("missed %s: %q", k.name, out[:min(len(out), 200)])
					}
					continue
				}
				found++
			}
		}
		if missed > 0 {
			t.Logf("%s: missed %d", k.name, missed)
		}
	}
	for _, l := range lookAlikes {
		for range 20 * perKind {
			text := l.make(s)
			others++
			if out := r.Text(text); out != text {
				falseAlarms++
				at := max(0, strings.Index(out, "REDACTED")-30)
				t.Logf("false alarm %s: %q becomes %q", l.name, text[at:min(len(text), at+120)], out[at:min(len(out), at+60)])
			}
		}
	}
	recall, precision := float64(found)/float64(keys), float64(found)/float64(found+falseAlarms)
	require.GreaterOrEqual(t, len(kinds), 25)
	require.GreaterOrEqual(t, recall, 0.95)
	require.GreaterOrEqual(t, precision, 0.98)

	line := fmt.Sprintf("//\trecall %.4f of %d keys of %d kinds, precision %.4f among %d look-alikes", recall, keys, len(kinds), precision, others)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	figures := regexp.MustCompile(`(?m)^//\trecall .*$`)
	if *update {
		require.NoError(t, os.WriteFile("doc.go", figures.ReplaceAllLiteral(doc, []byte(line)), 0o644))
		return
	}
	require.Equal(t, line, string(figures.Find(doc)), "go test ./redact -run Figures -update rewrites it")
}

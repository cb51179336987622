// Package leaktest looks for what must not be there: secrets in captured
// output, and goroutines after the tests.
package leaktest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// None fails the test when data holds one of the secrets raw or base64, hex,
// percent or JSON encoded. It first plants each form behind the end of data and
// finds it, so a scan that sees nothing is known to be able to see. Secrets are
// at least 8 bytes; data is read twice, however many they are.
func None(t testing.TB, data []byte, secrets ...string) {
	t.Helper()
	if len(secrets) == 0 {
		t.Fatal("leaktest: no secret to look for")
	}
	for i, secret := range secrets {
		if len(secret) < 8 {
			t.Fatalf("leaktest: secret %d is too short to look for", i)
		}
	}
	s := newScan(secrets)
	s.plant(t, data[max(0, len(data)-64):])
	for i, found := range s.find(data) {
		t.Errorf("leaktest: secret %d leaks: %s", i, strings.Join(slices.Sorted(maps.Keys(found)), ", "))
	}
}

// Find returns the names of the forms of secret that data holds.
func Find(data []byte, secret string) []string {
	return slices.Sorted(maps.Keys(newScan([]string{secret}).find(data)[0]))
}

// scan looks for every form of every secret at once, by their first bytes.
type scan struct {
	exact, folded map[[start]byte][]needle // folded ones are lower case
}

const start = 6 // the shortest form: 8 bytes in base64, less what neighbours share

type needle struct {
	secret     int
	form, text string
}

func newScan(secrets []string) scan {
	s := scan{make(map[[start]byte][]needle), make(map[[start]byte][]needle)}
	for i, secret := range secrets {
		for name, form := range forms(secret) {
			in := s.exact
			if strings.HasPrefix(name, "hex") || strings.Contains(name, "percent") {
				in, form = s.folded, strings.ToLower(form)
			}
			key := [start]byte([]byte(form))
			in[key] = append(in[key], needle{i, name, form})
		}
	}
	return s
}

// find returns, for each secret that data holds, in which forms.
func (s scan) find(data []byte) map[int]map[string]bool {
	found := make(map[int]map[string]bool)
	for _, pass := range []struct {
		data    []byte
		needles map[[start]byte][]needle
	}{{data, s.exact}, {bytes.ToLower(data), s.folded}} {
		for i := 0; i+start <= len(pass.data); i++ {
			for _, n := range pass.needles[[start]byte(pass.data[i:])] {
				if bytes.HasPrefix(pass.data[i:], []byte(n.text)) {
					if found[n.secret] == nil {
						found[n.secret] = make(map[string]bool)
					}
					found[n.secret][n.form] = true
				}
			}
		}
	}
	return found
}

// plant fails the test if a form, put behind the text, is not found.
func (s scan) plant(t testing.TB, text []byte) {
	t.Helper()
	for _, needles := range []map[[start]byte][]needle{s.exact, s.folded} {
		for _, same := range needles {
			for _, n := range same {
				if !s.find(append(bytes.Clone(text), n.text...))[n.secret][n.form] {
					t.Fatalf("leaktest: a planted %s form is not found", n.form)
				}
			}
		}
	}
}

// forms are the ways secret may stand in a text. Base64 is looked for at each
// of the three alignments it can have inside a longer text.
func forms(secret string) map[string]string {
	quoted, _ := json.Marshal(secret)
	out := map[string]string{
		"raw":         secret,
		"hex":         hex.EncodeToString([]byte(secret)),
		"JSON":        string(quoted[1 : len(quoted)-1]),
		"percent":     url.QueryEscape(secret),
		"all percent": percentAll(secret),
	}
	for shift := range 3 {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			out[fmt.Sprintf("%s at %d", name, shift)] = aligned(enc, secret, shift)
		}
	}
	return out
}

// aligned encodes secret as it stands shift bytes into a longer text, less the
// characters at either end that its neighbours share.
func aligned(enc *base64.Encoding, secret string, shift int) string {
	text := enc.EncodeToString(append(make([]byte, shift), secret...))
	first := []int{0, 2, 3}[shift]
	last := (shift + len(secret)) * 8 / 6
	return text[first:last]
}

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

// Main runs the tests and then fails if goroutines of this module's packages
// are still running. Use it as a package's TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := Goroutines(5 * time.Second); left != "" {
			fmt.Fprintf(os.Stderr, "leaktest: goroutines left after the tests:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// Goroutines waits up to patience until no goroutine but the caller's runs code
// of this module, and returns the stacks of those that still do.
func Goroutines(patience time.Duration) string {
	deadline := time.Now().Add(patience)
	for {
		left := running()
		if left == "" || time.Now().After(deadline) {
			return left
		}
		runtime.Gosched()
		<-time.After(10 * time.Millisecond)
	}
}

const module = "seed-6d9a6c17/tokenvault"

func running() string {
	buf := make([]byte, 4<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	var left []string
	for _, stack := range stacks[1:] { // the first is the caller's own
		if strings.Contains(stack, module) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

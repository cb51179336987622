// Package leaktest looks for what must not be there: secrets in captured
// output, and goroutines after the tests.
package leaktest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// None fails the test when data holds one of the secrets raw or base64, hex,
// percent or JSON encoded. It first plants each form in a copy and finds it, so
// a scan that sees nothing is known to be able to see. Secrets are at least 8
// bytes.
func None(t testing.TB, data []byte, secrets ...string) {
	t.Helper()
	if len(secrets) == 0 {
		t.Fatal("leaktest: no secret to look for")
	}
	for i, secret := range secrets {
		if len(secret) < 8 {
			t.Fatalf("leaktest: secret %d is too short to look for", i)
		}
		for name, form := range forms(secret) {
			planted := append(bytes.Clone(data), "planted:"+form...)
			if len(Find(planted, secret)) == 0 {
				t.Fatalf("leaktest: a planted %s form is not found", name)
			}
		}
		if found := Find(data, secret); len(found) > 0 {
			t.Errorf("leaktest: secret %d leaks: %s", i, strings.Join(found, ", "))
		}
	}
}

// Find returns the names of the forms of secret that data holds.
func Find(data []byte, secret string) []string {
	var found []string
	lower := bytes.ToLower(data)
	for name, form := range forms(secret) {
		haystack, needle := data, form
		if strings.HasPrefix(name, "hex") || strings.HasPrefix(name, "percent") {
			haystack, needle = lower, strings.ToLower(form)
		}
		if bytes.Contains(haystack, []byte(needle)) {
			found = append(found, name)
		}
	}
	return found
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

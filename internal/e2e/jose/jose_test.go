// Package jose has sealed strings made and read by the npm package jose: the
// wire format belongs to no one library and no one language.
package jose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

type job struct {
	Op        string          `json:"op"`
	JWK       json.RawMessage `json:"jwk"`
	Plaintext []byte          `json:"plaintext"`
	Header    map[string]any  `json:"header,omitempty"`
	JWE       string          `json:"jwe,omitempty"`
}

type answer struct {
	Plaintext []byte         `json:"plaintext"`
	Header    map[string]any `json:"header"`
	JWE       string         `json:"jwe"`
}

var label = tokenvault.Label{
	Hosts:   []string{"api.example.com", "*.example.org:8443"},
	Subject: "ünï \"1\"",
	Purpose: "interop",
	Expires: time.Unix(4102444800, 0).UTC(),
}

var use = tokenvault.Use{Host: "api.example.com", Subject: label.Subject, Purpose: label.Purpose, AllowPublic: true}

var header = map[string]any{"aud": label.Hosts, "sub": label.Subject, "typ": label.Purpose, "exp": 4102444800}

var sizes = []int{0, 1, 2, 3, 15, 16, 17, 1024, 4095, 65536}

// installJose installs the locked packages into a directory of the test's own.
func installJose(t *testing.T) (node, dir string) {
	t.Helper()
	programs := testserver.Need(t, "node", "npm")
	dir = t.TempDir()
	for _, file := range []string{"jose.mjs", "package.json", "package-lock.json"} {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), b, 0o600))
	}
	npm := exec.CommandContext(t.Context(), programs[1], "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	out, err := npm.CombinedOutput()
	require.NoError(t, err, "npm ci: %s", out)
	return programs[0], dir
}

func run(t *testing.T, node, dir string, jobs []job) []answer {
	t.Helper()
	input, err := json.Marshal(jobs)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), node, "jose.mjs")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	var answers []answer
	require.NoError(t, json.Unmarshal(out, &answers))
	require.Len(t, answers, len(jobs))
	return answers
}

func TestSealedStringsAndJosePackage(t *testing.T) {
	t.Parallel()
	node, dir := installJose(t)
	for alg, newKey := range map[string]func() ([]byte, error){"A256KW": tokenvault.NewKey, "ECDH-ES+A256KW": tokenvault.NewKeyPair} {
		jwk, err := newKey()
		require.NoError(t, err)
		keys, err := tokenvault.ParseKeyring(jwk)
		require.NoError(t, err)
		var jobs []job
		for _, n := range sizes {
			plaintext := bytes.Repeat([]byte{0xfe}, n)
			sealed, err := keys.Seal(t.Context(), plaintext, label)
			require.NoError(t, err)
			jobs = append(jobs,
				job{Op: "open", JWK: jwk, JWE: strings.TrimPrefix(sealed, tokenvault.Prefix)},
				job{Op: "seal", JWK: sealingHalf(t, keys, jwk), Plaintext: plaintext, Header: header})
		}
		answers := run(t, node, dir, jobs)
		for i, n := range sizes {
			size := fmt.Sprintf("%s, %d bytes", alg, n)
			opened, made := answers[2*i], answers[2*i+1]

			require.True(t, bytes.Equal(bytes.Repeat([]byte{0xfe}, n), opened.Plaintext), size)
			require.Equal(t, alg, opened.Header["alg"], size)
			require.Equal(t, []any{"api.example.com", "*.example.org:8443"}, opened.Header["aud"], size)
			require.Equal(t, label.Subject, opened.Header["sub"], size)
			require.EqualValues(t, 4102444800, opened.Header["exp"], size)

			plaintext, l, err := keys.Open(t.Context(), tokenvault.Prefix+made.JWE, use)
			require.NoError(t, err, size)
			require.True(t, bytes.Equal(bytes.Repeat([]byte{0xfe}, n), plaintext), size)
			require.Equal(t, label, l, size)
		}
	}
}

// sealingHalf is the key as a client has it: of a pair, the public half.
func sealingHalf(t *testing.T, keys *tokenvault.Keyring, jwk []byte) json.RawMessage {
	t.Helper()
	set, err := keys.Public()
	if err != nil {
		return jwk
	}
	var public struct{ Keys []json.RawMessage }
	require.NoError(t, json.Unmarshal(set, &public))
	require.Len(t, public.Keys, 1)
	require.NotContains(t, string(public.Keys[0]), `"d"`)
	return public.Keys[0]
}

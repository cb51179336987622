package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// cli runs commands in a directory of the test's own.
type cli struct {
	*testing.T
	dir     string
	keyring string
}

func newCLI(t *testing.T) *cli {
	dir := t.TempDir()
	c := &cli{t, dir, filepath.Join(dir, "keyring.json")}
	c.ok("", "keygen", "--out", c.keyring)
	return c
}

// run returns the exit code and what was printed.
func (c *cli) run(input string, args ...string) (code int, out, errOut string) {
	c.Helper()
	var o, e bytes.Buffer
	if args[0] != "keygen" {
		args = append(args, "--keyring", c.keyring)
	}
	code = run(context.Background(), &terminal{strings.NewReader(input), &o, &e}, args)
	return code, o.String(), e.String()
}

func (c *cli) ok(input string, args ...string) string {
	c.Helper()
	code, out, errOut := c.run(input, args...)
	require.Zero(c, code, "%v: %s", args, errOut)
	return out
}

func (c *cli) kids() []string {
	c.Helper()
	var ids []string
	for line := range strings.Lines(c.ok("", "keyring", "list")) {
		ids = append(ids, strings.Fields(line)[0])
	}
	return ids
}

func TestSealOpenInspect(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for _, plaintext := range []string{"", "secret", "with newline\n", "\x00\xff binary", strings.Repeat("x", 64<<10)} {
		sealed := c.ok(plaintext, "seal", "--host", "api.example.com", "--subject", "u", "--expires", "1h")
		require.Equal(t, plaintext, c.ok(sealed, "open", "--subject", "u"), "byte for byte")
		var label map[string]any
		require.NoError(t, json.Unmarshal([]byte(c.ok(sealed, "inspect")), &label))
		require.Equal(t, []any{"api.example.com"}, label["hosts"])
		require.Equal(t, "u", label["subject"])
		require.Equal(t, false, label["expired"])
		require.Equal(t, c.kids()[0], label["kid"])
	}
}

// Each wrong input is one line and a code; nothing is changed, and no value is
// repeated.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	sealed := c.ok("secret-value", "seal", "--subject", "u")
	loose := filepath.Join(c.dir, "loose.json")
	text, err := os.ReadFile(c.keyring)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(loose, text, 0o644))
	half := filepath.Join(c.dir, "half.json")
	require.NoError(t, os.WriteFile(half, text[:len(text)/2], 0o600))
	for _, row := range []struct {
		rule  string
		input string
		args  []string
		code  int
		says  string
	}{
		{"no such command", "", []string{"frobnicate-secret-value"}, 2, "no such command"},
		{"no such flag", "", []string{"seal", "--secret"}, 2, "unknown flag"},
		{"a value as an argument", "", []string{"seal", "secret-value"}, 2, "read from standard input"},
		{"a key as an argument", "", []string{"open", "secret-value"}, 2, "read from standard input"},
		{"keygen without a file", "", []string{"keygen"}, 2, "--out is missing"},
		{"keygen over a file", "", []string{"keygen", "--out", c.keyring}, 1, "file exists"},
		{"promote without an id", "", []string{"keyring", "promote"}, 2, "it takes one key id"},
		{"promote an unknown id", "", []string{"keyring", "promote", "nobody"}, 1, "no key of that id"},
		{"drop an unknown id", "", []string{"keyring", "drop", "nobody"}, 1, "no key of that id"},
		{"drop the only key", "", []string{"keyring", "drop", c.kids()[0]}, 1, "the only key"},
		{"public halves of a symmetric ring", "", []string{"keyring", "public"}, 1, "no key pair"},
		{"a time that is none", "x", []string{"seal", "--expires", "tomorrow"}, 2, "--expires"},
		{"an expired label", "x", []string{"seal", "--expires", "-1h"}, 1, "Label.Expires"},
		{"a host that is none", "x", []string{"seal", "--host", "*.com"}, 1, "Label.Hosts[0]"},
		{"JSON that is none", "x", []string{"seal", "--json"}, 1, "Label.JSON"},
		{"open garbage", "secret-value", []string{"open"}, 1, "malformed"},
		{"open nothing", "", []string{"open"}, 1, "malformed"},
		{"open a cut value", sealed[:len(sealed)-5], []string{"open"}, 1, "malformed"},
		{"open for another subject", sealed, []string{"open", "--subject", "v"}, 1, "another subject"},
		{"inspect garbage", "secret-value", []string{"inspect"}, 1, "malformed"},
		{"reseal a broken line", "a\n" + sealed[:len(sealed)-12] + "AAAA" + sealed[len(sealed)-8:], []string{"reseal"}, 1, "line 2"},
		{"reseal both", "", []string{"reseal", "--store", "env", "--column", "c"}, 2, "exclude each other"},
		{"column without a table", "", []string{"reseal", "--column", "c"}, 2, "--table is missing"},
		{"table without a column", "", []string{"reseal", "--table", "t"}, 2, "--column is missing"},
		{"database without a column", "x", []string{"seal", "--db", "sqlite:x"}, 2, "--column is missing"},
		{"dry run of a single value", "x", []string{"seal", "--dry-run"}, 2, "--dry-run needs --column"},
		{"two subjects", "", []string{"seal", "--column", "c", "--table", "t", "--subject", "u", "--subject-column", "s"}, 2, "exclude each other"},
		{"a value as shorthands", "", []string{"seal", "-secret-value"}, 2, "unknown flag"},
		{"a value where a truth belongs", "", []string{"seal", "--json=secret-value"}, 2, "invalid value for --json"},
		{"column without a database", "", []string{"reseal", "--column", "c", "--table", "t"}, 1, "no database"},
		{"a password in an argument", "", []string{"reseal", "--column", "c", "--table", "t", "--db", "postgres://u:secret-value@127.0.0.1/x"}, 1, "TOKENVAULT_DB"},
		{"an unknown database", "", []string{"reseal", "--column", "c", "--table", "t", "--db", "mysql://x"}, 1, "must begin with"},
		{"an unreachable database", "", []string{"reseal", "--column", "c", "--table", "t", "--db", "postgres://127.0.0.1:1/x"}, 1, "cannot be reached"},
		{"a database file that is not there", "", []string{"reseal", "--column", "c", "--table", "t", "--db", "sqlite:" + c.dir + "/none.db"}, 1, "no such file"},
		{"an unreachable store", "", []string{"reseal", "--store", "redis://127.0.0.1:1"}, 1, "cannot be reached"},
		{"a table's name that is none", "", []string{"reseal", "--column", "c", "--table", `t"; drop table x`, "--db", "sqlite:" + c.keyring}, 1, "not a name"},
		{"a file that is no database", "", []string{"reseal", "--column", "c", "--table", "t", "--db", "sqlite:" + c.keyring}, 1, "no SQLite database"},
		{"relay without a configuration", "", []string{"relay"}, 2, "--config is missing"},
		{"relay with a file that is not there", "", []string{"relay", "--config", c.dir + "/none"}, 1, "no such file"},
		{"relay with another file", "", []string{"relay", "--config", c.keyring}, 1, "unknown field"},
	} {
		before := c.snapshot()
		code, out, errOut := c.run(row.input, row.args...)
		require.Equal(t, row.code, code, "%s: %s", row.rule, errOut)
		require.Contains(t, errOut, row.says, row.rule)
		require.Equal(t, 1, strings.Count(errOut, "\n"), "%s: one line: %s", row.rule, errOut)
		if row.rule != "reseal a broken line" {
			require.Empty(t, out, row.rule)
		}
		leaktest.None(t, []byte(errOut), "secret-value")
		require.Equal(t, before, c.snapshot(), "%s: nothing changed", row.rule)
	}
	for file, says := range map[string]string{loose: "chmod 600", half: "key set", filepath.Join(c.dir, "none"): "no such file"} {
		c.keyring = file
		code, _, errOut := c.run("x", "seal")
		require.Equal(t, 1, code)
		require.Contains(t, errOut, says)
	}
}

func (c *cli) snapshot() map[string]string {
	files := map[string]string{}
	entries, err := os.ReadDir(c.dir)
	require.NoError(c, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(c.dir, e.Name()))
		require.NoError(c, err)
		files[e.Name()] = string(text)
	}
	return files
}

func TestKeyringIsOwnersOnly(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("", "keyring", "add", "--pair")
	info, err := os.Stat(c.keyring)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Len(t, c.snapshot(), 1, "no temporary file stays")
	require.Contains(t, c.ok("", "keyring", "public"), `"kty":"EC"`)
	list := c.ok("", "keyring", "list")
	text, err := os.ReadFile(c.keyring)
	require.NoError(t, err)
	var set struct{ Keys []struct{ K, D string } }
	require.NoError(t, json.Unmarshal(text, &set))
	leaktest.None(t, []byte(list+c.ok("", "keyring", "public")), set.Keys[0].K, set.Keys[1].D)
}

// The rotation of the help, step by step: what was sealed before opens until
// its key is dropped, and what is resealed opens after that.
func TestRotation(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	old := c.ok("secret", "seal", "--subject", "u")
	c.ok("", "keyring", "add")
	ids := c.kids()
	require.Contains(t, c.ok("x", "seal"), "tv1.")
	require.Equal(t, ids[0], c.sealer())
	c.ok("", "keyring", "promote", ids[1])
	require.Equal(t, []string{ids[1], ids[0]}, c.kids())
	require.Equal(t, ids[1], c.sealer())
	resealed := c.ok("before "+strings.TrimSpace(old)+" after\nno value\n", "reseal")
	require.Equal(t, "before ", resealed[:7])
	require.True(t, strings.HasSuffix(resealed, " after\nno value\n"))
	code, _, errOut := c.run("", "keyring", "drop", ids[1])
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "promote another one first")
	c.ok("", "keyring", "drop", ids[0])
	code, _, _ = c.run(old, "open", "--subject", "u")
	require.Equal(t, 1, code)
	value := strings.TrimSuffix(strings.TrimPrefix(strings.Split(resealed, "\n")[0], "before "), " after")
	require.Equal(t, "secret", c.ok(value, "open", "--subject", "u"))
}

func (c *cli) sealer() string {
	h, err := tokenvault.Inspect(strings.TrimSpace(c.ok("x", "seal")))
	require.NoError(c, err)
	return h.KeyID
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for _, name := range []string{"keygen", "keyring", "seal", "open", "inspect", "reseal", "relay"} {
		require.Contains(t, c.ok("", name, "--help"), "Usage:")
		require.Contains(t, c.ok("", "--help"), name)
	}
	require.Contains(t, c.ok("", "--help"), "EXIT STATUS")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		require.Contains(t, c.ok("", "completion", shell), "tokenvault")
	}
}

func TestKeyringFromTheEnvironment(t *testing.T) {
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	t.Setenv("TOKENVAULT_KEYRING", string(jwk))
	var out, errOut bytes.Buffer
	require.Zero(t, run(t.Context(), &terminal{strings.NewReader("x"), &out, &errOut}, []string{"seal"}), errOut.String())
	require.Contains(t, out.String(), "tv1.")
	t.Setenv("TOKENVAULT_KEYRING", "")
	errOut.Reset()
	require.Equal(t, 1, run(t.Context(), &terminal{strings.NewReader("x"), &out, &errOut}, []string{"seal"}))
	require.Contains(t, errOut.String(), "no keyring")
}

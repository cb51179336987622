package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

// session is the real program at a terminal of its own.
type session struct {
	*process
	tty *os.File
}

// atTerminal starts the program. stdin, unless it is nil, is what is piped in.
func (c *cli) atTerminal(stdin io.Reader, args ...string) *session {
	c.Helper()
	cmd := exec.Command(filepath.Join(built(c), "tokenvault"), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "TERM=xterm", "TOKENVAULT_KEYRING_FILE=" + c.keyring}
	cmd.Stdin = stdin
	p := &process{TB: c, cmd: cmd, ended: make(chan struct{})}
	p.out.more = make(chan struct{})
	tty, err := pty.StartWithAttrs(cmd, &pty.Winsize{Rows: 24, Cols: 100}, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1})
	require.NoError(c, err)
	go func() {
		_, _ = io.Copy(&p.out, tty) // ends with the last process at the terminal
		_ = cmd.Wait()
		close(p.ended)
	}()
	c.Cleanup(func() { _ = cmd.Process.Kill(); <-p.ended; _ = tty.Close() })
	return &session{p, tty}
}

// types waits for the prompt, and types keys.
func (s *session) types(prompt, keys string) *session {
	s.Helper()
	s.says(&s.out, func(text string) bool { return strings.Contains(text, prompt) })
	_, err := io.WriteString(s.tty, keys)
	require.NoError(s, err)
	return s
}

// ends waits for the exit code and returns what was on the screen.
func (s *session) ends(code int) string {
	s.Helper()
	require.Equal(s, code, s.wait(), &s.out)
	return s.out.String()
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// Every command at a terminal.
func TestTerminalSession(t *testing.T) {
	const secret = "secret-value-of-the-session"
	c := newCLI(t)
	d := c.fill(5000, []string{secret})
	config := c.sidecarFile(`{"host": "api.example.com", "open": ["header:Authorization"]}`)
	second := filepath.Join(c.dir, "second.json")
	var screen strings.Builder
	shown := func(s *session, code int) string {
		t.Helper()
		text := s.ends(code)
		fmt.Fprintf(&screen, "$ %s\n%s\n", strings.Join(s.cmd.Args, " "), text)
		return text
	}
	run := func(code int, args ...string) string { t.Helper(); return shown(c.atTerminal(nil, args...), code) }

	require.Contains(t, run(0, "keygen", "--pair", "--out", second), "second.json: key ")
	require.Contains(t, run(0, "keyring", "public", "--keyring", second), `"kty":"EC"`)
	require.Contains(t, run(0, "keyring", "list"), "seals, opens")
	require.Contains(t, run(0, "keyring", "add"), "last: it opens and does not seal")
	ids := c.kids()
	require.Contains(t, run(0, "keyring", "promote", ids[1]), "it seals from now on")
	require.Contains(t, run(0, "keyring", "--help"), "Usage:")
	require.Contains(t, run(2, "seal", "--no-such-flag"), "see tokenvault seal --help")

	text := shown(c.atTerminal(nil, "seal", "--subject", "u").types("value: ", secret+"\n"), 0)
	sealed := strings.TrimSpace(text[strings.Index(text, "tv1."):])
	require.Contains(t, shown(c.atTerminal(nil, "seal").types("value: ", ctrlC), 3), "interrupted")
	require.Contains(t, shown(c.atTerminal(nil, "inspect").types("", sealed+"\n"+ctrlD), 0), ids[1])
	require.Contains(t, shown(c.atTerminal(nil, "reseal").types("", "before "+sealed+"\n"+ctrlD), 0), "before tv1.")

	column := []string{"--db", d.address, "--table", "tokens", "--column", "token"}
	text = run(0, append([]string{"seal", "--subject-column", "owner"}, column...)...)
	require.Regexp(t, `sealing +\d+% \|█`, text, "a bar")
	require.Contains(t, text, "5000 sealed, 0 already were, 0 failed")
	require.Contains(t, run(0, "keyring", "promote", ids[0]), "it seals from now on")
	text = run(0, append([]string{"reseal"}, column...)...)
	require.Regexp(t, `resealing +\d+% \|█`, text, "a bar")
	require.Contains(t, text, "5000 resealed, 0 already were, 0 failed")
	require.Contains(t, run(0, "keyring", "drop", ids[1]), "dropped")
	require.Contains(t, run(0, "relay", "--config", config, "--check"), "good")
	require.Contains(t, shown(c.atTerminal(nil, "relay", "--config", config).types("listening on", ctrlC), 0), "ended")
	require.Contains(t, run(0, "completion", "bash"), "tokenvault")
	leaktest.None(t, []byte(screen.String()), append(c.secrets(), secret)...)
	for _, name := range []string{"keygen", "public", "list", "add", "promote", "drop", "seal", "inspect", "reseal", "relay", "completion"} {
		require.Regexp(t, `(?m)^\$ .*/tokenvault (keyring )?`+name+`\b`, screen.String())
	}
}

// open asks the person, wherever the value comes from; no is the default.
func TestOpenAsksAtATerminal(t *testing.T) {
	const secret, question = "secret-value-to-open", "Print the plaintext to this terminal? [y/N] "
	c := newCLI(t)
	sealed := c.ok(secret, "seal")
	for _, row := range []struct {
		rule  string
		stdin io.Reader
		keys  string
		code  int
		shown bool
	}{
		{"yes", strings.NewReader(sealed), "y\n", 0, true},
		{"no", strings.NewReader(sealed), "n\n", 1, false},
		{"return is no", strings.NewReader(sealed), "\n", 1, false},
		{"the end of the input is no", strings.NewReader(sealed), ctrlD, 1, false},
		{"interrupted", strings.NewReader(sealed), ctrlC, 3, false},
		{"the value typed, and yes", nil, "y\n", 0, true},
		{"the value typed, and no", nil, "no\n", 1, false},
	} {
		s := c.atTerminal(row.stdin, "open")
		if row.stdin == nil {
			s.types("", sealed+ctrlD)
		}
		text := s.types(question, row.keys).ends(row.code)
		require.Equal(t, row.shown, strings.Contains(text, secret), row.rule)
	}
	require.Equal(t, secret, c.atTerminal(strings.NewReader(sealed), "open", "--yes").ends(0))
}

// secrets are the keys of the keyring, as they stand in the file.
func (c *cli) secrets() []string {
	text, err := os.ReadFile(c.keyring)
	require.NoError(c, err)
	var set struct{ Keys []struct{ K, D string } }
	require.NoError(c, json.Unmarshal(text, &set))
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.K+k.D)
	}
	return out
}

// What other users of the machine can see of a running command.
func TestNothingSensitiveInTheProcessList(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	ring, err := os.ReadFile(c.keyring)
	require.NoError(t, err)
	config := c.sidecarFile(`{"host": "api.example.com", "open": ["header:Authorization"]}`)
	p := start(t, []string{"TOKENVAULT_KEYRING=" + string(ring)}, "relay", "--config", config)
	p.says(&p.err, func(text string) bool { return strings.Contains(text, "listening on") })
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	require.NoError(t, err)
	require.Contains(t, string(line), "relay")
	leaktest.None(t, line, c.secrets()...)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.wait())
	leaktest.None(t, []byte(p.out.String()+p.err.String()), c.secrets()...)
}

func TestProgressWithoutATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := (&terminal{err: &out}).progress("resealing", 10)
	p.add(3)
	require.Empty(t, out.String(), "not a line for each step")
	p.next = p.next.Add(-2 * lineEvery)
	p.add(4)
	p.end()
	require.Equal(t, "resealing: 7 of 10\n", out.String())
}

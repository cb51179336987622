// Package testserver starts real Redis and PostgreSQL servers for tests, on
// free loopback ports and in directories of their own, and ends them with the
// test.
//
// A server that is not installed skips the test with one line that names it;
// with REQUIRE=all in the environment that is a failure instead.
package testserver

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Need returns the paths of the named programs. Where one is missing the test
// is skipped, or fails under REQUIRE=all.
func Need(t testing.TB, programs ...string) []string {
	t.Helper()
	paths := make([]string, len(programs))
	for i, name := range programs {
		path, err := look(name)
		if err != nil {
			Missing(t, name)
		}
		paths[i] = path
	}
	return paths
}

// Missing skips the test because of what is not there, or fails it under
// REQUIRE=all.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("REQUIRE") == "all" {
		t.Fatalf("missing: %s (REQUIRE=all)", what)
	}
	t.Skipf("missing: %s", what)
}

// look finds name on PATH or where Debian keeps PostgreSQL's server programs.
func look(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1], nil
	}
	return "", exec.ErrNotFound
}

// Server is a running server process.
type Server struct {
	Addr string // "127.0.0.1:port", the same across restarts
	Dir  string // its data directory

	t       testing.TB
	command func() *exec.Cmd
	ready   func() error
	quit    syscall.Signal
	mu      sync.Mutex
	cmd     *exec.Cmd
	exited  chan struct{}
	log     *tail
}

// Start starts the server again after Stop or Kill, and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatalf("testserver: %v\n%s", err, s.log)
	}
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd, exited := s.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exited = cmd, exited
	go func() { _ = cmd.Wait(); close(exited) }()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-exited:
			return fmt.Errorf("%s ended: %v", cmd.Path, cmd.ProcessState)
		case <-deadline:
			return fmt.Errorf("%s does not answer", cmd.Path)
		case <-tick.C:
			if s.ready() == nil {
				return nil
			}
		}
	}
}

// Stop asks the server to shut down and waits for it.
func (s *Server) Stop() { s.signal(s.quit) }

// Kill ends the server at once, as a crash would, and waits for it.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Freeze suspends the server: connections stay open and nothing answers.
func (s *Server) Freeze() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw continues a frozen server.
func (s *Server) Thaw() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

// run starts s and ends it with the test.
func run(t testing.TB, s *Server) *Server {
	t.Helper()
	s.t, s.log = t, &tail{}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Redis starts a redis-server; args are further "--name", "value" options. It
// keeps nothing on disk unless they say so.
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	program := Need(t, "redis-server")[0]
	dir, addr := t.TempDir(), freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	all := append([]string{"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--daemonize", "no"}, args...)
	return run(t, &Server{
		Addr: addr, Dir: dir, quit: syscall.SIGTERM,
		command: func() *exec.Cmd { return exec.Command(program, all...) },
		ready:   func() error { return pingRedis(addr) },
	})
}

// pingRedis succeeds once the server has loaded its data.
func pingRedis(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 7)
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte("+PONG")) {
		return fmt.Errorf("redis answers %q", answer)
	}
	return nil
}

// PostgresUser is the superuser of a Postgres server; it has no password.
const PostgresUser = "postgres"

// Postgres initialises and starts a PostgreSQL server; args are further
// "name=value" settings. As root it runs as the user nobody, for PostgreSQL
// refuses to run as root.
func Postgres(t testing.TB, args ...string) *Server {
	t.Helper()
	programs := Need(t, "initdb", "postgres")
	dir, err := os.MkdirTemp("", "testserver-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := unprivileged(t, dir)
	initdb := as(exec.Command(programs[0], "-D", dir, "-U", PostgresUser, "--auth=trust", "-E", "UTF8", "--no-sync", "--locale=C"))
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	all := []string{"-D", dir, "-p", port, "-h", "127.0.0.1", "-k", dir, "-c", "max_connections=300", "-c", "shared_buffers=64MB"}
	for _, setting := range args {
		all = append(all, "-c", setting)
	}
	return run(t, &Server{
		Addr: addr, Dir: dir, quit: syscall.SIGINT, // fast shutdown
		command: func() *exec.Cmd { return as(exec.Command(programs[1], all...)) },
		ready:   func() error { return pingPostgres(addr) },
	})
}

// pingPostgres sends a start-up message and succeeds when it is let in: the
// server accepts connections before it serves them.
func pingPostgres(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	const params = "\x00\x03\x00\x00user\x00" + PostgresUser + "\x00database\x00postgres\x00\x00"
	if _, err := conn.Write(append([]byte{0, 0, 0, byte(len(params) + 4)}, params...)); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if answer[0] != 'R' { // AuthenticationOk
		return fmt.Errorf("postgres answers %q", answer)
	}
	return nil
}

// DSN is the connection URL of a Postgres server's default database.
func (s *Server) DSN() string {
	return "postgres://" + PostgresUser + "@" + s.Addr + "/postgres?sslmode=disable"
}

// unprivileged returns what makes a command run as a user other than root,
// who owns dir.
func unprivileged(t testing.TB, dir string) func(*exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		return func(c *exec.Cmd) *exec.Cmd { c.Dir = dir; return c }
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return func(c *exec.Cmd) *exec.Cmd {
		c.Dir = dir
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return c
	}
}

// freeAddr returns a loopback address nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// tail keeps the end of what a server printed, for the failure message.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	if over := len(w.b) - 4096; over > 0 {
		w.b = append(w.b[:0], w.b[over:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

// TestMain is also the services and the key service of the runbook's test: the
// test binary starts itself again as each of them.
func TestMain(m *testing.M) {
	if dir := os.Getenv(serviceVariable); dir != "" {
		os.Exit(service(dir))
	}
	if work := os.Getenv(keeperVariable); work != "" {
		os.Exit(keeper(work))
	}
	redis.SetLogger(silence{}) // as main does
	code := m.Run()
	_ = os.RemoveAll(programs.dir)
	if code == 0 {
		if left := leaktest.Goroutines(5 * time.Second); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left after the tests:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// programs are the real programs, built once and without the race detector.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

// built returns the directory with the programs tokenvault and filltable.
func built(t testing.TB) string {
	t.Helper()
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "tokenvault-programs-"); programs.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", programs.dir+"/", ".", "./internal/filltable").CombinedOutput()
		if err != nil {
			programs.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	require.NoError(t, programs.err)
	return programs.dir
}

// process is the real program at work.
type process struct {
	testing.TB
	cmd      *exec.Cmd
	out, err output
	ended    chan struct{}
}

// output collects what a process prints, and says when there is more of it.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.b.Write(p)
	close(o.more)
	o.more = make(chan struct{})
	return n, err
}

func (o *output) text() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String(), o.more
}

// String returns what has been printed so far.
func (o *output) String() string {
	text, _ := o.text()
	return text
}

// start runs the program. environment is added to one that names no keyring and
// no database.
func start(t testing.TB, environment []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(filepath.Join(built(t), "tokenvault"), args...)
	return launch(t, cmd, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environment...))
}

// launch starts cmd, which ends with the test.
func launch(t testing.TB, cmd *exec.Cmd, environment []string) *process {
	t.Helper()
	p := &process{TB: t, cmd: cmd, ended: make(chan struct{})}
	p.out.more, p.err.more = make(chan struct{}), make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = &p.out, &p.err, environment
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	return p
}

// wait returns the exit code; -1 says that a signal ended the process.
func (p *process) wait() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// signal sends sig to the process, which must still run.
func (p *process) signal(sig syscall.Signal) {
	p.Helper()
	err := p.cmd.Process.Signal(sig)
	require.False(p, errors.Is(err, os.ErrProcessDone), "it ended too early: %s%s", &p.out, &p.err)
	require.NoError(p, err)
}

// says waits until the program has printed what matches.
func (p *process) says(o *output, matches func(text string) bool) string {
	p.Helper()
	for {
		text, more := o.text()
		if matches(text) {
			return text
		}
		select {
		case <-more:
		case <-p.ended:
			text, _ = o.text()
			require.True(p, matches(text), "it ended and had not said so: %s%s", &p.out, &p.err)
			return text
		case <-time.After(time.Minute):
			require.FailNow(p, "it does not say so", "%s%s", &p.out, &p.err)
		}
	}
}

// until waits for a condition that only polling can tell.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			require.FailNow(t, "never: "+what)
		}
	}
}

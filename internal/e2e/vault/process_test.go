package vault

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// owner is everybody's.
const owner = "alice"

// patience is how long a test waits for what must happen.
const patience = time.Minute

// process is a worker as one test sees it.
type process struct {
	*child
	t testing.TB
}

// on is the same worker, whose failures are another test's.
func (p *process) on(t testing.TB) *process { return &process{p.child, t} }

// child is a worker seen from outside.
type child struct {
	cmd     *exec.Cmd
	mu      sync.Mutex
	in      io.WriteCloser
	calls   int
	waiting map[int]chan result
	points  map[place]chan struct{} // closed when it stands there
	news    chan result             // what it says unasked beside
	stderr  bytes.Buffer
	exited  chan struct{}
}

// spawn starts a worker and ends it with the test.
func spawn(t testing.TB, s settings) *process {
	t.Helper()
	config, err := json.Marshal(s)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, child: &child{
		cmd: exec.Command(self), waiting: make(map[int]chan result),
		points: make(map[place]chan struct{}), news: make(chan result, 1<<16), exited: make(chan struct{}),
	}}
	p.cmd.Env = append(os.Environ(), workerEnv+"="+string(config))
	p.cmd.Stderr = &p.stderr
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.listen(out)
	t.Cleanup(p.kill)
	return p
}

// listen hands the worker's lines to who waits for them.
func (p *child) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r result
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		p.deliver(r)
	}
	_ = p.cmd.Wait()
	close(p.exited)
}

func (p *child) deliver(r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch at := (place{r.Point, r.ID}); {
	case r.N != 0:
		p.waiting[r.N] <- r
		delete(p.waiting, r.N)
	case p.points[at] != nil:
		close(p.points[at])
		delete(p.points, at)
	default:
		p.news <- r
	}
}

// pending is a command under way.
type pending struct {
	p     *process
	ch    chan result
	limit time.Duration
}

// begin sends c and does not wait.
func (p *process) begin(c command) pending {
	p.t.Helper()
	if c.Timeout == 0 {
		c.Timeout = patience
	}
	ch := make(chan result, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	c.N = p.calls
	p.waiting[c.N] = ch
	line, err := json.Marshal(c)
	require.NoError(p.t, err)
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(p.t, err)
	return pending{p, ch, c.Timeout + patience}
}

// wait returns the reply.
func (c pending) wait() result {
	c.p.t.Helper()
	select {
	case r := <-c.ch:
		return r
	case <-c.p.exited:
		require.FailNow(c.p.t, "the worker ended", "%s", &c.p.stderr)
	case <-time.After(c.limit):
		require.FailNow(c.p.t, "the worker does not answer")
	}
	return result{}
}

func (p *process) do(c command) result { p.t.Helper(); return p.begin(c).wait() }

func (p *process) reveal(id string) result { p.t.Helper(); return p.do(command{Op: "reveal", ID: id}) }

// stop arms a point and starts to reveal id; it returns when the refresh stands
// there. resume lets it go on, as soon as the worker runs.
func (p *process) stop(point, id string) (call pending, resume func() pending) {
	p.t.Helper()
	at := place{point, id}
	if point == beforePOST {
		at.id = "" // of whatever grant
	}
	reached := make(chan struct{})
	p.mu.Lock()
	p.points[at] = reached
	p.mu.Unlock()
	p.do(command{Op: "arm", Point: at.point, ID: at.id})
	call = p.begin(command{Op: "reveal", ID: id})
	select {
	case <-reached:
	case r := <-call.ch:
		require.FailNow(p.t, "the refresh never came "+point, "%+v", r)
	case <-p.exited:
		require.FailNow(p.t, "the worker ended", "%s", &p.stderr)
	case <-time.After(patience):
		require.FailNow(p.t, "the refresh never came "+point)
	}
	return call, func() pending { p.t.Helper(); return p.begin(command{Op: "go", Point: at.point, ID: at.id}) }
}

// progress waits for the next page of a Reseal under way.
func (p *process) progress() (done int) {
	p.t.Helper()
	select {
	case r := <-p.news:
		return r.Done
	case <-p.exited:
		require.FailNow(p.t, "the worker ended", "%s", &p.stderr)
	case <-time.After(patience):
		require.FailNow(p.t, "no progress")
	}
	return 0
}

func (p *process) signal(s syscall.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// freeze returns when the worker is stopped.
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

// kill ends the worker as a crash does, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

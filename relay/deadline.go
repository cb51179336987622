package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

var errUpstream = errors.New("relay: upstream timed out")

type idleKey struct{}

// An idle timer cancels a call when neither side of it makes progress. It does
// not run while the caller's body is awaited, which has a deadline of its own.
type idle struct {
	mu    sync.Mutex
	timer *time.Timer
	after time.Duration
	done  bool
	slow  bool // the caller's body failed, not the upstream
}

func (i *idle) touch() { i.set(true) }
func (i *idle) pause() { i.set(false) }

func (i *idle) set(run bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done {
		return
	}
	i.timer.Stop()
	if run {
		i.timer.Reset(i.after)
	}
}

func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done = true
	i.timer.Stop()
}

// deadlines starts the call's clocks.
func (p *proxy) deadlines(w http.ResponseWriter, r *http.Request) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	i := &idle{after: p.timeouts.Upstream}
	i.mu.Lock()
	i.timer = time.AfterFunc(i.after, func() { cancel(errUpstream) })
	i.mu.Unlock()
	if r.Body != nil && r.Body != http.NoBody {
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(p.timeouts.Read)) // a test's recorder has none
		r.Body = &callerBody{r.Body, i, func() { _ = control.SetReadDeadline(time.Time{}) }}
	}
	return context.WithValue(ctx, idleKey{}, i), func() {
		i.stop()
		cancel(nil)
	}
}

// callerBody is a request body that the upstream's clock does not count. Its
// end lifts the read deadline, which would end a long answer otherwise.
type callerBody struct {
	io.ReadCloser
	idle *idle
	end  func()
}

func (b *callerBody) Read(p []byte) (int, error) {
	b.idle.pause()
	n, err := b.ReadCloser.Read(p)
	b.idle.touch()
	switch {
	case err == io.EOF:
		b.end()
	case err != nil:
		b.idle.mu.Lock()
		b.idle.slow = true
		b.idle.mu.Unlock()
	}
	return n, err
}

// callerFailed reports whether the caller's body came to no good end.
func callerFailed(ctx context.Context) bool {
	i, _ := ctx.Value(idleKey{}).(*idle)
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.slow
}

// watch lets the call's clock count every silence of resp's body.
func watch(ctx context.Context, resp *http.Response) {
	i, _ := ctx.Value(idleKey{}).(*idle)
	i.touch()
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		i.stop() // both sides may be silent for long; the connection ends with either
		resp.Body = conn
		return
	}
	resp.Body = &watched{resp.Body, i, ctx}
}

type watched struct {
	io.ReadCloser
	idle *idle
	ctx  context.Context
}

func (w *watched) Read(p []byte) (int, error) {
	w.idle.touch()
	n, err := w.ReadCloser.Read(p)
	if err == io.EOF && w.ctx.Err() != nil {
		err = context.Cause(w.ctx) // an upstream that we hung up on may have ended its answer in good order
	}
	if err != nil {
		w.idle.stop()
	} else {
		w.idle.pause() // a slow caller is not the upstream's silence
	}
	return n, err
}

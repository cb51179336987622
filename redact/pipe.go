package redact

import (
	"compress/flate"
	"errors"
	"io"
	"iter"
	"sync"
)

var errStopped = errors.New("redact: stopped")

func corrupt(err error) bool {
	var c flate.CorruptInputError
	return errors.As(err, &c)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// pusher runs a filter from its writing end. The filter is a coroutine: a Write
// returns when the filter asks for more, so that everything it can tell by then
// has reached dst, and no flush comes too early.
type pusher struct {
	next func() (struct{}, bool)
	stop func()
	in   []byte
	eof  bool
	done bool
	err  error
}

func push(f filter, dst io.Writer) *pusher {
	p := &pusher{}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.err = f(dst, readFunc(func(b []byte) (int, error) {
			for len(p.in) == 0 {
				if p.eof {
					return 0, io.EOF
				}
				if !yield(struct{}{}) {
					return 0, errStopped
				}
			}
			n := copy(b, p.in)
			p.in = p.in[n:]
			return n, nil
		}))
	})
	return p
}

func (p *pusher) Write(b []byte) (int, error) {
	p.in = b
	if err := p.resume(); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *pusher) resume() error {
	if p.done {
		if p.err == nil && len(p.in) > 0 {
			p.err = io.ErrClosedPipe
		}
		return p.err
	}
	if _, more := p.next(); !more {
		p.done = true
	}
	return p.err
}

// Close tells the filter that its input has ended.
func (p *pusher) Close() error {
	p.in, p.eof = nil, true
	return p.resume()
}

// puller runs a filter from its reading end, as a body.
type puller struct {
	src   io.Closer
	next  func() ([]byte, bool)
	stop  func()
	ended func(error) // called once, with the filter's error

	mu    sync.Mutex
	chunk []byte
	err   error
}

func pull(f filter, src io.ReadCloser, ended func(error)) *puller {
	p := &puller{src: src}
	var err error
	p.ended = func(e error) {
		if ended != nil {
			ended(e)
			ended = nil
		}
	}
	p.next, p.stop = iter.Pull(func(yield func([]byte) bool) {
		err = f(writeFunc(func(b []byte) (int, error) {
			if len(b) > 0 && !yield(b) {
				return 0, errStopped
			}
			return len(b), nil
		}), src)
		if p.err = err; err == nil {
			p.err = io.EOF
		}
	})
	return p
}

func (p *puller) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.chunk) == 0 && p.err == nil {
		p.chunk, _ = p.next()
	}
	if len(p.chunk) == 0 && p.err != nil {
		p.finish()
		return 0, p.err
	}
	n := copy(b, p.chunk)
	p.chunk = p.chunk[n:]
	return n, nil
}

func (p *puller) finish() {
	if errors.Is(p.err, io.EOF) {
		p.ended(nil)
		return
	}
	p.ended(p.err)
}

// Close closes the source first: that ends a Read that waits for it.
func (p *puller) Close() error {
	err := p.src.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
	p.chunk = nil
	if p.err == nil || errors.Is(p.err, errStopped) {
		p.err = errClosedBody
	}
	p.finish()
	return err
}

var errClosedBody = errors.New("redact: read on closed body")

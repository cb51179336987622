package jsonedit

import "io"

// run is one edit: the state that editors keep for the next one.
type run struct {
	scanner
	window []byte
	size   int // that window may grow to
}

// keep is how large a buffer may be that waits for the next edit.
const keep = 2 * windowSize

func (e *Editor) run(f Replace) *run {
	r, ok := e.runs.Get().(*run)
	if !ok {
		r = &run{}
		r.m = newMatcher(e.prog)
	}
	r.m.patterns.reset()
	if r.size = e.window; len(r.window) > r.size {
		r.window = nil
	}
	r.scanner = scanner{
		m: r.m, next: r.m.start, stack: r.stack[:0], name: r.name[:0],
		holder: holder{f: f, limit: e.limit, early: r.early[:0], out: r.out[:0]},
	}
	return r
}

func (e *Editor) put(r *run) {
	r.f, r.win, r.chunk = nil, nil, nil
	if cap(r.early) > keep {
		r.early = nil
	}
	if cap(r.out) > keep {
		r.out = nil
	}
	e.runs.Put(r)
}

// Edit copies the JSON text src to dst with the selected values replaced. A
// sequence of values (NDJSON, RFC 7464) is edited value by value. On an error
// nothing more is written.
func (e *Editor) Edit(dst io.Writer, src io.Reader, f Replace) error {
	r := e.run(f)
	defer e.put(r)
	for idle := 0; idle < maxIdle; idle++ {
		b, err := r.fill(src)
		if len(b) > 0 {
			idle = 0
			if err := r.copyTo(dst, b); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return r.finishTo(dst)
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// maxIdle is how many reads in a row may deliver nothing.
const maxIdle = 100

// fill reads what src has into the window. Most texts are short, and many
// streams are idle: the window grows only when it has been full once.
func (r *run) fill(src io.Reader) ([]byte, error) {
	if len(r.window) == 0 {
		r.window = make([]byte, min(r.size, firstWindow))
	}
	n, err := src.Read(r.window)
	b := r.window[:n]
	if n == len(r.window) && n < r.size {
		r.window = make([]byte, r.size)
	}
	return b, err
}

// copyTo edits b, the next part of the text, to dst.
func (r *run) copyTo(dst io.Writer, b []byte) error {
	for len(b) > 0 {
		n := r.scan(b)
		if err := r.writeTo(dst); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (r *run) finishTo(dst io.Writer) error {
	_ = r.finish() // kept in r.err, which writeTo returns
	return r.writeTo(dst)
}

func (r *run) writeTo(dst io.Writer) error {
	if r.err == nil && len(r.chunk) > 0 {
		var n int
		if n, r.err = dst.Write(r.chunk); r.err == nil && n < len(r.chunk) {
			r.err = io.ErrShortWrite
		}
	}
	return r.err
}

// Writer is Edit, pushed: what is written to it goes on to dst edited, as soon
// as it can be. Close says whether the text was complete; it does not close
// dst. After an error nothing more is written to dst.
func (e *Editor) Writer(dst io.Writer, f Replace) io.WriteCloser {
	return &writer{e: e, r: e.run(f), dst: dst}
}

type writer struct {
	e   *Editor
	r   *run
	dst io.Writer
	err error
}

func (w *writer) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if err := w.r.copyTo(w.dst, b); err != nil {
		w.end(err)
		return 0, err
	}
	return len(b), nil
}

func (w *writer) Close() error {
	if w.err == nil {
		w.end(w.r.finishTo(w.dst))
	}
	if w.err == io.ErrClosedPipe {
		return nil
	}
	return w.err
}

func (w *writer) end(err error) {
	if w.err = err; err == nil {
		w.err = io.ErrClosedPipe
	}
	w.e.put(w.r)
	w.r = nil
}

// Reader is Edit, pulled: what it returns has been edited, as soon as src has
// delivered enough to know it.
func (e *Editor) Reader(src io.Reader, f Replace) io.Reader {
	return &reader{e: e, r: e.run(f), src: src}
}

type reader struct {
	e    *Editor
	r    *run
	src  io.Reader
	in   []byte // of the window, not scanned yet
	end  error  // of src
	out  []byte // not read yet
	err  error  // comes behind out
	idle int
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil && len(p) > 0 {
		r.advance()
	}
	n := copy(p, r.out)
	if r.out = r.out[n:]; len(r.out) > 0 || r.err == nil {
		return n, nil
	}
	if r.r != nil {
		r.e.put(r.r)
		r.r, r.in, r.out = nil, nil, nil
	}
	return n, r.err
}

// advance scans what is there, or reads on.
func (r *reader) advance() {
	switch {
	case len(r.in) > 0:
		n := r.r.scan(r.in)
		r.in = r.in[n:]
		r.out, r.err = r.r.chunk, r.r.err
	case r.end == io.EOF:
		if r.err = r.r.finish(); r.err == nil {
			r.err = io.EOF
		}
		r.out = r.r.chunk
	case r.end != nil:
		r.err = r.end
	default:
		r.read()
	}
}

func (r *reader) read() {
	r.in, r.end = r.r.fill(r.src)
	if r.idle++; len(r.in) > 0 {
		r.idle = 0
	}
	if r.idle == maxIdle && r.end == nil {
		r.end = io.ErrNoProgress
	}
}

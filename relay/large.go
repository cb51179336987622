package relay

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"sync"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// rewriteLarge sends a body of which only prefix could be judged.
func (x *exchange) rewriteLarge(f format, prefix []byte) error {
	if x.dest.InsecureStream && !f.other {
		x.streamEdited(f, prefix)
		return nil
	}
	if holdsBytes(prefix) {
		return refuse(ErrTooLarge, "body", "holds a sealed value and is larger than MaxBody")
	}
	if f.gzip && x.dest.open.body() {
		return refuse(ErrTooLarge, "body", "gzip, and larger than MaxBody")
	}
	x.out.Body = x.guarded(prefix, x.body)
	x.regenerate(func(b io.ReadCloser) io.ReadCloser { return x.guarded(nil, b) })
	return nil
}

// regenerate lets Base send the body again, if the caller can.
func (x *exchange) regenerate(wrap func(io.ReadCloser) io.ReadCloser) {
	get := x.req.GetBody
	if get == nil {
		return
	}
	x.out.GetBody = func() (io.ReadCloser, error) {
		b, err := get()
		if err != nil {
			return nil, err
		}
		return wrap(b), nil
	}
}

// guarded is a body that ends in ErrTooLarge at the first sealed value.
func (x *exchange) guarded(prefix []byte, body io.ReadCloser) io.ReadCloser {
	g := &guard{src: body, trailer: x.req.Trailer}
	g.seen.count(prefix) // holds none; keeps what it ends in
	x.out.Trailer = x.req.Trailer
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(prefix), g), body}
}

// A guard passes on what holds no sealed value.
type guard struct {
	src     io.Reader
	seen    seen
	trailer http.Header
	err     error
}

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.src.Read(p)
	if g.seen.count(p[:n]) > 0 {
		g.err = refuse(ErrTooLarge, "body", "a sealed value beyond MaxBody")
		return 0, g.err
	}
	if err == io.EOF && holdsTrailer(g.trailer) {
		g.err = refuse(ErrPlace, "trailer", "")
		return 0, g.err
	}
	return n, err
}

// seen finds sealed values in a text that comes in pieces.
type seen struct {
	carry []byte // the end of what has gone by, when a sealed value may begin in it
	n     int
}

func (s *seen) count(b []byte) int {
	if len(b) == 0 || len(s.carry) == 0 && bytes.IndexByte(b, wire.Prefix[0]) < 0 {
		return s.n
	}
	if len(s.carry) > 0 {
		b = append(s.carry, b...)
	}
	s.carry = nil
	for {
		start, end := wire.Find(b)
		if start < 0 {
			return s.n
		}
		if end < 0 {
			if len(b)-start <= wire.MaxLen {
				s.carry = bytes.Clone(b[start:])
			}
			return s.n
		}
		s.n++
		b = b[end:]
	}
}

// counted is a reader whose sealed values are counted on the way.
type counted struct {
	src  io.Reader
	seen seen
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.seen.count(p[:n])
	return n, err
}

// streamEdited opens sealed values while the body is sent.
func (x *exchange) streamEdited(f format, prefix []byte) {
	x.changed = true
	x.out.ContentLength = -1
	x.out.Body = x.editing(f, io.MultiReader(bytes.NewReader(prefix), x.body), x.body)
	x.regenerate(func(b io.ReadCloser) io.ReadCloser { return x.editing(f, b, b) })
	if x.req.GetBody == nil {
		x.out.GetBody = nil
	}
}

// editing is src, edited by a goroutine that begins with the first Read and ends
// when the result is read to its end or closed.
func (x *exchange) editing(f format, src io.Reader, closer io.Closer) io.ReadCloser {
	r, w := io.Pipe()
	return &piped{PipeReader: r, closer: closer, run: func() { w.CloseWithError(x.editStream(f, w, src)) }}
}

type piped struct {
	*io.PipeReader
	closer io.Closer
	once   sync.Once
	run    func()
}

func (p *piped) Read(b []byte) (int, error) {
	p.once.Do(func() { go p.run() })
	return p.PipeReader.Read(b)
}

func (p *piped) Close() error {
	p.PipeReader.Close()
	return p.closer.Close()
}

// editStream edits a body of any length. Sealed values that no place opens end
// it with an error at the latest at its end; they stay sealed.
func (x *exchange) editStream(f format, dst io.Writer, src io.Reader) error {
	if f.gzip {
		z, err := gzip.NewReader(src)
		if err != nil {
			return refuse(ErrPlace, "body", "not gzip")
		}
		out := gzip.NewWriter(dst)
		if err := x.editStream(format{kind: f.kind, boundary: f.boundary}, out, z); err != nil {
			return err
		}
		return out.Close()
	}
	if !f.editable(x.dest.open) {
		_, err := io.Copy(dst, &guard{src: src, trailer: x.req.Trailer})
		return err
	}
	c := &counted{src: src}
	e := bodyEdit{x: x}
	if err := e.edit(f, dst, c); err != nil {
		return err
	}
	if e.opened < c.seen.n {
		return refuse(ErrPlace, "body", "")
	}
	if holdsTrailer(x.req.Trailer) {
		return refuse(ErrPlace, "trailer", "")
	}
	return nil
}

package echo

import "io"

// A reader begins with a small buffer, since most answers are small.
const (
	firstWindow = 4 << 10
	window      = 32 << 10
)

// Reader returns src scrubbed as it comes. It keeps back no more than may be the
// beginning of a plaintext, so that events and messages are not delayed.
func (s *Scrubber) Reader(src io.Reader) io.Reader { return &reader{src: src, scrub: s} }

type reader struct {
	src     io.Reader
	scrub   *Scrubber
	in      []byte // read, not yet judged
	out     []byte // judged, not yet handed on
	pending []byte // the unread part of out
	full    bool   // the last read filled in: there may be much more
	err     error
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.pending) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		r.fill()
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

func (r *reader) fill() {
	held := len(r.in)
	size := firstWindow
	if r.full {
		size = window
	}
	if cap(r.in)-held < size/2 {
		r.in = append(make([]byte, 0, held+size), r.in...)
	}
	n, err := r.src.Read(r.in[held:cap(r.in)])
	r.err, r.full = err, held+n == cap(r.in)
	var rest []byte
	r.out, rest = r.scrub.scrub(r.out[:0], r.in[:held+n], err != nil)
	r.pending = r.out
	r.in = r.in[:copy(r.in[:cap(r.in)], rest)]
}

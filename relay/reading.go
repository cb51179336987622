package relay

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
)

func readUpTo(src io.Reader, limit int64) (b []byte, whole bool, err error) {
	b, err = io.ReadAll(io.LimitReader(src, limit+1))
	return b, int64(len(b)) <= limit, err
}

// readLength reads all of src, of which n bytes are expected.
func readLength(src io.Reader, n int64) ([]byte, error) {
	b := make([]byte, 0, n+1) // where there is room left, the end comes
	for {
		m, err := src.Read(b[len(b):cap(b)])
		b = b[:len(b)+m]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		case len(b) == cap(b):
			b = slices.Grow(b, bytes.MinRead)
		}
	}
}

// failing ends in err.
type failing struct {
	src io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.src.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

// A wholeBody has been read from the upstream.
type wholeBody struct{ bytes.Reader }

func (*wholeBody) Close() error { return nil }

// lazyGzip waits for the first Read, so that a slow answer's header is not held
// up.
type lazyGzip struct {
	src io.Reader
	z   *gzip.Reader
	err error
}

func (l *lazyGzip) Read(p []byte) (int, error) {
	if l.z == nil && l.err == nil {
		if l.z, l.err = gzip.NewReader(l.src); l.err != nil {
			l.z = nil
		}
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.z.Read(p)
}

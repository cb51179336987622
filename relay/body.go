package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxInflate is how much larger than MaxBody a compressed request body may
// become.
const maxInflate = 10

// A onceBody is the caller's body, closed exactly once.
type onceBody struct {
	io.ReadCloser
	once sync.Once
	err  error
}

// newOnceBody is nil for no body.
func newOnceBody(b io.ReadCloser) *onceBody {
	if b == nil || b == http.NoBody {
		return nil
	}
	return &onceBody{ReadCloser: b}
}

func (b *onceBody) Close() error {
	if b == nil {
		return nil
	}
	b.once.Do(func() { b.err = b.ReadCloser.Close() })
	return b.err
}

// readBody reads the caller's body as far as it is judged whole. A body read to
// its end is closed.
func (x *exchange) readBody() (prefix []byte, whole bool, err error) {
	ctx := x.req.Context()
	if ctx.Done() != nil { // as net/http does, so that a caller who gives up is not held by its own body
		stop := context.AfterFunc(ctx, func() { x.body.Close() })
		defer stop()
	}
	var b bytes.Buffer
	if n := x.req.ContentLength; n > 0 && n <= x.t.maxBody {
		b.Grow(int(n) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(x.body, x.t.maxBody+1))
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, false, ctxErr
	}
	if err != nil {
		return nil, false, err
	}
	if n > x.t.maxBody {
		return b.Bytes(), false, nil
	}
	if length := x.req.ContentLength; length > 0 && length != n {
		return nil, false, errLength
	}
	return b.Bytes(), true, x.body.Close()
}

var errLength = errors.New("relay: body is not as long as ContentLength says")

// replay is the caller's body again, of which prefix has been read.
func (x *exchange) replay(prefix []byte, whole bool) io.ReadCloser {
	if whole {
		return io.NopCloser(bytes.NewReader(prefix))
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(prefix), x.body), x.body}
}

// rewriteBody opens what the destination opens in the body.
func (x *exchange) rewriteBody() error {
	if x.body == nil {
		return nil
	}
	prefix, whole, err := x.readBody()
	if err != nil {
		return err
	}
	f, err := x.format()
	if err != nil && (x.dest.open.body() || holdsBytes(prefix)) {
		return err
	}
	x.formAuth = f.kind == kindForm && !f.gzip && isTokenRequest(prefix)
	if !whole {
		return x.rewriteLarge(f, prefix)
	}
	edited, err := x.editWhole(f, prefix)
	if err != nil {
		return err
	}
	x.setBody(edited)
	return nil
}

// setBody sends b, with its exact length, as often as Base must.
func (x *exchange) setBody(b []byte) {
	x.out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	x.out.Body, _ = x.out.GetBody()
	x.out.ContentLength = int64(len(b))
	if len(b) == 0 {
		x.out.Body = http.NoBody
	}
	if len(x.req.Trailer) == 0 {
		x.out.TransferEncoding = nil
		return
	}
	x.out.ContentLength = -1 // a trailer needs chunks
}

// editWhole returns the body with its sealed values opened; the same bytes when
// there are none.
func (x *exchange) editWhole(f format, body []byte) ([]byte, error) {
	if !f.gzip {
		return x.editDecoded(f, body)
	}
	plain, err := inflate(body, maxInflate*x.t.maxBody)
	if err != nil {
		if errors.Is(err, ErrTooLarge) || x.dest.open.body() || holdsBytes(body) {
			return nil, err
		}
		return body, nil
	}
	edited, err := x.editDecoded(f, plain)
	if err != nil || !x.changed {
		return body, err
	}
	return deflate(edited)
}

func inflate(b []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, refuse(ErrPlace, "body", "not gzip")
	}
	plain, err := io.ReadAll(io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return nil, refuse(ErrPlace, "body", "not gzip")
	case int64(len(plain)) > limit:
		return nil, refuse(ErrTooLarge, "body", "decodes to too much")
	}
	return plain, nil
}

func deflate(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// editDecoded opens the sealed values of a whole body. A sealed value that is
// left over stands in a place that is not open.
func (x *exchange) editDecoded(f format, body []byte) ([]byte, error) {
	sealed, place := f.count(body)
	if !f.mayHold(body) || !f.editable(x.dest.open) {
		if sealed > 0 {
			return nil, refuse(ErrPlace, place, "")
		}
		return body, nil
	}
	var out bytes.Buffer
	e := bodyEdit{x: x}
	if err := e.edit(f, &out, bytes.NewReader(body)); err != nil {
		return nil, err
	}
	if e.opened < sealed {
		return nil, refuse(ErrPlace, place, "")
	}
	if e.opened == 0 {
		return body, nil
	}
	x.changed = true
	return out.Bytes(), nil
}

// A bodyEdit is one run over a body, or a query.
type bodyEdit struct {
	x      *exchange
	opened int
}

// edit copies src to dst with the values opened that stand in open places.
func (e *bodyEdit) edit(f format, dst io.Writer, src io.Reader) error {
	switch f.kind {
	case kindJSON:
		return e.editJSON(dst, src)
	case kindForm:
		return e.editForm(dst, src)
	default:
		return e.editMultipart(dst, src, f.boundary)
	}
}

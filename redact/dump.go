package redact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
)

// DumpRequest is httputil.DumpRequest, body included, without the credentials.
// req.Body is replaced by one that reads the same. A gzip body is shown decoded.
// A body that cannot be redacted is ErrInvalid or ErrUnreadable, one over
// Config.MaxBuffer ErrTooLarge.
func (r *Redactor) DumpRequest(req *http.Request) ([]byte, error) {
	body, restored, err := r.dumpBody(req.Body, req.Header)
	req.Body = restored
	if err != nil {
		return nil, err
	}
	c := *req
	c.URL = r.URL(req.URL)
	if c.URL == nil {
		c.URL = &url.URL{}
	}
	c.Host = r.Text(req.Host)
	if req.RequestURI != "" {
		c.RequestURI = r.urlString(req.RequestURI)
	}
	c.Header = r.dumpHeader(req.Header, body)
	c.Trailer = nil
	c.TransferEncoding = nil
	c.ContentLength = int64(len(body))
	c.Body = io.NopCloser(bytes.NewReader(body))
	return httputil.DumpRequest(&c, true)
}

// DumpResponse is httputil.DumpResponse, body included, without the
// credentials, under the rules of [Redactor.DumpRequest].
func (r *Redactor) DumpResponse(res *http.Response) ([]byte, error) {
	body, restored, err := r.dumpBody(res.Body, res.Header)
	res.Body = restored
	if err != nil {
		return nil, err
	}
	c := *res
	c.Status = r.Text(res.Status)
	c.Header = r.dumpHeader(res.Header, body)
	c.Trailer = nil
	c.TransferEncoding = nil
	c.ContentLength = int64(len(body))
	c.Body = io.NopCloser(bytes.NewReader(body))
	return httputil.DumpResponse(&c, true)
}

// dumpHeader masks h and makes it fit the body that is shown.
func (r *Redactor) dumpHeader(h http.Header, body []byte) http.Header {
	out := r.Header(h)
	if out == nil {
		out = http.Header{}
	}
	length := out.Get("Content-Length")
	if gzipped(h) {
		out.Del("Content-Encoding")
	}
	unfit(out)
	if length != "" {
		out.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return out
}

// dumpBody returns what is shown of body, and a body that reads as it did.
func (r *Redactor) dumpBody(body io.ReadCloser, h http.Header) (clean []byte, restored io.ReadCloser, err error) {
	if body == nil || body == http.NoBody {
		return nil, body, nil
	}
	read, err := io.ReadAll(io.LimitReader(body, r.max+1))
	restored = restoredBody{io.MultiReader(bytes.NewReader(read), body), body}
	if err != nil {
		restored = restoredBody{io.MultiReader(bytes.NewReader(read), errorReader{err}), body}
		return nil, restored, fmt.Errorf("redact: body: %w", err)
	}
	if int64(len(read)) > r.max {
		return nil, restored, fmt.Errorf("%w: dumped body", ErrTooLarge)
	}
	if err := r.whole(0, h); err != nil {
		return nil, restored, err
	}
	f := r.body(h.Get("Content-Type"))
	if gzipped(h) {
		f = gunzip(f)
	}
	var out capped
	out.left = 8 * r.max
	if err := f(&out, bytes.NewReader(read)); err != nil {
		return nil, restored, err
	}
	return out.Bytes(), restored, nil
}

type restoredBody struct {
	io.Reader
	io.Closer
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// capped refuses a small body that unpacks to a large one.
type capped struct {
	bytes.Buffer
	left int64
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		return 0, errors.Join(ErrTooLarge, errors.New("redact: unpacked body"))
	}
	return c.Buffer.Write(p)
}

package redact

import (
	"fmt"
	"net/http"
	"time"
)

// Transport masks the headers and bodies of what base answers, as
// [Redactor.Handler] does; nil means http.DefaultTransport. A gzip body arrives
// decoded. A body that cannot be looked into is an error of RoundTrip
// (ErrUnreadable); one that proves broken while it is read is an error of Read.
//
// Credentials in a Location are masked as well: whoever follows redirects that
// carry them must do so below this Transport.
func (r *Redactor) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{r, base}
}

type transport struct {
	r    *Redactor
	base http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := t.base.RoundTrip(readableOnly(req))
	if err != nil {
		return nil, err
	}
	out := *res
	out.Request = req
	out.Status = t.r.Text(res.Status)
	out.Header = t.r.Header(res.Header)
	if binary(res.Header.Get("Content-Type")) {
		return &out, nil
	}
	if err := t.refuse(res); err != nil {
		_ = res.Body.Close()
		t.r.event(req.Context(), "reply", req, began, err)
		return nil, err
	}
	unfit(out.Header)
	if req.Method == http.MethodHead || res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified {
		return &out, nil
	}
	f := t.r.body(res.Header.Get("Content-Type"))
	if gzipped(res.Header) {
		f = gunzip(f)
		out.Header.Del("Content-Encoding")
		out.Uncompressed = true
	}
	out.ContentLength = -1
	out.Body = pull(f, res.Body, func(err error) {
		for name, values := range t.r.Header(res.Trailer) {
			res.Trailer[name] = values
		}
		unfit(res.Trailer)
		t.r.event(req.Context(), "reply", req, began, err)
	})
	return &out, nil
}

// refuse judges a reply by its header.
func (t *transport) refuse(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return fmt.Errorf("%w: another protocol", ErrUnreadable)
	}
	return t.r.whole(res.StatusCode, res.Header)
}

package redact

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Handler masks the headers and bodies of next's responses: JSON, NDJSON, forms,
// text, event streams one event at a time; plain or gzip. Flushes are passed on
// at once, with all that can be told by then.
//
// A body that cannot be redacted (ErrInvalid, ErrTooLarge, ErrUnreadable)
// becomes a 502 as long as nothing has been sent, and afterwards ends the
// connection (http.ErrAbortHandler). Content-Length, ETag and digest fields are
// made to fit. Parts of documents (206) of text are refused, and connections
// cannot be hijacked.
func (r *Redactor) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		res := &response{r: r, w: w, req: req, began: time.Now()}
		defer res.release()
		next.ServeHTTP(res, readableOnly(req))
		res.finish()
	})
}

// readableOnly returns req, or a copy of it that accepts no encoding but gzip.
func readableOnly(req *http.Request) *http.Request {
	accept := req.Header.Get("Accept-Encoding")
	if accept == "" || accept == "gzip" || accept == "identity" {
		return req
	}
	c := *req
	c.Header = req.Header.Clone()
	c.Header.Set("Accept-Encoding", "identity")
	for field := range strings.SplitSeq(accept, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(field), ";")
		q = strings.ReplaceAll(q, " ", "")
		if weight, err := strconv.ParseFloat(strings.TrimPrefix(q, "q="), 64); (err != nil || weight > 0) && (strings.EqualFold(name, "gzip") || name == "*") {
			c.Header.Set("Accept-Encoding", "gzip")
		}
	}
	return &c
}

// held is how much of a response waits for the end of its body, so that a broken
// one can still become a 502.
const held = 32 << 10

type response struct {
	r     *Redactor
	w     http.ResponseWriter
	req   *http.Request
	began time.Time

	status int     // what next asked for; 0: nothing yet
	body   *pusher // nil: none yet, or it passes
	gz     *gzip.Writer
	pass   bool   // the body is written as it is
	sent   bool   // the header is out
	buf    []byte // filtered, not yet sent
	length int    // of the whole body, if > 0
	err    error  // nothing more is sent
	torn   bool   // err came after the header was out
	report bool   // the event is due
}

func (w *response) Header() http.Header { return w.w.Header() }

// Unwrap is for http.ResponseController's deadlines.
func (w *response) Unwrap() http.ResponseWriter { return w.w }

// Hijack refuses: nobody could redact what follows.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, fmt.Errorf("redact: hijacking a redacted response: %w", http.ErrNotSupported)
}

func (w *response) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.cleanHeader(false)
		w.w.WriteHeader(status)
		return
	}
	if w.status == 0 {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.err != nil {
		return 0, w.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if w.body == nil && !w.pass {
		if err := w.start(); err != nil {
			return 0, w.fail(err)
		}
	}
	if w.pass {
		w.send()
		if w.req.Method == http.MethodHead {
			return len(p), nil // net/http would take the length from it
		}
		return w.w.Write(p)
	}
	if _, err := w.body.Write(p); err != nil {
		return 0, w.fail(err)
	}
	return len(p), nil
}

// start decides what becomes of the body.
func (w *response) start() error {
	h := w.Header()
	t := h.Get("Content-Type")
	if w.bodiless() || binary(t) {
		w.pass = true
		return nil
	}
	w.report = true
	if err := w.r.whole(w.status, h); err != nil {
		return err
	}
	f := w.r.body(t)
	dst := writeFunc(w.emit)
	if gzipped(h) {
		w.gz = gzip.NewWriter(dst)
		w.body = push(gunzip(f), w.gz)
		return nil
	}
	w.body = push(f, dst)
	return nil
}

// whole refuses bodies that cannot be looked into.
func (r *Redactor) whole(status int, h http.Header) error {
	switch enc := strings.ToLower(strings.Join(h.Values("Content-Encoding"), ",")); {
	case status == http.StatusPartialContent:
		return fmt.Errorf("%w: part of a document", ErrUnreadable)
	case enc != "" && enc != "identity" && !gzipped(h):
		return fmt.Errorf("%w: content encoding", ErrUnreadable)
	}
	return readable(h.Get("Content-Type"))
}

func gzipped(h http.Header) bool {
	enc := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ",")))
	return enc == "gzip" || enc == "x-gzip"
}

func (w *response) bodiless() bool {
	return w.req.Method == http.MethodHead || w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// emit takes what the filter lets through.
func (w *response) emit(p []byte) (int, error) {
	if !w.sent && len(w.buf)+len(p) <= held {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.drain(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

func (w *response) drain() error {
	w.send()
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.w.Write(w.buf)
	w.buf = nil
	return err
}

// send sends the header.
func (w *response) send() {
	if w.sent {
		return
	}
	w.sent = true
	w.cleanHeader(w.body != nil || !binary(w.Header().Get("Content-Type")))
	if w.length > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(w.length))
	}
	w.w.WriteHeader(w.status)
}

// cleanHeader masks the header in place; with a changed body it drops what
// speaks of the old one.
func (w *response) cleanHeader(changed bool) {
	h := w.Header()
	for name, values := range w.r.Header(h) {
		h[name] = values
	}
	if changed {
		unfit(h)
	}
}

// unfit drops the fields that describe the body's bytes, and makes a strong
// entity tag a weak one (RFC 9110, 8.8.1; RFC 9530).
func unfit(h http.Header) {
	for _, name := range []string{"Content-Length", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Accept-Ranges"} {
		h.Del(name)
		delete(h, http.TrailerPrefix+name)
	}
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends all that can be told by now.
func (w *response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.err != nil {
		return w.err
	}
	if w.gz != nil {
		if err := w.gz.Flush(); err != nil {
			return err
		}
	}
	if err := w.drain(); err != nil {
		return err
	}
	return http.NewResponseController(w.w).Flush()
}

// fail answers 502 if nothing has been sent; the connection ends otherwise,
// when next has returned.
func (w *response) fail(err error) error {
	w.err, w.buf = err, nil
	if w.torn = w.sent; w.torn {
		return err
	}
	w.sent = true
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w.w, "the response could not be redacted\n")
	return err
}

// finish ends the response after next has returned.
func (w *response) finish() {
	w.WriteHeader(http.StatusOK)
	if w.err == nil && w.body != nil {
		err := w.body.Close()
		if err == nil && w.gz != nil {
			err = w.gz.Close()
		}
		if err != nil {
			_ = w.fail(err)
		}
	}
	if w.err == nil {
		w.end()
	}
	if w.report {
		w.r.event(w.req.Context(), "response", w.req, w.began, w.err)
	}
	if w.torn {
		panic(http.ErrAbortHandler)
	}
}

// end sends what is left, with the right length if that is everything.
func (w *response) end() {
	if w.body != nil && w.req.Method != http.MethodHead {
		w.length = len(w.buf)
	}
	if err := w.drain(); err != nil {
		_ = w.fail(err)
		return
	}
	length := w.Header().Get("Content-Length")
	w.cleanHeader(w.body != nil) // the trailers
	if length != "" {
		w.Header().Set("Content-Length", length)
	}
}

// release ends the filter's coroutine, also when next has panicked.
func (w *response) release() {
	if w.body != nil {
		w.body.stop()
	}
}

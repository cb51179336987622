package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/echo"
)

// maxEager is how long an answer of known length may be to be scrubbed before
// it is handed on, so that its length stays known.
const maxEager = 64 << 10

// An answer is what Base returned, on its way to the caller.
type answer struct {
	x       *exchange
	resp    *http.Response
	scrub   *echo.Scrubber // nil: nothing to scrub
	matched bool           // a selector of Destination.Seal
}

// negotiate keeps the answer readable: with selectors the whole of it, and for
// them or the scrubber in an encoding that is read here.
func (x *exchange) negotiate() {
	h := x.req.Header
	sealing := x.dest.seal != nil
	if sealing {
		for _, name := range [...]string{"Range", "If-Range"} {
			if len(fieldValues(h, name)) > 0 {
				deleteField(x.header(), name)
			}
		}
	}
	if !sealing && x.scrubber() == nil {
		return
	}
	accepted := fieldValues(x.req.Header, "Accept-Encoding")
	if len(accepted) == 0 {
		return // Base asks for gzip and decodes it, or asks for nothing
	}
	encoding := "identity"
	if strings.Contains(strings.ToLower(strings.Join(accepted, ",")), "gzip") {
		encoding = "gzip"
	}
	deleteField(x.header(), "Accept-Encoding")
	x.header().Set("Accept-Encoding", encoding)
}

func deleteField(h http.Header, name string) {
	for n := range h {
		if strings.EqualFold(n, name) {
			delete(h, n)
		}
	}
}

func (x *exchange) scrubber() *echo.Scrubber {
	if x.dest.InsecureEcho {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.scrub == nil || len(x.revealed) != x.scrubs { // a streamed body reveals more on its way
		x.scrub, x.scrubs = echo.New(x.revealed, echo.MinBytes), len(x.revealed)
	}
	return x.scrub
}

// answer makes resp fit for the caller, or closes it.
func (x *exchange) answer(resp *http.Response) error {
	resp.Request = x.req
	a := &answer{x: x, resp: resp, scrub: x.scrubber()}
	if a.scrub == nil && x.dest.seal == nil {
		return nil
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if err := a.process(); err != nil {
		resp.Body.Close()
		return err
	}
	return nil
}

func (a *answer) process() error {
	if err := a.finishHeader(a.resp.Header); err != nil {
		return err
	}
	a.resp.Status = a.scrub.Text(a.resp.Status)
	switch {
	case a.resp.StatusCode == http.StatusSwitchingProtocols:
		a.upgrade()
		return nil
	case a.x.req.Method == http.MethodHead:
		return nil
	case a.resp.ContentLength == 0 || a.resp.Body == http.NoBody ||
		a.resp.StatusCode == http.StatusNoContent || a.resp.StatusCode == http.StatusNotModified:
		return a.required()
	case a.x.dest.seal != nil && a.x.dest.seal.editor != nil:
		return a.sealBody()
	}
	if err := a.required(); err != nil {
		return err
	}
	return a.scrubBody()
}

// finishHeader seals and scrubs a header or trailer.
func (a *answer) finishHeader(h http.Header) error {
	if err := a.sealHeader(h); err != nil {
		return err
	}
	var sealed map[string]*Field
	if a.x.dest.seal != nil {
		sealed = a.x.dest.seal.header
	}
	a.scrub.Header(h, func(name string) bool { return sealed[name] != nil })
	return nil
}

// required is Destination.Require's verdict, once the answer has been seen.
func (a *answer) required() error {
	if a.x.dest.Require && !a.matched && a.success() {
		return refuse(ErrResponse, "", "no field to seal")
	}
	return nil
}

func (a *answer) success() bool { return a.resp.StatusCode/100 == 2 }

// format is the answer's, of which readable is false when it cannot be edited.
func (a *answer) format() (f format, readable bool) {
	types, encodings := fieldValues(a.resp.Header, "Content-Type"), fieldValues(a.resp.Header, "Content-Encoding")
	readable = len(types) == 1 && len(encodings) <= 1
	for _, e := range encodings {
		switch strings.ToLower(strings.TrimSpace(e)) {
		case "", "identity":
		case "gzip", "x-gzip":
			f.gzip = true
		default:
			f.other, readable = true, false
		}
	}
	for _, t := range types {
		if media, _, err := mime.ParseMediaType(t); err == nil || errors.Is(err, mime.ErrInvalidMediaParameter) {
			if k := kindOf(media); k == kindJSON || k == kindForm {
				f.kind = k
			}
		}
	}
	return f, readable && f.kind != kindOther
}

// sealBody seals the selected values of a body.
func (a *answer) sealBody() error {
	f, readable := a.format()
	if a.resp.StatusCode == http.StatusPartialContent {
		return refuse(ErrResponse, "", "partial content")
	}
	if !readable && !a.success() && f.kind == kindOther {
		return a.scrubBody()
	}
	src := io.Reader(a.resp.Body)
	if f.gzip && readable {
		src = &lazyGzip{src: src}
	}
	body, whole, err := readUpTo(src, a.x.t.maxBody)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrResponse, a.x.rewriteError(err))
	case whole && len(body) == 0:
		a.resp.Body.Close()
		a.resp.Body = http.NoBody
		return errors.Join(a.required(), a.finishHeader(a.resp.Trailer))
	case !readable:
		return refuse(ErrResponse, "", "neither JSON nor a form, or in an unknown encoding")
	case whole:
		return a.sealWhole(f, body)
	case f.kind == kindForm:
		return refuse(ErrResponse, "body", "form larger than MaxBody")
	}
	a.sealStream(io.MultiReader(bytes.NewReader(body), src))
	return nil
}

func (a *answer) sealWhole(f format, body []byte) error {
	edit := a.sealJSON
	if f.kind == kindForm {
		edit = a.sealForm
	}
	edited, err := edit(body)
	if err != nil {
		return err
	}
	if err := a.required(); err != nil {
		return err
	}
	edited = a.scrub.Bytes(edited)
	if err := a.finishHeader(a.resp.Trailer); err != nil {
		return err
	}
	a.resp.Body.Close()
	a.setBody(edited, f.gzip || !bytes.Equal(edited, body))
	return nil
}

// setBody hands b on, with what the header says about it made true.
func (a *answer) setBody(b []byte, changed bool) {
	body := new(wholeBody)
	body.Reset(b)
	a.resp.Body = body
	if !changed {
		return
	}
	a.forgetBody()
	a.resp.ContentLength = int64(len(b))
	a.resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
}

// forgetBody drops what the header says about the upstream's bytes.
func (a *answer) forgetBody() {
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		a.resp.Header.Del(name)
	}
	a.resp.ContentLength = -1
	a.resp.TransferEncoding = nil
}

func (a *answer) sealStream(src io.Reader) {
	edited := a.sealReader(src)
	a.forgetBody()
	a.handOn(edited, edited.(io.Closer))
}

// handOn makes src, scrubbed, the body that the caller reads.
func (a *answer) handOn(src io.Reader, more io.Closer) {
	if a.scrub != nil {
		src = a.scrub.Reader(src)
	}
	a.resp.Body = &handed{a: a, src: src, upstream: a.resp.Body, more: more}
}

// scrubBody hands the body on without the plaintexts in it.
func (a *answer) scrubBody() error {
	if a.scrub == nil {
		a.handOn(a.resp.Body, nil)
		return nil
	}
	encoded := len(fieldValues(a.resp.Header, "Content-Encoding")) > 0
	if n := a.resp.ContentLength; n > 0 && n <= maxEager && !encoded {
		return a.scrubEagerly()
	}
	src := io.Reader(a.resp.Body)
	keep := a.resp.Header.Get("Content-Encoding")
	if f, _ := a.format(); f.gzip && a.resp.StatusCode != http.StatusPartialContent {
		src, keep = &lazyGzip{src: src}, ""
	}
	a.forgetBody()
	if keep != "" {
		a.resp.Header.Set("Content-Encoding", keep)
	}
	a.handOn(src, nil)
	return nil
}

// scrubEagerly keeps the length of a short answer known. A body that breaks off
// breaks off for the caller at the same place.
func (a *answer) scrubEagerly() error {
	body, err := readLength(a.resp.Body, a.resp.ContentLength)
	scrubbed := a.scrub.Bytes(body)
	changed := !bytes.Equal(scrubbed, body)
	if err != nil {
		upstream := a.resp.Body
		broken := &failing{bytes.NewReader(scrubbed), a.x.rewriteError(err)}
		if changed {
			a.forgetBody()
		}
		a.resp.Body = &handed{a: a, src: broken, upstream: upstream}
		return nil
	}
	if err := a.finishHeader(a.resp.Trailer); err != nil {
		return err
	}
	a.resp.Body.Close()
	a.setBody(scrubbed, changed)
	return nil
}

// handed is a body as the caller reads it. Its end brings the trailer, which is
// finished before the caller can look.
type handed struct {
	a        *answer
	src      io.Reader
	upstream io.Closer
	more     io.Closer // nil, or what must be closed too
	ended    bool
	err      error
}

func (h *handed) Read(p []byte) (int, error) {
	if h.err != nil {
		return 0, h.err
	}
	n, err := h.src.Read(p)
	if err == io.EOF && !h.ended {
		h.ended = true
		if e := h.a.finishHeader(h.a.resp.Trailer); e != nil {
			clear(h.a.resp.Trailer)
			err = e
		}
	} else if err != nil && err != io.EOF {
		err = h.a.x.rewriteError(err)
	}
	h.err = err
	return n, err
}

func (h *handed) Close() error {
	if h.more != nil {
		h.more.Close()
	}
	return h.upstream.Close()
}

// upgrade scrubs what an upgraded connection sends.
func (a *answer) upgrade() {
	conn, ok := a.resp.Body.(io.ReadWriteCloser)
	if !ok || a.scrub == nil {
		return
	}
	a.resp.Body = struct {
		io.Reader
		io.Writer
		io.Closer
	}{a.scrub.Reader(conn), conn, conn}
}

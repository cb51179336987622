package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// sealing is Destination.Seal, checked.
type sealing struct {
	editor *jsonedit.Editor // nil: header fields alone
	fields []*Field         // of editor's paths
	header map[string]*Field
}

// newSealing is nil when nothing is sealed.
func newSealing(d Destination, maxBody int64) (*sealing, error) {
	if len(d.Seal) == 0 {
		if d.Require {
			return nil, in("Require", errors.New("set without Seal"))
		}
		return nil, nil
	}
	s := &sealing{header: make(map[string]*Field)}
	var paths []string
	for i := range d.Seal {
		f := d.Seal[i]
		if err := s.add(&f, &paths); err != nil {
			return nil, fmt.Errorf("%s[%d].%w", "Seal", i, err)
		}
	}
	if len(paths) == 0 {
		return s, nil
	}
	e, err := jsonedit.Compile(paths...)
	if err != nil {
		return nil, in("Seal", err)
	}
	s.editor = e.Limit(maxBody)
	return s, nil
}

func (s *sealing) add(f *Field, paths *[]string) error {
	if f.TTL < 0 {
		return in("TTL", errNegative)
	}
	f.Hosts = append([]string(nil), f.Hosts...)
	for i, h := range f.Hosts {
		if _, err := hosts.Parse(h); err != nil {
			return element("Hosts", i, fmt.Errorf("%q: %w", h, err))
		}
	}
	if name, ok := strings.CutPrefix(f.At, "header:"); ok {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !httpguts.ValidHeaderFieldName(name) || framing[name] {
			return in("At", fmt.Errorf("%q: no header field that can hold a credential", f.At))
		}
		s.header[name] = f
		return nil
	}
	if _, err := jsonedit.Compile(f.At); err != nil {
		return in("At", fmt.Errorf("%q: %w", f.At, err))
	}
	*paths = append(*paths, f.At)
	s.fields = append(s.fields, f)
	return nil
}

// seal seals one field of the answer for the request's subject.
func (a *answer) seal(f *Field, plain []byte, isJSON bool) (string, error) {
	x := a.x
	label := tokenvault.Label{Hosts: f.Hosts, Subject: x.subject, JSON: isJSON}
	if len(label.Hosts) == 0 {
		label.Hosts = []string{x.host}
	}
	if f.TTL > 0 {
		label.Expires = x.t.now().Add(f.TTL)
	}
	sealed, err := x.t.sealer.Seal(x.req.Context(), plain, label)
	if err != nil {
		return "", &placeError{f.At, fmt.Errorf("%w: %w", ErrResponse, err)}
	}
	if x.t.observe != nil {
		h, _ := tokenvault.Inspect(sealed)
		x.observe(Event{Kind: "seal", Place: f.At, KeyID: h.KeyID})
	}
	return sealed, nil
}

// sealHeader seals the selected fields of a header or trailer.
func (a *answer) sealHeader(h http.Header) error {
	if a.x.dest.seal == nil {
		return nil
	}
	for name, f := range a.x.dest.seal.header {
		for i, v := range h[name] {
			a.matched = true
			if v == "" {
				continue
			}
			sealed, err := a.seal(f, []byte(v), false)
			if err != nil {
				return err
			}
			h[name][i] = sealed
		}
	}
	return nil
}

// replace seals one selected value. null and "" stay: a client must not believe
// that it holds a token.
func (a *answer) replace(v jsonedit.Value) ([]byte, error) {
	a.matched = true
	if raw := string(v.Raw); raw == "null" || raw == `""` {
		return nil, nil
	}
	plain, isText, err := v.Text()
	if err != nil {
		return nil, refuse(ErrResponse, a.x.dest.seal.fields[v.Path].At, "string does not round-trip")
	}
	if !isText {
		plain = v.Raw
	}
	sealed, err := a.seal(a.x.dest.seal.fields[v.Path], plain, !isText)
	if err != nil {
		return nil, err
	}
	return []byte(`"` + sealed + `"`), nil
}

// sealJSON is body with the selected values sealed.
func (a *answer) sealJSON(body []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(body) + 512)
	if err := a.x.dest.seal.editor.Edit(&out, bytes.NewReader(body), a.replace); err != nil {
		return nil, sealError(err)
	}
	return out.Bytes(), nil
}

// sealReader is sealJSON for a body that is handed on while it comes.
func (a *answer) sealReader(src io.Reader) io.Reader {
	return &sealingReader{a: a, src: a.x.dest.seal.editor.Reader(src, a.replace)}
}

type sealingReader struct {
	a   *answer
	src io.Reader
}

func (r *sealingReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	switch {
	case err == io.EOF:
		err = r.a.required()
		if err == nil {
			err = io.EOF
		}
	case err != nil:
		err = sealError(err)
	}
	return n, err
}

func (r *sealingReader) Close() error {
	if c, ok := r.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// sealError keeps the body's text, which an editor's error might quote, out.
func sealError(err error) error {
	switch {
	case errors.Is(err, ErrResponse):
		return err
	case errors.Is(err, jsonedit.ErrTooLarge):
		return refuse(ErrResponse, "body", "a value is larger than MaxBody")
	case errors.Is(err, jsonedit.ErrSyntax):
		return refuse(ErrResponse, "body", "not JSON, or cut off")
	case errors.Is(err, jsonedit.ErrText):
		return refuse(ErrResponse, "body", "string does not round-trip")
	}
	return fmt.Errorf("%w: %w", ErrResponse, err)
}

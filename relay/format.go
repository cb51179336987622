package relay

import (
	"bytes"
	"mime"
	"net/http"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

type bodyKind int

const (
	kindOther bodyKind = iota
	kindJSON
	kindForm
	kindMultipart
)

// A format is what a body is, as far as header fields tell.
type format struct {
	kind     bodyKind
	boundary string
	gzip     bool
	other    bool // an encoding that nobody here reads
}

// format refuses header fields that two readers could read differently.
func (x *exchange) format() (f format, err error) {
	h := x.req.Header
	types, encodings := fieldValues(h, "Content-Type"), fieldValues(h, "Content-Encoding")
	if len(types) > 1 || len(encodings) > 1 {
		return f, refuse(ErrPlace, "body", "several Content-Type or Content-Encoding fields")
	}
	if len(encodings) == 1 {
		switch strings.ToLower(strings.TrimSpace(encodings[0])) {
		case "", "identity":
		case "gzip", "x-gzip":
			f.gzip = true
		default:
			f.other = true
			err = refuse(ErrPlace, "body", "Content-Encoding is neither gzip nor identity")
		}
	}
	if len(types) == 0 {
		return f, err
	}
	media, params, parseErr := mime.ParseMediaType(types[0])
	if parseErr != nil {
		return f, err
	}
	f.kind = kindOf(media)
	if f.boundary = params["boundary"]; f.kind == kindMultipart && (f.boundary == "" || len(f.boundary) > 70) {
		f.kind = kindOther
	}
	return f, err
}

func kindOf(media string) bodyKind {
	switch {
	case media == "application/json", strings.HasSuffix(media, "+json"):
		return kindJSON
	case media == "application/x-www-form-urlencoded":
		return kindForm
	case strings.HasPrefix(media, "multipart/"):
		return kindMultipart
	}
	return kindOther
}

// fieldValues finds a field under every spelling of its name.
func fieldValues(h http.Header, name string) (values []string) {
	for n, v := range h {
		if strings.EqualFold(n, name) {
			values = append(values, v...)
		}
	}
	return values
}

// editable reports whether anything in such a body is opened.
func (f format) editable(open *places) bool {
	switch f.kind {
	case kindJSON:
		return open.json != nil
	case kindForm:
		return open.form.any()
	case kindMultipart:
		return open.multipart.any()
	}
	return false
}

var prefixBytes = []byte(wire.Prefix)

// mayHold is a quick no: neither the prefix nor an escape that could spell it.
func (f format) mayHold(b []byte) bool {
	switch f.kind {
	case kindJSON:
		return mayHoldJSON(b)
	case kindForm:
		return bytes.Contains(b, prefixBytes) || bytes.IndexByte(b, '%') >= 0
	}
	return bytes.Contains(b, prefixBytes)
}

// count counts the sealed values in b, as whoever decodes it sees them, and
// names their place.
func (f format) count(b []byte) (n int, place string) {
	switch f.kind {
	case kindJSON:
		return countJSON(b), "json"
	case kindForm:
		return countForm(b), "form"
	case kindMultipart:
		return countSealed(b), "multipart"
	}
	return countSealed(b), "body"
}

// countSealed counts the sealed values that stand in b as they are.
func countSealed(b []byte) (n int) {
	for {
		start, end := wire.Find(b)
		if start < 0 || end < 0 {
			return n
		}
		n++
		b = b[end:]
	}
}

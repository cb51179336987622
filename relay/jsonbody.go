package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
)

// editJSON opens the string values that the destination's JSONPaths select.
func (e *bodyEdit) editJSON(dst io.Writer, src io.Reader) error {
	return jsonError(e.x.dest.open.json.Edit(dst, src, e.openJSON))
}

// jsonError keeps the body's text, which an editor's error might quote, out.
func jsonError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsonedit.ErrTooLarge):
		return refuse(ErrTooLarge, "json", "")
	case errors.Is(err, jsonedit.ErrSyntax), errors.Is(err, jsonedit.ErrText):
		return refuse(ErrPlace, "json", "not JSON")
	}
	return err
}

func (e *bodyEdit) openJSON(v jsonedit.Value) ([]byte, error) {
	if !mayHoldJSON(v.Raw) {
		return nil, nil
	}
	place := "json:" + e.x.dest.open.jsonPaths[v.Path]
	switch v.Raw[0] {
	case '"':
		return e.openJSONString(place, v)
	case '{', '[':
		if e.x.dest.open.jsonAll {
			return editStrings(v.Raw, func(s []byte) ([]byte, error) {
				return e.openJSONString(place, jsonedit.Value{Raw: s})
			})
		}
	}
	return nil, nil // whatever is sealed in it is counted, and refused
}

func (e *bodyEdit) openJSONString(place string, v jsonedit.Value) ([]byte, error) {
	if !mayHoldJSON(v.Raw) {
		return nil, nil
	}
	text, ok, err := v.Text()
	if err != nil || !ok || !candidate(string(text)) {
		return nil, nil // not sealed, or not alone: then it is counted, and refused
	}
	plain, isJSON, err := e.x.open(place, string(text))
	if err != nil {
		return nil, err
	}
	out, reason := jsonText(plain, isJSON)
	if reason != "" {
		return nil, refuse(ErrPlace, place, reason)
	}
	e.opened++
	return out, nil
}

// mayHoldJSON is a quick no. The sealed alphabet has no other escape than \u.
func mayHoldJSON(b []byte) bool {
	return bytes.Contains(b, prefixBytes) || bytes.Contains(b, []byte(`\u`))
}

// countJSON counts the strings of a JSON text, names included, that hold a
// sealed value.
func countJSON(b []byte) (n int) {
	if !mayHoldJSON(b) {
		return 0
	}
	if !bytes.Contains(b, []byte(`\u`)) {
		return countSealed(b)
	}
	for rest := b; ; {
		start, end := nextString(rest)
		if start < 0 {
			return max(n, countSealed(b))
		}
		if stringHolds(rest[start:end]) {
			n++
		}
		rest = rest[end:]
	}
}

func stringHolds(quoted []byte) bool {
	if holdsBytes(quoted) {
		return true
	}
	if !bytes.Contains(quoted, []byte(`\u`)) {
		return false
	}
	var s string
	return json.Unmarshal(quoted, &s) == nil && holds(s)
}

// nextString finds the first JSON string in b, quotes included.
func nextString(b []byte) (start, end int) {
	if start = bytes.IndexByte(b, '"'); start < 0 {
		return -1, -1
	}
	for i := start + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return start, i + 1
		}
	}
	return -1, -1
}

// editStrings replaces string values, at any depth, of one valid JSON value.
func editStrings(b []byte, f func(quoted []byte) ([]byte, error)) ([]byte, error) {
	var out bytes.Buffer
	for {
		start, end := nextString(b)
		if start < 0 {
			out.Write(b)
			return out.Bytes(), nil
		}
		out.Write(b[:start])
		quoted := b[start:end]
		b = b[end:]
		if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte(":")) { // a value, not a name
			replacement, err := f(quoted)
			if err != nil {
				return nil, err
			}
			if replacement != nil {
				quoted = replacement
			}
		}
		out.Write(quoted)
	}
}

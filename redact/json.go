package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
)

// JSON copies the JSON text src, or a sequence of them (NDJSON, RFC 7464), to
// dst. What Config.JSON selects becomes the mask; strings in which Text finds
// something, JSON inside JSON included, are masked there; every other byte
// stays. It streams: memory does not grow with the document.
//
// null and "" stay under a selected name, because there is nothing to hide and
// nobody must take them for a token.
//
// On invalid, truncated or too deeply nested JSON (ErrInvalid), or a value over
// Config.MaxBuffer (ErrTooLarge), nothing more is written: dst has a beginning
// of the result, without anything selected.
func (r *Redactor) JSON(dst io.Writer, src io.Reader) error {
	w := &stringWriter{r: r, dst: dst}
	if err := r.editor.Edit(w, src, r.replace); err != nil {
		return bodyError(err)
	}
	return w.close()
}

// bodyError gives an error of the editor one of this package's sentinels.
func bodyError(err error) error {
	switch {
	case errors.Is(err, jsonedit.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, jsonedit.ErrSyntax), errors.Is(err, jsonedit.ErrText):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

func (r *Redactor) replace(v jsonedit.Value) ([]byte, error) {
	switch raw := string(v.Raw); {
	case raw == "null", raw == `""`:
		return nil, nil
	case raw[0] != '"' || r.keep == 0 && r.maskSealed:
		return r.maskJSON, nil
	case r.keep == 0 && !strings.Contains(raw, "v1."):
		return r.maskJSON, nil
	}
	s, ok, err := v.Text()
	if !ok || err != nil {
		return r.maskJSON, nil
	}
	plain := string(s)
	if hidden := r.hide(plain); hidden != plain {
		return quote(hidden), nil
	}
	return nil, nil
}

// quote encodes s without the escapes that only HTML needs.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return []byte(`""`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// stringWriter passes valid JSON on to dst, and shows each string in it to
// Text.
type stringWriter struct {
	r       *Redactor
	dst     io.Writer
	out     []byte
	str     []byte // what is held of the string under way
	within  bool   // a string is under way
	escaped bool   // it stands after a backslash
	long    bool   // it is over the cap, and its beginning has gone out
}

func (w *stringWriter) Write(p []byte) (int, error) {
	w.out = w.out[:0]
	done := 0 // p[:done] is in out or str, or out of the door
	suspect := suspects{gate: w.r.gate, p: p, opens: -1, slash: -1}
	for i := 0; i < len(p); {
		if !w.within {
			if i = suspect.string(i); i == len(p) {
				break
			}
		}
		end, whole := w.stringEnd(p, i)
		if whole && len(w.str) == 0 && !w.long {
			if with := w.r.jsonString(p[i:end]); with != nil {
				w.out = append(append(w.out, p[done:i]...), with...)
				done = end
			}
		} else {
			w.out = append(w.out, p[done:i]...)
			w.str = append(w.str, p[i:end]...)
			done = end
			if err := w.hold(whole); err != nil {
				return 0, err
			}
		}
		i = end
	}
	if err := w.emit(w.out); err != nil {
		return 0, err
	}
	if err := w.emit(p[done:]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// suspects finds the strings in p that are worth a look: those with a place
// where the gate opens, or an escape, and the one that p ends in.
type suspects struct {
	gate         *gate
	p            []byte
	opens, slash int // next places; before i: to be found
}

// string returns where the next of them begins at or after i, which is outside
// of strings; len(p) if there is none.
func (s *suspects) string(i int) int {
	if s.opens < i {
		s.opens = next(s.gate, s.p, i)
	}
	if s.slash < i {
		s.slash = len(s.p)
		if k := bytes.IndexByte(s.p[i:], '\\'); k >= 0 {
			s.slash = i + k
		}
	}
	at := min(s.opens, s.slash)
	// Up to there every quote begins or ends a string.
	if bytes.Count(s.p[i:at], []byte{'"'})%2 == 1 {
		return i + bytes.LastIndexByte(s.p[i:at], '"')
	}
	if k := bytes.IndexByte(s.p[at:], '"'); k >= 0 {
		return at + k
	}
	return len(s.p)
}

// hold deals with a string that came in pieces. One over the cap is looked at
// as it is spelled, a window at a time.
func (w *stringWriter) hold(whole bool) error {
	if whole && !w.long {
		if with := w.r.jsonString(w.str); with != nil {
			w.str = append(w.str[:0], with...)
		}
	} else if whole || int64(len(w.str)) > w.r.max {
		w.long = !whole
		out, rest, changed := w.r.scan(nil, string(w.str), !whole)
		if !changed {
			out = w.str[:rest]
		}
		w.out = append(w.out, out...)
		w.str = w.str[:copy(w.str, w.str[rest:])]
		if int64(len(w.str)) > w.r.max+maxWord {
			return fmt.Errorf("%w: a string in JSON", ErrTooLarge)
		}
		return nil
	} else {
		return nil
	}
	w.out, w.str = append(w.out, w.str...), w.str[:0]
	return nil
}

// stringEnd returns the end of the string that goes on at p[i], or begins there
// when none is under way.
func (w *stringWriter) stringEnd(p []byte, i int) (end int, whole bool) {
	if !w.within {
		w.within, w.escaped = true, false
		i++
	}
	for ; i < len(p); i++ {
		switch {
		case w.escaped:
			w.escaped = false
		case p[i] == '\\':
			w.escaped = true
		case p[i] == '"':
			w.within = false
			return i + 1, true
		}
	}
	return i, false
}

func (w *stringWriter) emit(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := w.dst.Write(b)
	return err
}

// close reports a string without an end, which the editor would have refused.
func (w *stringWriter) close() error {
	if w.within {
		return fmt.Errorf("%w: unterminated string", ErrInvalid)
	}
	return nil
}

// jsonString returns what takes the place of a JSON string, nil if it stays.
// JSON within it has escaped quotes. Other escapes than \u and \/ stand for no
// character of a credential.
func (r *Redactor) jsonString(raw []byte) []byte {
	escapes := bytes.IndexByte(raw, '\\') >= 0
	nested := escapes && r.paths && looksJSON(raw[1:])
	spelled := escapes && (bytes.Contains(raw, []byte(`\u`)) || bytes.Contains(raw, []byte(`\/`)))
	if !nested && !spelled && next(r.gate, raw, 0) == len(raw) {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return r.maskJSON
	}
	if out := r.Text(s); out != s {
		return quote(out)
	}
	return nil
}

// looksJSON reports whether s begins as a JSON object or an array of
// containers or strings does; [INFO] and {name} do not.
func looksJSON[T string | []byte](s T) bool {
	i := space(s, 0)
	if i+3 <= len(s) && string(s[i:i+3]) == "\xef\xbb\xbf" {
		i = space(s, i+3)
	}
	if i >= len(s) || s[i] != '{' && s[i] != '[' {
		return false
	}
	open := s[i]
	i = space(s, i+1)
	if i < len(s) && s[i] == '\\' {
		i++
	}
	switch {
	case i >= len(s):
		return false
	case open == '{':
		return s[i] == '"' || s[i] == '}'
	}
	return s[i] == '{' || s[i] == '[' || s[i] == '"' || s[i] == ']'
}

func space[T string | []byte](s T, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

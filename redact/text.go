package redact

import (
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// Text masks credentials in free text: with Config.Detect what looks like one;
// name=value of Config.Params in URLs and forms; the last names of Config.JSON
// in fragments of JSON. A text that is JSON as a whole is treated as by
// [Redactor.JSON].
//
// Redact first and truncate afterwards: a credential that was cut in half may
// not be recognised any more.
func (r *Redactor) Text(s string) string {
	if r.quiet(s) {
		return s
	}
	if doc, ok := r.embedded(s); ok {
		return doc
	}
	if out, _, changed := r.scan(nil, s, false); changed {
		return string(out)
	}
	return s
}

// text is what a matcher looks at.
type text struct {
	r    *Redactor
	s    string
	more bool // s goes on

	// A run of base64 characters is walked once, however many JWTs seem to
	// begin in it: what begins before dotless is none.
	dotless int
	tries   int
}

// scan appends to dst what s[:hold] becomes. What s[hold:] becomes can only be
// told when more is known; hold is len(s) unless more. changed is false, and
// nothing is appended, when s[:hold] stays as it is.
func (r *Redactor) scan(dst []byte, s string, more bool) (out []byte, hold int, changed bool) {
	t := text{r: r, s: s, more: more}
	last, hold := 0, len(s)
	if more {
		hold = lastWord(s)
	}
	for i := next(r.gate, s, 0); i < hold; {
		f := t.judge(i, last)
		if f.verdict == open {
			hold = max(last, min(hold, f.start))
			break
		}
		if f.verdict == masked && f.with != s[f.start:f.end] {
			dst = append(dst, s[last:f.start]...)
			dst = append(dst, f.with...)
			last = f.end
			hold = max(hold, last)
			changed = true
		}
		i = next(r.gate, s, max(i+1, f.end-2))
	}
	if changed {
		dst = append(dst, s[last:hold]...)
	}
	return dst, hold, changed
}

// judge asks the matchers that s[i:i+3] announces. What begins before last has
// been dealt with already.
func (t *text) judge(i, last int) finding {
	for _, e := range t.r.gate.entries[pack(t.s[i:])] {
		at := i - e.off
		if at < last || at > len(t.s) {
			continue
		}
		if f := e.match(t, at); f.verdict != nothing && f.start >= last {
			return f
		}
	}
	return finding{}
}

// mask is the finding that s[start:end] is a credential.
func (t *text) mask(start, end int) finding {
	return finding{masked, start, end, t.r.hide(t.s[start:end])}
}

// unless more is to come, in which case the text is open from start.
func (t *text) atEnd(end int) bool { return t.more && end >= len(t.s) }

// maxWord is the most of an unfinished word that is held back. No credential
// needs more to be recognised.
const maxWord = 64 << 10

// lastWord returns where the last word of s begins, which may be the beginning
// of something.
func lastWord(s string) int {
	tail := max(0, len(s)-maxWord)
	return tail + strings.LastIndexAny(s[tail:], " \t\r\n") + 1
}

// embedded treats s as JSON, if that is what it is.
func (r *Redactor) embedded(s string) (string, bool) {
	if !r.paths || !looksJSON(s) {
		return "", false
	}
	var out strings.Builder
	if r.JSON(&out, strings.NewReader(s)) != nil {
		return "", false
	}
	return out.String(), true
}

// sealedOnly reports whether s is one sealed string, with or without an
// authentication scheme before it.
func sealedOnly(s string) bool {
	if scheme, rest, ok := strings.Cut(s, " "); ok && sealedSchemes[strings.ToLower(scheme)] {
		s = rest
	}
	return s != "" && sealedAt(s, 0) == len(s)
}

var sealedSchemes = map[string]bool{"bearer": true, "dpop": true, "token": true}

// sealedAt returns the end of the sealed string that begins at s[at], at if
// none does.
func sealedAt(s string, at int) int {
	if !strings.HasPrefix(s[at:], wire.Prefix) {
		return at
	}
	// A look at the shape first: Find reads on to the next prefix.
	header := base64URL.runTo(s, at+len(wire.Prefix), wire.MaxHeaderChars+1)
	if key := header + 1 + wire.WrappedKeyChars; key >= len(s) || s[header] != '.' || s[key] != '.' {
		return at
	}
	b := s[at:dotted.runTo(s, at, wire.MaxLen)]
	if start, end := wire.Find([]byte(b)); start == 0 && end > 0 {
		return at + end
	}
	return at
}

// mayBeSealed reports whether s[at:] ends inside what may become a sealed
// string.
func mayBeSealed(s string, at int) bool {
	if !strings.HasPrefix(s[at:], wire.Prefix) {
		return strings.HasPrefix(wire.Prefix, s[at:])
	}
	at += len(wire.Prefix)
	for _, seg := range [...]int{wire.MaxHeaderChars, wire.WrappedKeyChars, wire.IVChars, wire.MaxCiphertextChars} {
		at = base64URL.runTo(s, at, seg)
		if at == len(s) {
			return true
		}
		if s[at] != '.' {
			return false
		}
		at++
	}
	return base64URL.runTo(s, at, wire.TagChars) == len(s)
}

// matchSealed keeps sealed strings, or masks them with Config.MaskSealed.
func matchSealed(t *text, at int) finding {
	end := sealedAt(t.s, at)
	switch {
	case end == at && t.more && mayBeSealed(t.s, at):
		return finding{verdict: open, start: at}
	case end == at:
		return finding{}
	case t.r.maskSealed:
		return t.mask(at, end)
	}
	return finding{verdict: kept, start: at, end: end}
}

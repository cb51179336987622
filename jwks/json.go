package jwks

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding/json is no judge of signed JSON: it matches names regardless of
// case, lets the last of two equal names win and repairs broken text. This
// scanner accepts a text only if every reader must understand it alike
// (RFC 8725 section 2.6, RFC 8259 sections 4 and 8): no duplicate names at any
// depth, UTF-8 throughout, no lone surrogates, nothing after the value.

// maxDepth bounds nesting, and with it the scanner's stack.
const maxDepth = 64

// members calls visit for each member of the object that s holds, in order,
// with the member's name and its value's JSON text, and reports whether s is
// well formed. What visit was told counts only if it is.
func members(s string, visit func(name, raw string)) bool {
	return scanner{text: s}.whole('{', visit, nil)
}

// elements is members for arrays.
func elements(s string, visit func(raw string)) bool {
	return scanner{text: s}.whole('[', nil, visit)
}

// membersOnly is members, but leaves duplicate names within the values to those
// who read them: one bad key is no bad set.
func membersOnly(s string, visit func(name, raw string)) bool {
	return scanner{text: s, shallow: true}.whole('{', visit, nil)
}

// elementsOnly is to elements what membersOnly is to members.
func elementsOnly(s string, visit func(raw string)) bool {
	return scanner{text: s, shallow: true}.whole('[', nil, visit)
}

type scanner struct {
	text    string
	shallow bool // names must be distinct at the top only
}

// whole scans a text that is one object or array, as open tells.
func (t scanner) whole(open byte, member func(name, raw string), element func(raw string)) bool {
	i := skipSpace(t.text, 0)
	if i == len(t.text) || t.text[i] != open || !utf8.ValidString(t.text) {
		return false
	}
	var ok bool
	if open == '{' {
		i, ok = t.object(i, 0, member)
	} else {
		i, ok = t.array(i, 0, element)
	}
	return ok && skipSpace(t.text, i) == len(t.text)
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// value returns the end of the value at i.
func (t scanner) value(i, depth int) (end int, ok bool) {
	s := t.text
	if i >= len(s) || depth > maxDepth {
		return i, false
	}
	switch s[i] {
	case '{':
		return t.object(i, depth, nil)
	case '[':
		return t.array(i, depth, nil)
	case '"':
		return scanString(s, i)
	case 't':
		return i + 4, strings.HasPrefix(s[i:], "true")
	case 'f':
		return i + 5, strings.HasPrefix(s[i:], "false")
	case 'n':
		return i + 4, strings.HasPrefix(s[i:], "null")
	}
	return scanNumber(s, i)
}

func (t scanner) object(i, depth int, visit func(name, raw string)) (end int, ok bool) {
	s := t.text
	var few [16]string
	names := few[:0]
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == '}' {
		return i + 1, true
	}
	for {
		start := i
		if i >= len(s) || s[i] != '"' {
			return i, false
		}
		if i, ok = scanString(s, i); !ok {
			return i, false
		}
		name := unquote(s[start:i])
		names = append(names, name)
		if i = skipSpace(s, i); i >= len(s) || s[i] != ':' {
			return i, false
		}
		start = skipSpace(s, i+1)
		if i, ok = t.value(start, depth+1); !ok {
			return i, false
		}
		if visit != nil {
			visit(name, s[start:i])
		}
		var more bool
		if i, more, ok = scanNext(s, i, '}'); !more {
			return i, ok && (t.shallow && depth > 0 || distinct(names))
		}
	}
}

func (t scanner) array(i, depth int, visit func(raw string)) (end int, ok bool) {
	s := t.text
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == ']' {
		return i + 1, true
	}
	for {
		start := i
		if i, ok = t.value(i, depth+1); !ok {
			return i, false
		}
		if visit != nil {
			visit(s[start:i])
		}
		var more bool
		if i, more, ok = scanNext(s, i, ']'); !more {
			return i, ok
		}
	}
}

// scanNext reads what follows a member or element: a comma and the start of
// the next one (more), or the closing bracket.
func scanNext(s string, i int, closing byte) (next int, more, ok bool) {
	i = skipSpace(s, i)
	if i >= len(s) {
		return i, false, false
	}
	if s[i] == ',' {
		return skipSpace(s, i+1), true, true
	}
	return i + 1, false, s[i] == closing
}

// scanString checks the string at s[i:], whose UTF-8 is known to be valid.
func scanString(s string, i int) (end int, ok bool) {
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, true
		case c < ' ':
			return i, false
		case c == '\\':
			_, n := unescape(s[i:])
			if n == 0 {
				return i, false
			}
			i += n - 1
		}
	}
	return i, false
}

// unescape decodes the escape sequence, or pair of them, that s begins with;
// n is its length, 0 if it is invalid or half of a surrogate pair.
func unescape(s string) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	if s[1] != 'u' {
		if at := strings.IndexByte(`"\/bfnrt`, s[1]); at >= 0 {
			return rune("\"\\/\b\f\n\r\t"[at]), 2
		}
		return 0, 0
	}
	r, ok := hex4(s[2:])
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(s) < 12 || s[6] != '\\' || s[7] != 'u' {
		return 0, 0
	}
	low, _ := hex4(s[8:]) // 0, which is no surrogate, if there is none
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for _, c := range []byte(s[:4]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote decodes a string that scanString has accepted. Without an escape the
// result shares raw's memory.
func unquote(raw string) string {
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			i++
			continue
		}
		r, n := unescape(raw[i:])
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// scanNumber follows the grammar of RFC 8259 section 6. s does not end at i.
func scanNumber(s string, i int) (end int, ok bool) {
	if s[i] == '-' {
		i++
	}
	first := i
	if i, ok = scanDigits(s, i); !ok || (s[first] == '0' && i-first > 1) {
		return i, false
	}
	if i < len(s) && s[i] == '.' {
		if i, ok = scanDigits(s, i+1); !ok {
			return i, false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return scanDigits(s, i)
	}
	return i, true
}

func scanDigits(s string, i int) (end int, ok bool) {
	start := i
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i, i > start
}

// distinct reports whether no name occurs twice. Beyond a few names it needs a
// map, so that a hostile object does not cost the square of its size.
func distinct(names []string) bool {
	if len(names) > 16 {
		seen := make(map[string]struct{}, len(names))
		for _, n := range names {
			seen[n] = struct{}{}
		}
		return len(seen) == len(names)
	}
	for i, n := range names {
		for _, m := range names[:i] {
			if n == m {
				return false
			}
		}
	}
	return true
}

// text decodes raw as a JSON string; an absent member (empty raw) is "".
func text(raw string) (s string, ok bool) {
	if raw == "" {
		return "", true
	}
	if raw[0] != '"' {
		return "", false
	}
	return unquote(raw), true
}

// texts decodes raw as an array of strings.
func texts(raw string) (list []string, ok bool) {
	ok = true
	well := elements(raw, func(e string) {
		s, isText := text(e)
		ok = ok && isText
		list = append(list, s)
	})
	return list, well && ok
}

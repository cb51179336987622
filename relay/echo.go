package relay

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	minEcho    = 8        // bytes; shorter plaintexts occur by chance
	maxNeedles = 128      // of one request; scrubbing is best effort
	maxGrowth  = 64 << 10 // how much longer the sealed strings may make one answer
	mask       = "[sealed]"
)

// A scrubber replaces plaintexts that come back by the sealed strings they came
// from. It recognises them as they are, JSON-escaped, percent-encoded and in
// base64, and remembers how much it has made the answer grow.
type scrubber struct {
	needles []needle
	first   [256]bool // bytes that a needle's spelling may begin with
	growth  int
}

// A needle is one text to be found in any of its spellings.
type needle struct {
	text   string
	base64 bool   // "-" is "+" and "_" is "/", padding may follow
	sealed string // what takes its place
	quote  bool   // it was a JSON value of its own
}

// newScrubber is nil when nothing of at least atLeast bytes was revealed.
func newScrubber(values []revealed, atLeast int) *scrubber {
	var s *scrubber
	for _, v := range values {
		if s == nil && len(v.plain) >= atLeast {
			s = &scrubber{growth: maxGrowth}
		}
		if s == nil || len(v.plain) < atLeast || len(s.needles) >= maxNeedles {
			continue
		}
		n := needle{text: v.plain, sealed: v.sealed}
		if v.json {
			n = jsonNeedle(n)
		}
		if !v.basic && len(n.text) >= atLeast {
			s.add(n)
		}
		s.add(needle{text: base64.RawStdEncoding.EncodeToString([]byte(v.plain)), base64: true, sealed: v.sealed})
	}
	if s == nil || len(s.needles) == 0 {
		return nil
	}
	s.first['%'], s.first['\\'] = true, true
	return s
}

// jsonNeedle finds a JSON string by its text, and an object or array as it
// stands. A number would be found inside other numbers.
func jsonNeedle(n needle) needle {
	var text string
	if json.Unmarshal([]byte(n.text), &text) == nil {
		n.text = text
		return n
	}
	n.quote = true
	if c := strings.TrimLeft(n.text, " \t\r\n"); c == "" || c[0] != '{' && c[0] != '[' {
		n.text = ""
	}
	return n
}

func (s *scrubber) add(n needle) {
	if n.text == "" {
		return
	}
	s.needles = append(s.needles, n)
	s.first[n.text[0]] = true
	switch n.text[0] {
	case '+', '-', ' ':
		s.first['+'], s.first['-'] = true, true
	case '/', '_':
		s.first['/'], s.first['_'] = true, true
	}
}

// scrub appends b to dst without what it finds. Unless b is the last of its
// text, it keeps back, as rest, the end of b in which a needle may have begun.
func (s *scrubber) scrub(dst, b []byte, last bool) (out, rest []byte) {
	from := 0
	for i := 0; i < len(b); i++ {
		if !s.first[b[i]] {
			continue
		}
		n, length, cut := s.at(b[i:])
		if cut && !last {
			return append(dst, b[from:i]...), b[i:]
		}
		if length > 0 {
			dst = append(dst, b[from:i]...)
			dst = append(dst, s.replacement(n, length)...)
			i += length - 1
			from = i + 1
		}
	}
	return append(dst, b[from:]...), nil
}

// replacement keeps the answer from growing without end: an upstream that
// repeats a short plaintext gets masks no longer than that.
func (s *scrubber) replacement(n *needle, length int) string {
	text := n.sealed
	if n.quote {
		text = `"` + text + `"`
	}
	if grown := len(text) - length; grown > 0 {
		if s.growth -= grown; s.growth < 0 {
			s.growth = 0
			return mask[:min(len(mask), length)]
		}
	}
	return text
}

// at is the longest needle that b begins with; cut reports that b ends inside
// one.
func (s *scrubber) at(b []byte) (found *needle, length int, cut bool) {
	for i := range s.needles {
		n := &s.needles[i]
		l, c := n.match(b)
		cut = cut || c
		if l > length {
			found, length = n, l
		}
	}
	return found, length, cut
}

// text scrubs a whole text.
func (s *scrubber) text(v string) string {
	if s == nil || len(v) < minEcho {
		return v
	}
	out, _ := s.scrub(nil, []byte(v), true)
	if len(out) == len(v) && string(out) == v {
		return v
	}
	return string(out)
}

// header scrubs the values of h in place, but those of the fields in spared.
func (s *scrubber) header(h http.Header, spared map[string]*Field) {
	if s == nil {
		return
	}
	for name, values := range h {
		if spared[name] != nil {
			continue
		}
		for i, v := range values {
			values[i] = s.text(v)
		}
	}
}

// match reports how much of b is n's text, in any spelling, and whether b ends
// before that is certain.
func (n *needle) match(b []byte) (length int, cut bool) {
	i := 0
	for k := 0; k < len(n.text); {
		if i == len(b) {
			return 0, true
		}
		size, taken, cut := n.step(b[i:], n.text[k:])
		if cut || size == 0 {
			return n.raw(b, cut)
		}
		i += size
		k += taken
	}
	if n.base64 {
		i += padding(b[i:])
	}
	return i, false
}

// raw is for texts that hold "%" or a backslash themselves.
func (n *needle) raw(b []byte, cut bool) (length int, more bool) {
	switch {
	case len(b) >= len(n.text) && string(b[:len(n.text)]) == n.text:
		return len(n.text), false
	case len(b) < len(n.text) && n.text[:len(b)] == string(b):
		return 0, true
	}
	return 0, cut
}

// step reads one character of b, in whatever spelling, that the text begins
// with: size bytes of b are taken bytes of text. size is 0 when it is another.
func (n *needle) step(b []byte, text string) (size, taken int, cut bool) {
	c, size := b[0], 1
	switch c {
	case '%':
		if len(b) < 3 {
			return 0, 0, n.hexOrCut(b[1:])
		}
		if v, ok := hexValue(b[1:3]); ok {
			c, size = byte(v), 3
		}
	case '\\':
		return n.escape(b, text)
	case '+':
		if text[0] == ' ' {
			c = ' '
		}
	}
	if n.same(c, text[0]) {
		return size, 1, false
	}
	return 0, 0, false
}

func (n *needle) hexOrCut(b []byte) bool {
	for _, c := range b {
		if _, ok := hexValue([]byte{'0', c}); !ok {
			return false
		}
	}
	return true
}

func (n *needle) same(c, want byte) bool {
	if c == want {
		return true
	}
	return n.base64 && (c == '-' && want == '+' || c == '_' && want == '/')
}

// escape is step for JSON's escapes (RFC 8259 section 7).
func (n *needle) escape(b []byte, text string) (size, taken int, cut bool) {
	if len(b) < 2 {
		return 0, 0, true
	}
	if b[1] != 'u' {
		if i := strings.IndexByte(`"\/bfnrt`, b[1]); i >= 0 && n.same("\"\\/\b\f\n\r\t"[i], text[0]) {
			return 2, 1, false
		}
		return 0, 0, false
	}
	if len(b) < 6 {
		return 0, 0, n.hexOrCut(b[2:])
	}
	v, ok := hexValue(b[2:6])
	if !ok {
		return 0, 0, false
	}
	r, size := v, 6
	if utf16.IsSurrogate(r) {
		if len(b) < 12 {
			return 0, 0, true
		}
		low, _ := hexValue(b[8:12])
		if r = utf16.DecodeRune(r, low); b[6] != '\\' || b[7] != 'u' || r == utf8.RuneError {
			return 0, 0, false
		}
		size = 12
	}
	if r < utf8.RuneSelf {
		if n.same(byte(r), text[0]) {
			return size, 1, false
		}
		return 0, 0, false
	}
	if s := string(r); strings.HasPrefix(text, s) {
		return size, len(s), false
	}
	return 0, 0, false
}

func hexValue(b []byte) (v rune, ok bool) {
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			v = v<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// padding is the length of up to two "=", percent-encoded or not.
func padding(b []byte) (n int) {
	for range 2 {
		switch {
		case len(b) > n && b[n] == '=':
			n++
		case len(b) >= n+3 && strings.EqualFold(string(b[n:n+3]), "%3d"):
			n += 3
		}
	}
	return n
}

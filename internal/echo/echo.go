// Package echo takes credentials that a request carried out of the answer it
// got: an upstream may reflect what it was sent.
//
// It is best effort: a credential is recognised as it is, JSON-escaped,
// percent-encoded and in base64, also across the chunks of a stream, but not
// when the upstream hashes, splits or compresses it.
package echo

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MinBytes is the least length worth looking for: shorter plaintexts occur by
// chance.
const MinBytes = 8

const (
	maxNeedles = 128      // of one request
	maxGrowth  = 64 << 10 // how much longer the replacements may make one answer
	mask       = "[sealed]"
)

// A Value is a plaintext that a request carried.
type Value struct {
	Plain   string
	Replace string // what takes its place
	JSON    bool   // Plain is a JSON value, not a text
	Basic   bool   // Plain stood in base64 only, as half of Basic credentials
	Fill    bool   // Replace is cut or filled up to the length found: the answer keeps its length
}

// A Scrubber replaces plaintexts that come back. It recognises them as they are, JSON-escaped, percent-encoded and in
// base64, and remembers how much it has made the answer grow. It is used by one
// goroutine at a time.
type Scrubber struct {
	needles []needle
	room    [2]needle // of needles, when there is one value
	first   [256]bool // bytes that a needle's spelling may begin with
	growth  int
}

// A needle is one text to be found in any of its spellings.
type needle struct {
	text    string // of a base64 needle empty until it is needed
	plain   string
	head    [2]byte // of text
	base64  bool    // "-" is "+" and "_" is "/", padding may follow
	replace string  // what takes its place
	quote   bool    // it was a JSON value of its own
	fill    bool    // replace is made as long as what was found
}

// New returns a Scrubber of the values of at least atLeast bytes, nil when there
// is none.
func New(values []Value, atLeast int) *Scrubber {
	if len(values) == 0 {
		return nil
	}
	s := &Scrubber{growth: maxGrowth}
	s.needles = slices.Grow(s.room[:0], min(2*len(values), maxNeedles+1))
	for _, v := range values {
		if len(v.Plain) < atLeast || len(s.needles) >= maxNeedles {
			continue
		}
		n := needle{text: v.Plain, plain: v.Plain, replace: v.Replace, fill: v.Fill}
		if v.JSON {
			n = jsonNeedle(n)
		}
		if !v.Basic && len(n.text) >= atLeast {
			s.add(n)
		}
		s.add(needle{plain: v.Plain, base64: true, replace: v.Replace, fill: v.Fill})
	}
	if len(s.needles) == 0 {
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
		n.text, n.plain = text, text
		return n
	}
	n.quote = true
	if c := strings.TrimLeft(n.text, " \t\r\n"); c == "" || c[0] != '{' && c[0] != '[' {
		n.text = ""
	}
	return n
}

func (s *Scrubber) add(n needle) {
	if n.base64 {
		var block [3]byte
		var head [4]byte
		copy(block[:], n.plain)
		base64.StdEncoding.Encode(head[:], block[:])
		n.head = [2]byte(head[:2])
	} else if copy(n.head[:], n.text) == 1 {
		n.head[1] = '%' // any
	}
	s.needles = append(s.needles, n)
	c := n.head[0]
	s.first[c] = true
	switch {
	case c == ' ', c == '+' && n.base64:
		s.first['+'], s.first['-'] = true, true
	case c == '/' && n.base64:
		s.first['_'] = true
	}
}

// encode completes a base64 needle that has been met.
func (n *needle) encode() {
	if n.base64 && n.text == "" {
		n.text = base64.RawStdEncoding.EncodeToString([]byte(n.plain))
	}
}

// begins is a quick no: whether some needle may begin at b[i].
func begins[T string | []byte](s *Scrubber, b T, i int) bool {
	c := b[i]
	if !s.first[c] {
		return false
	}
	if c == '%' || c == '\\' || i+1 == len(b) {
		return true
	}
	c = b[i+1]
	if c == '%' || c == '\\' || c == '+' || c == '-' || c == '_' {
		return true
	}
	for k := range s.needles {
		if h := s.needles[k].head[1]; h == c || h == '%' || h == '\\' {
			return true
		}
	}
	return false
}

// clean reports that b holds nothing that could be a needle.
func clean[T string | []byte](s *Scrubber, b T) bool {
	for i := range len(b) {
		if s.first[b[i]] && begins(s, b, i) {
			return false
		}
	}
	return true
}

// scrub appends b to dst without what it finds. Unless b is the last of its
// text, it keeps back, as rest, the end of b in which a needle may have begun.
func (s *Scrubber) scrub(dst, b []byte, last bool) (out, rest []byte) {
	from := 0
	for i := 0; i < len(b); i++ {
		if !s.first[b[i]] || !begins(s, b, i) {
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

// Bytes scrubs a whole text; the same bytes when there is nothing to scrub. It is
// fine on a nil Scrubber.
func (s *Scrubber) Bytes(b []byte) []byte {
	if s == nil || clean(s, b) {
		return b
	}
	out, _ := s.scrub(nil, b, true)
	return out
}

// replacement keeps the answer from growing without end: an upstream that
// repeats a short plaintext gets masks no longer than that.
func (s *Scrubber) replacement(n *needle, length int) string {
	text := n.replace
	if n.fill {
		return (text + strings.Repeat("*", max(0, length-len(text))))[:length]
	}
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
func (s *Scrubber) at(b []byte) (found *needle, length int, cut bool) {
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

// Text scrubs a whole text. It is fine on a nil Scrubber.
func (s *Scrubber) Text(v string) string {
	if s == nil || len(v) < MinBytes || clean(s, v) {
		return v
	}
	out, _ := s.scrub(nil, []byte(v), true)
	if len(out) == len(v) && string(out) == v {
		return v
	}
	return string(out)
}

// Header scrubs the values of h in place, but those of the fields that spare
// names; spare may be nil. It is fine on a nil Scrubber.
func (s *Scrubber) Header(h http.Header, spare func(name string) bool) {
	if s == nil {
		return
	}
	for name, values := range h {
		if spare != nil && spare(name) {
			continue
		}
		for i, v := range values {
			values[i] = s.Text(v)
		}
	}
}

// match reports how much of b is n's text, in any spelling, and whether b ends
// before that is certain.
func (n *needle) match(b []byte) (length int, cut bool) {
	n.encode()
	length, cut = n.spelt(b, true, true)
	percent, escape := strings.Contains(n.text, "%"), strings.Contains(n.text, `\`)
	for _, as := range [...]struct{ try, percent, escape bool }{
		// a text that holds "%" or a backslash itself may stand there as it is
		{percent, false, true}, {escape, true, false}, {percent && escape, false, false},
	} {
		if as.try {
			l, c := n.spelt(b, as.percent, as.escape)
			length, cut = max(length, l), cut || c
		}
	}
	return length, cut
}

// spelt is match for b with or without percent-encoding and JSON's escapes.
func (n *needle) spelt(b []byte, percent, escape bool) (length int, cut bool) {
	i := 0
	for k := 0; k < len(n.text); {
		if i == len(b) {
			return 0, true
		}
		var size, taken int
		switch c := b[i]; {
		case c == '%' && percent:
			size, taken, cut = n.percent(b[i:], n.text[k:])
		case c == '\\' && escape:
			size, taken, cut = n.escape(b[i:], n.text[k:])
		case n.same(c, n.text[k]) || c == '+' && percent && n.text[k] == ' ':
			size, taken = 1, 1
		}
		if size == 0 {
			return 0, cut
		}
		i += size
		k += taken
	}
	if !n.base64 {
		return i, false
	}
	pad, cut := padding(b[i:], -len(n.text)&3)
	return i + pad, cut
}

// percent reads one percent-encoded byte of b: size bytes of b are taken bytes
// of text. size is 0 when it is another.
func (n *needle) percent(b []byte, text string) (size, taken int, cut bool) {
	if len(b) < 3 {
		return 0, 0, n.hexOrCut(b[1:])
	}
	if v, ok := hexValue(b[1:3]); ok && n.same(byte(v), text[0]) {
		return 3, 1, false
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

// escape is percent for JSON's escapes (RFC 8259 section 7).
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

// padding is the length of up to most "=" at the beginning of b, percent-encoded
// or not, and whether more may follow.
func padding(b []byte, most int) (n int, cut bool) {
	for range most {
		switch rest := b[n:]; {
		case len(rest) > 0 && rest[0] == '=':
			n++
		case len(rest) >= 3 && strings.EqualFold(string(rest[:3]), "%3d"):
			n += 3
		default:
			return n, len(rest) < 3 && strings.HasPrefix("%3d", strings.ToLower(string(rest)))
		}
	}
	return n, false
}

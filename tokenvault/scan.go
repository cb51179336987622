package tokenvault

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads the little JSON that a header may hold (RFC 8259), strictly:
// what encoding/json forgives - invalid UTF-8, lone surrogates - is an error,
// since two readers might take it for two things. Nothing in a header may be
// empty: neither strings nor what holds others. After an error, the first of
// which stays in err, what it returns means nothing.
type scanner struct {
	s   string
	at  int
	err error
}

func (p *scanner) fail() { p.refuse(errNotHeader) }

func (p *scanner) refuse(why error) {
	if p.err == nil {
		p.err = why
	}
}

// space skips insignificant white space.
func (p *scanner) space() {
	for p.at < len(p.s) && p.s[p.at] <= ' ' && strings.IndexByte(" \t\r\n", p.s[p.at]) >= 0 {
		p.at++
	}
}

// accept takes c if it comes next.
func (p *scanner) accept(c byte) bool {
	p.space()
	if p.err != nil || p.at == len(p.s) || p.s[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *scanner) expect(c byte) {
	if !p.accept(c) {
		p.fail()
	}
}

// each calls element for every element between open and shut, of which there
// must be one, and returns how many there were.
func (p *scanner) each(open, shut byte, element func()) (n int) {
	p.expect(open)
	return p.further(shut, element)
}

// further is each from behind the opening bracket.
func (p *scanner) further(shut byte, element func()) (n int) {
	for p.err == nil {
		element()
		n++
		if p.accept(shut) {
			return n
		}
		p.expect(',')
	}
	return n
}

// integer reads digits: no sign, fraction or exponent.
func (p *scanner) integer() int64 {
	p.space()
	start := p.at
	for p.at < len(p.s) && p.s[p.at] >= '0' && p.s[p.at] <= '9' {
		p.at++
	}
	digits := p.s[start:p.at]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		p.fail()
	}
	return n
}

// str reads a string. Without escapes it is a piece of the input.
func (p *scanner) str() string {
	p.expect('"')
	start, plain := p.at, true
	for p.at < len(p.s) {
		c := p.s[p.at]
		p.at++
		switch {
		case c == '"':
			s := p.s[start : p.at-1]
			if !plain {
				s = text(s)
			}
			if s == "" {
				p.fail()
			}
			return s
		case c < ' ':
			p.fail()
		case c == '\\':
			plain = false
			p.at++
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	p.fail()
	return ""
}

// text is what the inside of a string means; "" if it means nothing. Behind
// each backslash stands another character.
func text(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		r, n := unescape(s[i:])
		if n == 0 {
			return ""
		}
		b.WriteRune(r)
		s = s[i+n:]
	}
}

// unescape reads the escape sequence that s begins with; n is 0 if it is none.
func unescape(s string) (r rune, n int) {
	if s[1] != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, s[1])
		if i < 0 {
			return 0, 0
		}
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	r, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, _ := hex4(s[6:]) // 0, which is no surrogate, if there is none
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// hex4 reads "\uXXXX"; the rune is 0 if s does not begin with that.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}

// appendString appends s, which is valid UTF-8, as JSON.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

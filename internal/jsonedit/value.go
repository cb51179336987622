package jsonedit

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is one selected value, valid until the func it was handed to returns.
type Value struct {
	Raw  []byte // the value's JSON text as it stands
	Path int    // index of the first path that selects it
}

// Text is the value of a JSON string, decoded; ok is false when Raw is not a
// string. A string that would not encode back to the same text value (lone
// surrogate, invalid UTF-8) is ErrText. The result may share Raw's memory.
func (v Value) Text() (s []byte, ok bool, err error) {
	if len(v.Raw) < 2 || v.Raw[0] != '"' {
		return nil, false, nil
	}
	body := v.Raw[1 : len(v.Raw)-1]
	if plain(body) {
		s, exact := body, utf8.Valid(body)
		if !exact {
			return nil, true, fmt.Errorf("%w: invalid UTF-8", ErrText)
		}
		return s, true, nil
	}
	s, exact := unescape(make([]byte, 0, len(body)), body)
	if !exact || !utf8.Valid(body) {
		return nil, true, fmt.Errorf("%w: lone surrogate or invalid UTF-8", ErrText)
	}
	return s, true, nil
}

func plain(body []byte) bool {
	for _, c := range body {
		if c == '\\' {
			return false
		}
	}
	return true
}

// unescape appends the text of a string's body to dst. A surrogate without its
// other half becomes U+FFFD, as in encoding/json, and exact false. The body has
// passed the scanner; one that has not must not make unescape panic either.
func unescape(dst, body []byte) (text []byte, exact bool) {
	exact = true
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' || i+1 == len(body) {
			dst = append(dst, body[i])
			continue
		}
		i++
		if body[i] != 'u' {
			dst = append(dst, escaped(body[i]))
			continue
		}
		r := hex4(body[i+1:])
		i += 4
		if utf16.IsSurrogate(r) {
			pair := utf8.RuneError
			if i+2 < len(body) && body[i+1] == '\\' && body[i+2] == 'u' {
				pair = utf16.DecodeRune(r, hex4(body[i+3:]))
			}
			if r = pair; r == utf8.RuneError {
				exact = false
			} else {
				i += 6
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, exact
}

// escaped is the character that a two-character escape stands for (RFC 8259
// section 7).
func escaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // quotation mark, reverse solidus, solidus
		return c
	}
}

// hex4 is the number that four hexadecimal digits spell, or -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

package relay

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// Each of these puts a plaintext into its place so that what the upstream
// decodes there is exactly the plaintext, or names why that cannot be.

func headerText(s string) (text, reason string) {
	if !httpguts.ValidHeaderFieldValue(s[printable(s):]) {
		return "", "plaintext holds a character that no header carries"
	}
	if strings.Trim(s, " \t") != s {
		return "", "plaintext begins or ends with white space, which headers lose"
	}
	return s, ""
}

// printable is how much of s, in blocks of eight bytes, stands between ' ' and
// '~' for sure: judged at once, a long token costs a tenth.
func printable(s string) (n int) {
	const ones = 0x0101010101010101
	for ; len(s)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64([]byte(s[n : n+8]))
		if (v|(v-' '*ones)|(v+ones))&(0x80*ones) != 0 { // not ASCII, below ' ', or DEL
			return n
		}
	}
	return n
}

// cookieText keeps to RFC 6265's cookie-octets.
func cookieText(s string) (text, reason string) {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\' {
			return "", "plaintext holds a character that no cookie carries"
		}
	}
	return s, ""
}

// segmentText keeps the plaintext one path segment, for servers that decode
// before they split, too.
func segmentText(s string) (text, reason string) {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, `/\;`) || hasControl(s) {
		return "", "plaintext is no path segment"
	}
	return url.PathEscape(s), ""
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// jsonText is the JSON value that takes the place of the quoted sealed string.
func jsonText(s string, isJSON bool) (text []byte, reason string) {
	if isJSON {
		if text = []byte(s); !json.Valid(text) {
			return nil, "plaintext is not one JSON value"
		}
		return text, ""
	}
	if !utf8.ValidString(s) {
		return nil, "plaintext is not text"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return nil, "plaintext is not text"
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), ""
}

// basicHalf: RFC 7617 forbids ":" in the user name and control characters in
// both; RFC 6749 section 2.3.1 form-encodes both.
func basicHalf(s string, user, form bool) (text, reason string) {
	switch {
	case form:
		return url.QueryEscape(s), ""
	case user && strings.Contains(s, ":"):
		return "", "plaintext holds a colon, which ends a Basic user name"
	case hasControl(s):
		return "", "plaintext holds a control character"
	}
	return s, ""
}

// multipartText refuses what could end the part.
func multipartText(s, boundary string) (text, reason string) {
	if strings.Contains(s, boundary) {
		return "", "plaintext holds the boundary"
	}
	return s, ""
}

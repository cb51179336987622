package redact

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// maxHeader bounds a JOSE header, in base64.
const maxHeader = 16 << 10

// matchJWT finds JWTs, JWSs and JWEs in compact serialisation (RFC 7519, 7515,
// 7516): a header that decodes to a JSON object with "alg", a dot, and more. A
// cut-off signature is no protection, so a missing one does not matter.
func matchJWT(t *text, at int) finding {
	if at < t.dotless {
		return finding{}
	}
	head := base64URL.runTo(t.s, at, maxHeader+1)
	if t.atEnd(head) && head-at <= maxHeader {
		return finding{verdict: open, start: at}
	}
	if head == len(t.s) || t.s[head] != '.' {
		t.dotless = head
		return finding{}
	}
	if !joseHeader(t.s[at:head]) {
		if t.tries++; t.tries%8 == 0 {
			t.dotless = head
		}
		return finding{}
	}
	end := head
	for n := 0; n < 4 && end < len(t.s) && t.s[end] == '.'; n++ {
		end = base64URL.run(t.s, end+1)
	}
	if t.atEnd(end) {
		return finding{verdict: open, start: at}
	}
	for t.s[end-1] == '.' {
		end--
	}
	if end <= head+1 {
		return finding{}
	}
	return t.mask(at, end)
}

func joseHeader(s string) bool {
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && bytes.Contains(b, []byte(`"alg"`))
}

// matchScheme finds the credentials of Bearer, DPoP and Basic (RFC 6750, 9449,
// 7617) in prose and in header dumps.
func matchScheme(t *text, at int) finding {
	blank := letters.runTo(t.s, at, len("bearer")+1)
	scheme := strings.ToLower(t.s[at:blank])
	if scheme != "bearer" && scheme != "dpop" && scheme != "basic" || !startsWord(t.s, at) {
		if t.atEnd(blank) {
			return finding{verdict: open, start: at}
		}
		return finding{}
	}
	start := skipBlanks(t.s, blank)
	end := token68.runTo(t.s, start, maxBasic)
	if scheme != "basic" || t.atEnd(end) {
		end = token68.run(t.s, end)
	}
	full := end
	for full < len(t.s) && t.s[full] == '=' {
		full++
	}
	context := max(0, at-24)
	switch {
	case t.atEnd(full):
		return finding{verdict: open, start: context}
	case start == blank, end == start, full > end && challenge[strings.ToLower(t.s[start:end])], sealedAt(t.s, start) > start:
		return finding{}
	}
	header := strings.Contains(strings.ToLower(t.s[context:at]), "authorization")
	if header || credential(scheme, t.s[start:end]) {
		return t.mask(start, max(full, token68.run(t.s, end)))
	}
	return finding{}
}

// maxBasic bounds what is decoded as user:password, in base64.
const maxBasic = 2048

// challenge holds the parameters of WWW-Authenticate, which has the schemes too.
var challenge = map[string]bool{"realm": true, "error": true, "scope": true, "charset": true, "algs": true,
	"error_description": true, "error_uri": true, "resource_metadata": true, "nonce": true}

// skipBlanks skips blanks, also as a URL or a form spells them.
func skipBlanks(s string, i int) int {
	for i < len(s) {
		switch {
		case s[i] == ' ', s[i] == '\t', s[i] == '+':
			i++
		case strings.HasPrefix(s[i:], "%20"):
			i += 3
		default:
			return i
		}
	}
	return i
}

// credential tells what follows a scheme in earnest from prose that has the
// word: Basic must decode to user:password, a bearer has a digit or is longer
// than words are.
func credential(scheme, s string) bool {
	switch scheme {
	case "basic":
		b, err := base64.RawStdEncoding.DecodeString(s)
		if err != nil {
			b, err = base64.RawURLEncoding.DecodeString(s)
		}
		return err == nil && bytes.IndexByte(b, ':') >= 0 && utf8.Valid(b) && bytes.IndexFunc(b, func(c rune) bool { return c < ' ' }) < 0
	case "bearer", "dpop":
		return len(s) >= 20 || len(s) >= 8 && strings.ContainsAny(s, "0123456789")
	}
	return false
}

const pemEnd = "-----END "

var pemBody = setOf("0-9", "A-Z", "a-z", "+/=", " \t\r\n\\", ":,-.()")

// matchPEM finds private keys in PEM (RFC 7468) and in its older forms with
// headers. One whose end is missing reaches as far as it can.
func matchPEM(t *text, at int) finding {
	const begin = "-----BEGIN "
	if !strings.HasPrefix(t.s[at:], begin) {
		return finding{}
	}
	label := t.s[at+len(begin):]
	n := strings.Index(label[:min(len(label), 64)], "-----")
	if n < 0 {
		if t.more && len(label) < 64 {
			return finding{verdict: open, start: at}
		}
		return finding{}
	}
	body := at + len(begin) + n + 5
	if !strings.Contains(label[:n], "PRIVATE KEY") {
		return finding{}
	}
	if i := strings.Index(t.s[body:], pemEnd); i >= 0 {
		tail := body + i + len(pemEnd)
		if j := strings.Index(t.s[tail:min(len(t.s), tail+64)], "-----"); j >= 0 {
			return t.pem(at, body, tail+j+5)
		}
	}
	if t.more {
		return finding{verdict: open, start: at}
	}
	return t.pem(at, body, pemBody.run(t.s, body))
}

// pem masks a block that holds something.
func (t *text) pem(at, body, end int) finding {
	if i := strings.IndexFunc(t.s[body:end], func(c rune) bool { return c < 0x80 && base64Std[byte(c)] }); i < 0 {
		return finding{}
	}
	if len(strings.TrimSpace(t.s[body:end])) < 32 {
		return finding{}
	}
	return t.mask(at, end)
}

var authorityEnd = setOf("/?#\\\"'`<> \t\r\n|^")

// matchUserinfo finds passwords in URLs (RFC 3986, 3.2.1). A user without a
// password is masked only if it is long and has a digit: git@ is no secret.
func matchUserinfo(t *text, at int) finding {
	start := at + 3
	if strings.HasPrefix(t.s[at:], `:\/\/`) {
		start = at + 5
	} else if !strings.HasPrefix(t.s[at:], "://") {
		return finding{}
	}
	if at == 0 || !alnum[t.s[at-1]] {
		return finding{}
	}
	end := start
	for end < len(t.s) && end < start+4096 && !authorityEnd[t.s[end]] {
		end++
	}
	if t.atEnd(end) {
		return finding{verdict: open, start: at}
	}
	i := strings.LastIndexByte(t.s[start:end], '@')
	if i <= 0 || !secretUserinfo(t.s[start:start+i]) {
		return finding{}
	}
	return t.mask(start, start+i)
}

func secretUserinfo(s string) bool {
	user, password, _ := strings.Cut(s, ":")
	if password == "" {
		return len(user) >= 16 && strings.ContainsAny(user, "0123456789") && sealedAt(user, 0) == 0
	}
	return !strings.ContainsRune("${<*", rune(password[0])) && password != "xxxxx" && sealedAt(password, 0) != len(password)
}

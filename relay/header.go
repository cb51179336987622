package relay

import (
	"encoding/base64"
	"net/textproto"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/echo"
	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// rewriteHeader opens what the destination opens in the header and refuses
// everything else that is sealed.
func (x *exchange) rewriteHeader() error {
	for name, values := range x.req.Header {
		if holds(name) {
			return refuse(ErrPlace, "header", "in a field name")
		}
		for i, v := range values {
			canonical := textproto.CanonicalMIMEHeaderKey(name)
			text, err := x.headerValue(canonical, v)
			if err != nil {
				return err
			}
			if text != v {
				x.header()[name][i] = text
			}
		}
	}
	x.dropReferer()
	x.dropDigests()
	if holdsTrailer(x.req.Trailer) {
		return refuse(ErrPlace, "trailer", "")
	}
	return nil
}

// dropDigests drops what was computed over a body that we alter.
func (x *exchange) dropDigests() {
	if !x.changed {
		return
	}
	for _, name := range [...]string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		if x.req.Header.Get(name) != "" {
			x.header().Del(name)
		}
	}
}

func (x *exchange) headerValue(name, v string) (string, error) {
	switch name {
	case "Authorization":
		return x.credentials(name, "header:Authorization", v)
	case "Proxy-Authorization":
		return x.credentials(name, "header:Proxy-Authorization", v)
	case "Referer":
		if holds(v) && x.req.Response != nil {
			return v, nil // see dropReferer
		}
	}
	if !strings.Contains(v, wire.Prefix) {
		return v, nil
	}
	if s := textproto.TrimString(v); candidate(s) && !framing[name] && x.dest.open.header.has(name) {
		return x.openHeader("header:"+name, "", s)
	}
	if name == "Cookie" {
		return x.cookies(v)
	}
	if holds(v) {
		return "", refuse(ErrPlace, shown("header", name), "")
	}
	return v, nil
}

// dropReferer takes the Referer away that http.Client derived, on a redirect,
// from a URL with a sealed value in it. It was never the caller's to send.
func (x *exchange) dropReferer() {
	if x.req.Response != nil && holds(x.req.Header.Get("Referer")) {
		x.header().Del("Referer")
	}
}

// openHeader is before and the plaintext.
func (x *exchange) openHeader(place, before, sealed string) (string, error) {
	text, _, err := x.openBehind(place, before, sealed)
	if err != nil {
		return "", err
	}
	if _, reason := headerText(text[len(before):]); reason != "" {
		return "", refuse(ErrPlace, place, reason)
	}
	return text, nil
}

// credentials reads RFC 9110 section 11.4: a scheme, then one token68 - or, for
// Basic, two halves of their own.
func (x *exchange) credentials(name, place, v string) (string, error) {
	trimmed := textproto.TrimString(v)
	scheme, rest, _ := strings.Cut(trimmed, " ")
	rest = strings.TrimLeft(rest, " ")
	open := x.dest.open.header.has(name)
	if strings.EqualFold(scheme, "Basic") && basicHolds(v) {
		if !open {
			return "", refuse(ErrPlace, place, "")
		}
		return x.basic(place, scheme, rest)
	}
	if !strings.Contains(v, wire.Prefix) {
		return v, nil
	}
	switch {
	case open && rest == "" && candidate(scheme):
		return x.openHeader(place, "", scheme)
	case open && candidate(rest):
		before := trimmed[:len(scheme)+len(" ")]
		text, err := x.openHeader(place, before, rest)
		if err == nil && len(text) == len(before) {
			err = refuse(ErrPlace, place, "plaintext is empty")
		}
		return text, err
	case holds(v):
		return "", refuse(ErrPlace, place, "")
	}
	return v, nil
}

// basic opens the halves of Basic credentials, each for itself.
func (x *exchange) basic(place, scheme, credentials string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return "", refuse(ErrPlace, place, "Basic is not base64")
	}
	halves := [2]string{}
	var colon bool
	if halves[0], halves[1], colon = strings.Cut(string(raw), ":"); !colon {
		return "", refuse(ErrPlace, place, "Basic has no colon")
	}
	for i, h := range halves {
		if !candidate(h) {
			if holds(h) {
				return "", refuse(ErrPlace, place, "")
			}
			continue
		}
		plain, _, err := x.open(place, h)
		if err != nil {
			return "", err
		}
		text, reason := basicHalf(plain, i == 0, x.formAuth)
		if reason != "" {
			return "", refuse(ErrPlace, place, reason)
		}
		halves[i] = text
	}
	opened := halves[0] + ":" + halves[1]
	x.reveal(echo.Value{Plain: opened, Replace: credentials, Basic: true})
	return scheme + " " + base64.StdEncoding.EncodeToString([]byte(opened)), nil
}

// basicHolds looks through the base64 of Basic credentials, in any of its
// spellings.
func basicHolds(v string) bool {
	scheme, rest, ok := strings.Cut(textproto.TrimString(v), " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return false
	}
	rest = strings.TrimRight(strings.TrimLeft(rest, " "), "=")
	raw, err := base64.RawStdEncoding.DecodeString(rest)
	if err != nil {
		if raw, err = base64.RawURLEncoding.DecodeString(rest); err != nil {
			return false
		}
	}
	user, password, _ := strings.Cut(string(raw), ":")
	return candidate(user) || candidate(password) || holdsBytes(raw)
}

// cookies opens the cookies of one Cookie field.
func (x *exchange) cookies(v string) (string, error) {
	parts := strings.Split(v, ";")
	for i, part := range parts {
		name, value, ok := strings.Cut(textproto.TrimString(part), "=")
		if !ok || holds(name) || !candidate(value) || !x.dest.open.cookie.has(name) {
			if holds(part) {
				return "", refuse(ErrPlace, shown("cookie", name), "")
			}
			continue
		}
		place := shown("cookie", name)
		plain, _, err := x.open(place, value)
		if err != nil {
			return "", err
		}
		text, reason := cookieText(plain)
		if reason != "" {
			return "", refuse(ErrPlace, place, reason)
		}
		parts[i] = part[:strings.IndexByte(part, '=')+1] + text
	}
	return strings.Join(parts, ";"), nil
}

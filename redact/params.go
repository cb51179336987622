package redact

import (
	"net/url"
	"strings"
)

// announceParams announces each parameter by its last two characters and the
// "=" after them, in any case, percent-encoded or not.
func (r *Redactor) announceParams(g *gate) {
	seen := map[string]bool{}
	add := func(tri string) {
		if len(tri) == 3 && !seen[tri] {
			seen[tri] = true
			g.add(tri, -2, matchParam)
		}
	}
	for name := range r.params {
		if len(name) == 1 {
			for _, lead := range []string{"?", "&", "#", ";", "3f", "26", "23"} {
				for _, tail := range cases((lead + name)[len(lead)-1:]) {
					add(tail + "=")
					add(tail + "%")
				}
			}
			continue
		}
		for _, tail := range cases(name[len(name)-2:]) {
			add(tail + "=")
			add(tail + "%")
			for _, c := range []byte{tail[1], tail[0]} {
				const upper, lower = "0123456789ABCDEF", "0123456789abcdef"
				for _, hex := range []string{upper, lower} {
					enc := string([]byte{hex[c>>4], hex[c&15]})
					if c == tail[1] {
						add(enc + "=")
						add(enc + "%")
					}
					if c == tail[0] {
						add(enc[1:] + tail[1:] + "=")
						add(enc[1:] + tail[1:] + "%")
					}
				}
			}
		}
	}
}

var (
	paramName  = setOf("0-9", "A-Z", "a-z", "_-.~", "[]$:@!*%+")
	paramValue = func() *set {
		var s set
		for c := 0x21; c < 256; c++ {
			s[c] = strings.IndexByte("&#\"'<>`\\|{}", byte(c)) < 0 && c != 0x7f
		}
		return &s
	}()
)

// delimiter returns how s[i:] spells one of the delimiters, and how long that is:
// itself, or percent-encoded any number of times (depth).
func delimiter(s string, i int, delims string) (depth, n int) {
	if i >= len(s) {
		return 0, 0
	}
	if strings.IndexByte(delims, s[i]) >= 0 {
		return 0, 1
	}
	if s[i] != '%' {
		return 0, 0
	}
	j := i + 1
	for depth = 1; strings.HasPrefix(s[j:], "25"); depth++ {
		j += 2
	}
	if j+2 > len(s) {
		return 0, 0
	}
	c, err := url.PathUnescape("%" + s[j:j+2])
	if err != nil || strings.IndexByte(delims, c[0]) < 0 {
		return 0, 0
	}
	return depth, j + 2 - i
}

// matchParam finds the value of name=value where at is the end of the name's
// last two characters, in a URL of any nesting or a form. A lone name=value is
// taken for a form only when it is the whole text.
func matchParam(t *text, at int) finding {
	depth, n := delimiter(t.s, at, "=")
	if n == 0 {
		if t.more && at+8 > len(t.s) {
			return finding{verdict: open, start: lastWord(t.s[:at])}
		}
		return finding{}
	}
	name, lead := paramBack(t.s, at)
	if !t.r.isParam(t.s[name:at], depth) {
		return finding{}
	}
	start := at + n
	end := start
	for end < len(t.s) && paramValue[t.s[end]] {
		if _, n := delimiter(t.s, end, "&# \"'<>"); n > 0 && depth > 0 {
			break
		}
		end++
	}
	form := name == 0 && end == len(t.s) || end < len(t.s) && t.s[end] == '&'
	switch {
	case t.atEnd(end):
		return finding{verdict: open, start: name}
	case end == start, !lead && !form, sealedAt(t.s, start) == end && !t.r.maskSealed:
		return finding{}
	}
	return finding{masked, start, end, url.QueryEscape(t.r.hide(unescape(t.s[start:end])))}
}

// paramBack returns where the name that ends at s[at] begins, and whether a
// delimiter of a query or a fragment stands before it.
func paramBack(s string, at int) (name int, lead bool) {
	const most = 256
	for name = at; name > 0 && at-name < most; name-- {
		c := s[name-1]
		if strings.IndexByte("?&#;", c) >= 0 {
			return name, true
		}
		if c == '\\' && len(s) >= name+5 && strings.Contains("u0026 u003f u003F u0023 u003b u003B", s[name:name+5]) {
			return name + 5, true // as encoding/json escapes &
		}
		if !paramName[c] {
			return name, false
		}
		if encodedLead(s[:name]) {
			return name, true
		}
	}
	return name, false
}

// encodedLead reports whether s ends in ?, &, # or ;, percent-encoded any number
// of times.
func encodedLead(s string) bool {
	if len(s) < 3 || !strings.Contains("3f 3F 26 23 3b 3B", s[len(s)-2:]) || s[len(s)-1] == ' ' {
		return false
	}
	s = s[:len(s)-2]
	for strings.HasSuffix(s, "25") {
		s = s[:len(s)-2]
	}
	return strings.HasSuffix(s, "%")
}

// isParam reports whether name, percent-encoded depth times and once more by
// its own choice, is one of Config.Params.
func (r *Redactor) isParam(name string, depth int) bool {
	for range min(depth, 4) + 2 {
		if r.params[strings.ToLower(name)] {
			return true
		}
		plain := unescape(name)
		if plain == name {
			return false
		}
		name = plain
	}
	return false
}

// unescape decodes a query component; what is not one stays.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// query masks a query or a form as it is spelled: order and separators stay.
func (r *Redactor) query(raw string) string {
	var b strings.Builder
	for i, pair := range strings.Split(raw, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			b.WriteString(r.component(name))
			continue
		}
		if r.isParam(name, 0) {
			b.WriteString(name + "=")
			if plain := unescape(value); r.hide(plain) != plain {
				value = url.QueryEscape(r.hide(plain))
			}
			b.WriteString(value)
			continue
		}
		b.WriteString(r.component(name) + "=" + r.component(value))
	}
	return b.String()
}

// component masks credentials inside one name or value of a query.
func (r *Redactor) component(raw string) string {
	plain := unescape(raw)
	if out := r.Text(plain); out != plain {
		return url.QueryEscape(out)
	}
	return raw
}

// Values returns a copy of v with the values of Config.Params masked, and what
// Text finds in the others. nil stays nil.
func (r *Redactor) Values(v url.Values) url.Values {
	if v == nil {
		return nil
	}
	out := make(url.Values, len(v))
	for name, values := range v {
		if r.params[strings.ToLower(name)] {
			out[name] = append(out[name], r.hideAll(values)...)
			continue
		}
		name = r.Text(name)
		for _, s := range values {
			out[name] = append(out[name], r.Text(s))
		}
	}
	return out
}

// URL returns a copy of u with the values of Config.Params in the query and the
// fragment masked, what Text finds elsewhere, and all of the user information.
// nil stays nil.
func (r *Redactor) URL(u *url.URL) *url.URL {
	if u == nil {
		return nil
	}
	out := *u
	if u.User != nil && u.User.String() != "" {
		out.User = url.User(r.mask)
		if p, _ := u.User.Password(); p != "" && r.hide(p) == p {
			out.User = u.User // a sealed password
		}
	}
	out.RawQuery = r.query(u.RawQuery)
	if fragment := r.query(u.EscapedFragment()); fragment != u.EscapedFragment() {
		plain, err := url.PathUnescape(fragment)
		if err != nil {
			plain, fragment = r.mask, ""
		}
		out.Fragment, out.RawFragment = plain, fragment
	}
	out.Opaque = r.Text(u.Opaque)
	if path := r.Text(u.Path); path != u.Path {
		out.Path, out.RawPath = path, ""
	}
	out.Host = r.Text(u.Host)
	return &out
}

// urlString is URL for a string; what is no URL is a text.
func (r *Redactor) urlString(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return r.Text(s)
	}
	out := r.URL(u)
	if after := out.String(); after != u.String() {
		return after
	}
	return s
}

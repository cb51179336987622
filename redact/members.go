package redact

import (
	"encoding/json"
	"strings"
)

// announceMembers announces each name of a JSON member by its last two bytes
// and the quote after them, which may be escaped.
func (r *Redactor) announceMembers(g *gate) {
	seen := map[string]bool{}
	for name := range r.members {
		for _, quote := range []string{`"`, `\`} {
			tail := name[max(0, len(name)-2):] + quote
			if len(tail) < 3 {
				tail = `"` + tail
			}
			if len(tail) == 3 && !seen[tail] {
				seen[tail] = true
				g.add(tail, -2, matchMember)
			}
		}
	}
}

// matchMember finds the value after "name": in a fragment of JSON, also where
// the fragment is itself inside a string and its quotes are escaped. at is the
// end of the name.
func matchMember(t *text, at int) finding {
	slashes := countSlashes(t.s, at)
	quote := strings.Repeat(`\`, slashes) + `"`
	if !strings.HasPrefix(t.s[at:], quote) {
		return finding{}
	}
	name := strings.LastIndexByte(t.s[max(0, at-256):at], '"')
	if name < 0 {
		return finding{}
	}
	name += max(0, at-256) + 1
	if !t.r.isMember(t.s[name:at]) {
		return finding{}
	}
	i := skipSpace(t.s, at+len(quote), slashes)
	if i < len(t.s) && t.s[i] != ':' {
		return finding{}
	}
	start := skipSpace(t.s, min(len(t.s), i+1), slashes)
	end, whole := jsonValue(t.s, start, slashes)
	if !whole && t.more {
		return finding{verdict: open, start: name - 1}
	}
	return t.hideMember(start, end, quote, whole)
}

func (t *text) hideMember(start, end int, quote string, whole bool) finding {
	value := t.s[start:end]
	if value == "" || value == "null" || strings.HasPrefix(value, quote+quote) {
		return finding{}
	}
	if inner, ok := strings.CutPrefix(value, quote); ok {
		inner = strings.TrimSuffix(inner, quote)
		with := t.r.hide(inner)
		if with == inner {
			return finding{}
		}
		if !whole {
			return finding{masked, start, end, quote + with}
		}
		return finding{masked, start, end, quote + with + quote}
	}
	return finding{masked, start, end, quote + t.r.mask + quote}
}

func (r *Redactor) isMember(name string) bool {
	if !strings.Contains(name, `\`) {
		return r.members[name]
	}
	var plain string
	return json.Unmarshal([]byte(`"`+name+`"`), &plain) == nil && r.members[plain]
}

func countSlashes(s string, i int) int {
	n := 0
	for i+n < len(s) && s[i+n] == '\\' {
		n++
	}
	return n
}

// skipSpace skips white space; inside a string also its escapes.
func skipSpace(s string, i, slashes int) int {
	for i < len(s) {
		switch c := s[i]; {
		case c == ' ', c == '\t', c == '\r', c == '\n':
			i++
		case c == '\\' && slashes > 0:
			n := countSlashes(s, i)
			if i+n >= len(s) || strings.IndexByte("nrt", s[i+n]) < 0 {
				return i
			}
			i += n + 1
		default:
			return i
		}
	}
	return i
}

// jsonValue returns the end of the JSON value that begins at s[i], with quotes
// behind so many slashes; whole is false when the text ends first.
func jsonValue(s string, i, slashes int) (end int, whole bool) {
	depth := 0
	for i < len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			i, whole = stringEnd(s, i, slashes)
			if !whole {
				return i, false
			}
			if depth == 0 {
				return i, true
			}
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth < 0 {
				return i, true
			}
			if depth == 0 {
				return i + 1, true
			}
		case depth == 0 && strings.IndexByte(", \t\r\n", c) >= 0:
			return i, true
		}
		i++
	}
	return i, false
}

// stringEnd returns the end of the string whose opening quote, with its
// slashes, is at s[i].
func stringEnd(s string, i, slashes int) (end int, whole bool) {
	i += countSlashes(s, i)
	if i >= len(s) || s[i] != '"' {
		return min(i+1, len(s)), i < len(s)
	}
	run := 0
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			run++
			continue
		case '"':
			if run == slashes || slashes == 0 && run%2 == 0 || run < slashes {
				return i + 1, true
			}
		}
		run = 0
	}
	return len(s), false
}

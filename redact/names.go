package redact

import (
	"encoding/json"
	"strings"
)

// nameSet holds attribute names by the hash of their folded form, so that a
// look-up needs no copy of the name.
type nameSet struct {
	seen   [4]uint64 // one bit for each hash, to say no at once
	folded map[uint64]string
}

func (s *nameSet) add(name string) bool {
	f := fold(name)
	if f == "" {
		return false
	}
	if s.folded == nil {
		s.folded = map[uint64]string{}
	}
	h := foldHash(name)
	s.seen[h>>62] |= 1 << (h >> 56 & 63)
	s.folded[h] = f
	return true
}

func (s *nameSet) has(name string) bool {
	h := foldHash(name)
	if s.seen[h>>62]>>(h>>56&63)&1 == 0 {
		return false
	}
	f, ok := s.folded[h]
	return ok && f == fold(name)
}

// folded maps ASCII letters to lower case; 0 means that the byte does not count.
var folded = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] = byte(c) + 'a' - 'A'
		}
	}
	t['_'], t['-'] = 0, 0
	return t
}()

func fold(name string) string {
	b := make([]byte, 0, 32)
	for i := range len(name) {
		if c := folded[name[i]]; c != 0 {
			b = append(b, c)
		}
	}
	return string(b)
}

// foldHash is FNV-1a over the folded name.
func foldHash(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		if c := folded[name[i]]; c != 0 {
			h = (h ^ uint64(c)) * 1099511628211
		}
	}
	return h
}

// lastName returns the member name that a JSONPath ends in: "token" of
// "$..token" and of "$.a['token']"; "" when it ends in something else.
func lastName(path string) string {
	path = strings.TrimSpace(path)
	if quoted, ok := strings.CutSuffix(path, "]"); ok {
		i := strings.LastIndexByte(quoted, '[')
		q := strings.TrimSpace(quoted[i+1:])
		if len(q) < 2 || q[0] != q[len(q)-1] || q[0] != '\'' && q[0] != '"' || strings.ContainsAny(q[1:len(q)-1], `'"`) {
			return ""
		}
		var name string
		if json.Unmarshal([]byte(`"`+q[1:len(q)-1]+`"`), &name) != nil {
			return ""
		}
		return name
	}
	i := strings.LastIndexAny(path, ".]")
	name := path[i+1:]
	if i < 0 || path[i] != '.' || name == "*" || strings.ContainsAny(name, ")?@ ") {
		return ""
	}
	return name
}

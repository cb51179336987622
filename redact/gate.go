package redact

import "strings"

// verdict is what a matcher makes of a place in a text.
type verdict uint8

const (
	nothing verdict = iota
	masked          // [start, end) is a credential; with stands in its place
	kept            // [start, end) is a sealed string, which stays
	open            // the text ends too early to tell; it counts from start
)

type finding struct {
	verdict    verdict
	start, end int
	with       string
}

// A matcher judges a place in a text that the gate has let through.
type matcher func(t *text, at int) finding

// entry is a three-byte string that opens the gate, and what follows then. The
// matcher's place is off bytes before it (negative: after it).
type entry struct {
	tri   uint32
	off   int
	match matcher
}

// gate finds the few places of a text where a matcher is worth running. Each
// matcher is announced by a rare run of three bytes; a small table over the hash
// of such runs tells most places of most texts apart at memory speed, before any
// of the real work.
type gate struct {
	open    [1 << hashBits]uint8
	entries map[uint32][]entry
}

const hashBits = 16

// hash3 hashes the low three bytes of v.
func hash3(v uint32) uint32 { return v << 8 * 0x9E3779B1 >> (32 - hashBits) }

func pack(s string) uint32 { return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 }

func (g *gate) add(tri string, off int, m matcher) {
	p := pack(tri)
	g.open[hash3(p)] = 1
	if g.entries == nil {
		g.entries = map[uint32][]entry{}
	}
	g.entries[p] = append(g.entries[p], entry{p, off, m})
}

// addAnchor announces m by the rarest three bytes of s, which has at least
// three. The matcher's place is where s begins.
func (g *gate) addAnchor(s string, m matcher) {
	best := rarest(s)
	g.add(s[best:best+3], best, m)
}

// addFold is addAnchor for a lower-case s whose case does not count.
func (g *gate) addFold(s string, m matcher) {
	best := rarest(s)
	for _, tri := range cases(s[best : best+3]) {
		g.add(tri, best, m)
	}
}

// rarest returns where the three bytes of s begin that ordinary text has least
// of: punctuation, then digits, then capitals, then rare letters.
func rarest(s string) int {
	weigh := func(c byte) int {
		switch {
		case 'a' <= c && c <= 'z':
			return strings.IndexByte("etaoinsrhldcumfpgwybvkxjqz", c) / 4
		case 'A' <= c && c <= 'Z':
			return 6
		case '0' <= c && c <= '9', c == '-', c == '.':
			return 7
		}
		return 10
	}
	best, top := 0, -1
	for i := 0; i+3 <= len(s); i++ {
		if w := weigh(s[i]) + weigh(s[i+1]) + weigh(s[i+2]); w > top {
			best, top = i, w
		}
	}
	return best
}

// cases returns s in every mix of upper and lower case.
func cases(s string) []string {
	out := []string{""}
	for i := range len(s) {
		lower, upper := strings.ToLower(s[i:i+1]), strings.ToUpper(s[i:i+1])
		var next []string
		for _, p := range out {
			next = append(next, p+lower)
			if upper != lower {
				next = append(next, p+upper)
			}
		}
		out = next
	}
	return out
}

// next returns the first place at or after from where the gate opens, len(s)
// if there is none. It looks at four places a turn.
func next[T string | []byte](g *gate, s T, from int) int {
	i := from
	for ; i <= len(s)-6; i += 4 {
		c := s[i : i+6]
		v := uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16 | uint32(c[3])<<24
		w := uint32(c[2]) | uint32(c[3])<<8 | uint32(c[4])<<16 | uint32(c[5])<<24
		if g.open[hash3(v)]|g.open[hash3(v>>8)]|g.open[hash3(w)]|g.open[hash3(w>>8)] == 0 {
			continue
		}
		for k, tri := range [4]uint32{v, v >> 8, w, w >> 8} {
			if g.has(tri & 0xffffff) {
				return i + k
			}
		}
	}
	for ; i <= len(s)-3; i++ {
		if g.has(uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16) {
			return i
		}
	}
	return len(s)
}

func (g *gate) has(tri uint32) bool {
	if g.open[hash3(tri)] == 0 {
		return false
	}
	_, ok := g.entries[tri]
	return ok
}

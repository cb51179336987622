package jsonedit

import (
	"math"

	"github.com/theory/jsonpath/spec"
)

// matcher turns a program into a deterministic automaton as a document asks for
// it. It belongs to one edit at a time.
type matcher struct {
	prog     *program
	filters  map[int][]*spec.FilterSelector // by state
	patterns patterns
	sets     map[string]*set // by bits
	start    *set
	dead     *set
	scratch  []byte
}

// maxSets bounds what a matcher remembers; sets beyond it are made anew.
const maxSets = 1024

// set is the set of states of one value: one state of the deterministic
// automaton.
type set struct {
	bits   []byte // bit i: state i
	loose  bool   // not remembered
	accept int    // the first path that selects the value; -1: none does
	dead   bool   // nothing is selected here or below
	hold   hold
	under  *set // the filters of this set of the parent's decide what else is in the set

	nameMask uint64          // nameBit of the keys of names
	names    map[string]*set // the children asked for by name, nil until met
	other    *set            // any other child, nil until met
	rest     []byte          // its bits
	ranges   []reach
	filters  []int // states that have some
}

type reach struct {
	span
	to int // state
}

// hold says what must be buffered before a value's fate is known.
type hold uint8

const (
	holdNothing hold = iota
	holdArray        // the value if it is an array
	holdValue        // the value
)

func newMatcher(p *program) *matcher {
	m := &matcher{prog: p, sets: map[string]*set{}, filters: map[int][]*spec.FilterSelector{}}
	m.scratch = make([]byte, (len(p.states)+7)/8)
	if p.tier != Streaming {
		m.parseFilters()
	}
	m.dead = m.intern(m.scratch)
	for _, id := range p.start {
		setBit(m.scratch, id)
	}
	m.start = m.intern(m.scratch)
	if p.tier == DocumentBuffered {
		m.start.hold = holdValue
	}
	return m
}

// parseFilters gives the matcher filters of its own, bound to its patterns.
// The paths have been parsed before.
func (m *matcher) parseFilters() {
	id := 0
	for _, text := range m.prog.texts {
		query, err := parsePath(text, &m.patterns)
		if err != nil {
			return
		}
		for _, seg := range query.Segments() {
			for _, sel := range seg.Selectors() {
				if f, ok := sel.(*spec.FilterSelector); ok {
					m.filters[id] = append(m.filters[id], f)
				}
			}
			id++
		}
		id++
	}
}

func setBit(bits []byte, i int)      { bits[i>>3] |= 1 << (i & 7) }
func hasBit(bits []byte, i int) bool { return bits[i>>3]>>(i&7)&1 != 0 }

// intern returns the set of bits, which it does not keep.
func (m *matcher) intern(bits []byte) *set {
	if s, ok := m.sets[string(bits)]; ok {
		return s
	}
	s := m.build(bits)
	if s.loose = len(m.sets) >= maxSets; !s.loose {
		m.sets[string(bits)] = s
	}
	return s
}

func (m *matcher) build(bits []byte) *set {
	s := &set{bits: append([]byte(nil), bits...), accept: -1, dead: true, rest: make([]byte, len(bits))}
	for id := range m.prog.states {
		if !hasBit(bits, id) {
			continue
		}
		st := &m.prog.states[id]
		if st.final {
			// The outermost selection wins: what else is here or below is of
			// no interest.
			return &set{bits: s.bits, accept: m.firstPath(bits), hold: holdValue, dead: true}
		}
		s.dead = false
		m.add(s, id, st)
	}
	return s
}

func (m *matcher) firstPath(bits []byte) int {
	for id, st := range m.prog.states {
		if st.final && hasBit(bits, id) {
			return st.path
		}
	}
	return math.MaxInt
}

func (m *matcher) add(s *set, id int, st *state) {
	if st.descendant {
		setBit(s.rest, id)
	}
	if st.wild {
		setBit(s.rest, id+1)
	}
	for _, name := range st.names {
		if s.names == nil {
			s.names = map[string]*set{}
		}
		s.names[name] = nil
		s.nameMask |= nameBit(name)
	}
	for _, r := range st.ranges {
		s.ranges = append(s.ranges, reach{r, id + 1})
		if r.needsLength() {
			s.hold = holdArray
		}
	}
	if st.filters {
		s.filters = append(s.filters, id)
	}
}

// nameBit is a hash of one bit: most names that are not asked for differ.
func nameBit[T string | []byte](name T) uint64 {
	if len(name) == 0 {
		return 1
	}
	return 1 << ((uint(len(name))*7 + uint(name[0])*3 + uint(name[len(name)-1])) & 63)
}

// member is the set of s's child of that name.
func (m *matcher) member(s *set, name []byte) *set {
	if s.nameMask&nameBit(name) != 0 {
		if to, asked := s.names[string(name)]; asked {
			if to == nil {
				to = m.named(s, string(name))
			}
			return to
		}
	}
	return m.rest(s)
}

func (m *matcher) named(s *set, name string) *set {
	bits := append(m.scratch[:0], s.rest...)
	for id := range m.prog.states {
		if hasBit(s.bits, id) {
			for _, n := range m.prog.states[id].names {
				if n == name {
					setBit(bits, id+1)
				}
			}
		}
	}
	to := m.child(s, bits)
	if !to.loose {
		s.names[name] = to
	}
	return to
}

// rest is the set of a child that no name or index asks for.
func (m *matcher) rest(s *set) *set {
	if s.other != nil {
		return s.other
	}
	to := m.child(s, s.rest)
	if !to.loose {
		s.other = to
	}
	return to
}

// element is the set of element i of an array of n elements in s.
func (m *matcher) element(s *set, i, n int) *set {
	if len(s.ranges) == 0 {
		return m.rest(s)
	}
	bits := append(m.scratch[:0], s.rest...)
	for _, r := range s.ranges {
		if r.has(i, n) {
			setBit(bits, r.to)
		}
	}
	return m.child(s, bits)
}

// child interns a child's bits; under filters it is a candidate, which gets a
// set of its own.
func (m *matcher) child(parent *set, bits []byte) *set {
	to := m.intern(bits)
	if len(parent.filters) == 0 {
		return to
	}
	return &set{bits: to.bits, accept: to.accept, hold: holdValue, under: parent, loose: to.loose}
}

// resolve is the set of a candidate once the filters have seen it.
func (m *matcher) resolve(c *set, n, root *node, dup bool) (*set, error) {
	if c.under == nil {
		return c, nil
	}
	bits := append([]byte(nil), c.bits...)
	for _, id := range c.under.filters {
		for _, f := range m.filters[id] {
			yes, err := judge(f, n.last, root.last)
			if !yes && dup && err == nil {
				yes, err = judge(f, n.first, root.first)
			}
			if err != nil {
				return nil, err
			}
			if yes {
				setBit(bits, id+1)
			}
		}
	}
	return m.intern(bits), nil
}

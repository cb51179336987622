package jsonedit

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"
)

// maxPath bounds a path's length: the parser recurses as deep as it nests.
const maxPath = 4096

// program is what a list of paths compiles to: the states of one
// nondeterministic automaton that runs down the document. A value in a state is
// one to whose children the state's segment applies; in a final state it is
// selected.
type program struct {
	texts   []string // the paths
	states  []state
	start   []int // each path's state at the document's root
	tier    Tier
	maxName int  // length of the longest member name that a path asks for
	descend bool // some filter has a descendant segment
}

type state struct {
	path       int
	final      bool
	descendant bool
	// The segment's selectors, all of which lead to the next state.
	wild    bool
	names   []string
	ranges  []span
	filters bool // the selectors themselves belong to one matcher each
}

func newProgram(paths []string) (*program, error) {
	if len(paths) == 0 {
		return nil, errors.New("jsonedit: no paths")
	}
	p := &program{texts: append([]string(nil), paths...)}
	for i, text := range paths {
		query, err := parsePath(text, new(patterns))
		if err != nil {
			return nil, fmt.Errorf("jsonedit: paths[%d]: %w", i, err)
		}
		p.start = append(p.start, len(p.states))
		for _, seg := range query.Segments() {
			p.states = append(p.states, p.compile(i, seg))
		}
		p.states = append(p.states, state{path: i, final: true})
	}
	return p, nil
}

// parsePath is jsonpath.Parse with a bound, with the functions of re, and
// without panics.
func parsePath(text string, re *patterns) (query *spec.PathQuery, err error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("longer than %d bytes", maxPath)
	}
	defer func() {
		if recover() != nil {
			query, err = nil, errors.New("not understood")
		}
	}()
	path, err := jsonpath.NewParser(jsonpath.WithRegistry(re.registry())).Parse(text)
	if err != nil {
		return nil, err
	}
	return path.Query(), nil
}

func (p *program) compile(path int, seg *spec.Segment) state {
	st := state{path: path, descendant: seg.IsDescendant()}
	for _, sel := range seg.Selectors() {
		switch sel := sel.(type) {
		case spec.Name:
			st.names = append(st.names, string(sel))
			p.maxName = max(p.maxName, len(sel))
		case spec.WildcardSelector:
			st.wild = true
		case spec.Index:
			st.ranges = append(st.ranges, indexSpan(int(sel)))
		case spec.SliceSelector:
			st.ranges = append(st.ranges, span{sel.Start(), sel.End(), sel.Step()})
		case *spec.FilterSelector:
			st.filters = true
			p.filter(sel)
		}
	}
	for _, r := range st.ranges {
		if r.needsLength() {
			p.tier = max(p.tier, ElementBuffered)
		}
	}
	return st
}

// filter looks for queries from the root and for descendant segments. In the
// filter's canonical form every string literal and member name is a Go string
// in double quotes.
func (p *program) filter(f *spec.FilterSelector) {
	p.tier = max(p.tier, ElementBuffered)
	text, quoted := f.String(), false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == '$':
			p.tier = DocumentBuffered
		case !quoted && strings.HasPrefix(text[i:], ".."):
			p.descend = true
		}
	}
}

// span is an array slice selector (RFC 9535 section 2.3.4).
type span struct{ start, end, step int }

// indexSpan is an index selector as a slice.
func indexSpan(i int) span {
	if i == -1 {
		return span{i, math.MaxInt, 1}
	}
	return span{i, i + 1, 1}
}

// needsLength reports whether only the array's length tells which elements are
// selected.
func (r span) needsLength() bool { return r.start < 0 || r.end < 0 || r.step < 0 }

// has reports whether the span selects element i of an array of n elements.
func (r span) has(i, n int) bool {
	if !r.needsLength() {
		return r.step > 0 && r.start <= i && i < r.end && (i-r.start)%r.step == 0
	}
	start, end := fromEnd(r.start, n), fromEnd(r.end, n)
	if r.step < 0 {
		lower, upper := max(min(end, n-1), -1), max(min(start, n-1), -1)
		return lower < i && i <= upper && (upper-i)%-r.step == 0
	}
	lower, upper := max(min(start, n), 0), max(min(end, n), 0)
	return r.step > 0 && lower <= i && i < upper && (i-lower)%r.step == 0
}

func fromEnd(i, n int) int {
	if i < 0 {
		return n + i
	}
	return i
}

package jsonedit

import (
	"errors"
	"regexp"
	"regexp/syntax"

	"github.com/theory/jsonpath/registry"
	"github.com/theory/jsonpath/spec"
)

const (
	maxPatterns = 100  // distinct regular expressions compiled in one edit
	maxPattern  = 1000 // bytes of one
)

// patterns holds the regular expressions of one edit. theory/jsonpath compiles
// match's and search's pattern anew for each node, which costs milliseconds, and
// panics when an argument selects nothing; these functions do neither.
type patterns struct {
	compiled map[string]*pattern
	edit     int // counts edits
	spent    int // distinct patterns in this edit
}

type pattern struct {
	*regexp.Regexp     // nil: the text is no I-Regexp
	edit           int // that used it last
}

// reset starts a new edit. Patterns stay compiled, but count anew, so that
// whether a document passes does not depend on those before it.
func (re *patterns) reset() {
	re.edit++
	if re.spent = 0; len(re.compiled) > maxPatterns {
		clear(re.compiled)
	}
}

// registry is the standard functions with match and search replaced.
func (re *patterns) registry() *registry.Registry {
	reg := registry.New()
	for name, anchors := range map[string][2]string{"match": {`\A(?:`, `)\z`}, "search": {`(?:`, `)`}} {
		ext := reg.Get(name)
		was := *ext
		*ext = *spec.Extension(name, was.ReturnType(), was.Validate, func(args []spec.PathValue) spec.PathValue {
			return re.find(anchors, args)
		})
	}
	return reg
}

var (
	errNoPattern = errors.New("the pattern is missing")
	errPatterns  = errors.New("too many or too long patterns")
)

// find is false for a subject that is absent or no string (RFC 9535 sections
// 2.4.6 and 2.4.7). What the RFC would also call false, a pattern that is
// absent, leaves in doubt what was meant to be selected: the edit fails.
func (re *patterns) find(anchors [2]string, args []spec.PathValue) spec.PathValue {
	subject, pattern := spec.ValueFrom(args[0]), spec.ValueFrom(args[1])
	if pattern == nil {
		panic(errNoPattern) // recovered by judge
	}
	text, isText := pattern.Value().(string)
	if subject == nil || !isText {
		return spec.LogicalFalse
	}
	s, isText := subject.Value().(string)
	if !isText {
		return spec.LogicalFalse
	}
	r := re.compile(anchors, text)
	return spec.Logical(r != nil && r.MatchString(s))
}

func (re *patterns) compile(anchors [2]string, text string) *regexp.Regexp {
	key := anchors[0] + text
	p := re.compiled[key]
	if p == nil || p.edit != re.edit {
		re.spent++
	}
	if re.spent > maxPatterns || len(text) > maxPattern {
		panic(errPatterns) // recovered by judge
	}
	if p == nil {
		if re.compiled == nil {
			re.compiled = map[string]*pattern{}
		}
		p = &pattern{Regexp: compileIRegexp(anchors, text)}
		re.compiled[key] = p
	}
	p.edit = re.edit
	return p.Regexp
}

// compileIRegexp compiles an I-Regexp, in which a dot is any character but line
// feed and carriage return (RFC 9485 section 5.4); nil if it is none.
func compileIRegexp(anchors [2]string, text string) *regexp.Regexp {
	tree, err := syntax.Parse(text, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil
	}
	dots(tree)
	r, err := regexp.Compile(anchors[0] + tree.String() + anchors[1])
	if err != nil {
		return nil
	}
	return r
}

func dots(tree *syntax.Regexp) {
	if tree.Op == syntax.OpAnyChar {
		*tree = syntax.Regexp{Op: syntax.OpCharClass, Rune: []rune{0, '\n' - 1, '\n' + 1, '\r' - 1, '\r' + 1, 0x10ffff}}
		return
	}
	for _, sub := range tree.Sub {
		dots(sub)
	}
}

// judge evaluates a filter. Whatever goes wrong in it is an error, never a
// value passed on unjudged.
func judge(f *spec.FilterSelector, current, root any) (selected bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			selected, err = false, errFilter
		}
	}()
	return f.Eval(current, root), nil
}

var errFilter = errors.New("jsonedit: a filter cannot be evaluated")

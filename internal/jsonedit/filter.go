package jsonedit

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"

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

// compileIRegexp compiles an I-Regexp; nil if it is none.
func compileIRegexp(anchors [2]string, text string) *regexp.Regexp {
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil // what the anchors might make whole is none either
	}
	r, err := regexp.Compile(anchors[0] + spellDots(text) + anchors[1])
	if err != nil {
		return nil
	}
	return r
}

// spellDots replaces each dot outside a character class: it is any character
// but line feed and carriage return (RFC 9485 section 5.4). To do it in the
// parsed tree costs milliseconds, for its String looks at every rune.
func spellDots(text string) string {
	var b strings.Builder
	class := -1 // where a class's first member stands, in which ] is one
	for i := 0; i < len(text); i++ {
		n := 1
		switch c := text[i]; {
		case c == '\\':
			n = min(2, len(text)-i)
		case class >= 0:
			if end := strings.Index(text[i:], ":]"); end > 0 && strings.HasPrefix(text[i:], "[:") {
				n = end + 2
			} else if c == ']' && i > class {
				class = -1
			}
		case c == '[':
			if class = i + 1; strings.HasPrefix(text[class:], "^") {
				class++
			}
		case c == '.':
			b.WriteString(`[^\n\r]`)
			continue
		}
		b.WriteString(text[i : i+n])
		i += n - 1
	}
	return b.String()
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

package jsonedit

import (
	"fmt"
	"math"
)

// maxDepth is how deep a text may nest, as in encoding/json.
const maxDepth = 10_000

// want is what RFC 8259 lets come next, white space aside.
type want uint8

const (
	wantTop    want = iota // a value at the top, or the end of the input
	wantFirst              // the first element of an array, or its end
	wantValue              // a value
	wantMember             // the first member of an object, or its end
	wantName               // a member's name
	wantColon
	wantComma // or the end of the array or object
)

// part is the token that a window ended in.
type part uint8

const (
	partNone part = iota
	partMark      // a byte order mark
	partName      // a member's name
	partString
	partNumber
	partLiteral
)

// frame is an array or object that has begun.
type frame struct {
	set    *set
	index  int // of an array's current element
	object bool
}

// scanner checks a sequence of JSON texts, window by window, and knows which
// set each value is in.
type scanner struct {
	m     *matcher
	err   error // sticky
	off   int64 // bytes before this window
	want  want
	next  *set    // of the value that is wanted
	stack []frame // what has begun
	some  bool    // a value has ended
	glued bool    // the last byte ended a number or literal at the top

	part part
	str  strState
	num  numState
	left string // what must follow of a literal or mark
	name []byte // a name's bytes in earlier windows

	holder
}

// scan reads the window b, or the part of it after which there is enough
// output, and returns how much it read.
func (s *scanner) scan(b []byte) int {
	i := 0
	if s.begin(b); s.part != partNone {
		i = s.resume(b)
	}
	for i < len(b) {
		c := b[i]
		if c <= ' ' {
			if j := skipSpace(b, i); j > i {
				i, s.glued = j, false
				continue
			}
		}
		switch s.want {
		case wantComma:
			i = s.comma(b, i, c)
		case wantName:
			i = s.member(b, i)
		case wantColon:
			i = s.colon(i, c)
		case wantValue:
			i = s.value(b, i, c)
		case wantMember:
			if c == '}' {
				i = s.close(b, i)
			} else {
				i = s.member(b, i)
			}
		case wantFirst:
			if c == ']' {
				i = s.close(b, i)
			} else {
				i = s.value(b, i, c)
			}
		case wantTop:
			i = s.top(b, i, c)
		}
	}
	return s.endWindow(b)
}

// bad ends the scan at b[i].
func (s *scanner) bad(i int) int {
	return s.fail(fmt.Errorf("%w: unexpected character at byte %d", ErrSyntax, s.off+int64(i)))
}

// fail records the first error and returns an index behind every window.
func (s *scanner) fail(err error) int {
	if s.err == nil {
		s.err = err
	}
	return stopped
}

// stopped is an index behind every window: it ends the loop in scan.
const stopped = math.MaxInt

// finish is called behind the last window.
func (s *scanner) finish() error {
	s.begin(nil)
	if s.err == nil && s.part == partNumber && s.num.complete() && len(s.stack) == 0 {
		s.part = partNone
		s.ended(nil, 0)
	}
	if s.err == nil && (s.part != partNone || s.want != wantTop || !s.some) {
		s.err = fmt.Errorf("%w: unexpected end at byte %d", ErrSyntax, s.off)
	}
	s.endWindow(nil)
	return s.err
}

// top reads between the values of a sequence: NDJSON has line feeds there, RFC
// 7464 the record separator. A byte order mark passes at the very beginning.
func (s *scanner) top(b []byte, i int, c byte) int {
	switch {
	case c == 0x1e:
		s.glued = false
		return i + 1
	case c == 0xef && s.off+int64(i) == 0:
		s.part, s.left = partMark, "\xbb\xbf"
		return s.literal(b, i+1)
	case s.glued:
		return s.bad(i)
	}
	s.next = s.m.start
	return s.value(b, i, c)
}

func (s *scanner) colon(i int, c byte) int {
	if c != ':' {
		return s.bad(i)
	}
	s.want = wantValue
	return i + 1
}

func (s *scanner) comma(b []byte, i int, c byte) int {
	top := &s.stack[len(s.stack)-1]
	switch {
	case c == ',' && top.object:
		s.want = wantName
		if i = skipOne(b, i+1); i < len(b) && b[i] == '"' {
			return s.member(b, i)
		}
		return i
	case c == ',':
		top.index++
		s.next = s.m.element(top.set, top.index, 0)
		s.want = wantValue
		return skipOne(b, i+1)
	case c == '}' && top.object, c == ']' && !top.object:
		return s.close(b, i)
	}
	return s.bad(i)
}

func (s *scanner) close(b []byte, i int) int {
	s.stack = s.stack[:len(s.stack)-1]
	return s.ended(b, i+1)
}

func (s *scanner) open(i int, c byte) int {
	if len(s.stack) == maxDepth {
		return s.fail(fmt.Errorf("%w: nested deeper than %d at byte %d", ErrSyntax, maxDepth, s.off+int64(i)))
	}
	set := s.next
	if s.holding() {
		set = s.m.dead
	}
	s.stack = append(s.stack, frame{set: set, object: c == '{'})
	if c == '{' {
		s.want = wantMember
	} else {
		s.want = wantFirst
		s.next = s.m.element(set, 0, 0)
	}
	return i + 1
}

// skipOne skips the one space that often stands behind a colon or comma.
func skipOne(b []byte, i int) int {
	if i < len(b) && b[i] == ' ' {
		return i + 1
	}
	return i
}

// member reads a member's name, and goes on to its value where nothing stands
// between them: scan would come to the same.
func (s *scanner) member(b []byte, i int) int {
	if b[i] != '"' {
		return s.bad(i)
	}
	s.want = wantColon
	end, st := scanString(b, i+1, strText)
	switch st {
	case strDone, strDoneEsc:
		s.named(b[i+1:end-1], st == strDoneEsc)
		if end < len(b) && b[end] == ':' {
			s.want = wantValue
			if end = skipOne(b, end+1); end < len(b) && b[end] > ' ' {
				return s.value(b, end, b[end])
			}
		}
	case strBad:
		return s.bad(end)
	default:
		s.part, s.str = partName, st
		s.name = s.name[:0]
		s.keepName(b[i+1:])
	}
	return end
}

// keepName keeps the bytes of a name that a window ended in, as far as they
// can be of a name that is asked for: six bytes spell at least one.
func (s *scanner) keepName(b []byte) {
	room := 6*s.m.prog.maxName + 12 - len(s.name)
	s.name = append(s.name, b[:min(room, len(b))]...)
}

// named sets the set of the value that belongs to a name.
func (s *scanner) named(name []byte, escaped bool) {
	of := s.stack[len(s.stack)-1].set
	if escaped && !of.dead {
		s.name, _ = unescape(s.name[:0], name)
		name = s.name
	}
	s.next = s.m.member(of, name)
}

// value reads the beginning of a value, and the whole of most scalars.
func (s *scanner) value(b []byte, i int, c byte) int {
	if s.next.hold != holdNothing && !s.holding() && (s.next.hold == holdValue || c == '[') {
		s.hold(i)
	}
	switch c {
	case '"':
		return s.stringValue(b, i+1, strText)
	case '{', '[':
		return s.open(i, c)
	case 't':
		s.left = "rue"
		return s.literal(b, i+1)
	case 'f':
		s.left = "alse"
		return s.literal(b, i+1)
	case 'n':
		s.left = "ull"
		return s.literal(b, i+1)
	case '-':
		return s.number(b, i+1, numMinus)
	case '0':
		return s.number(b, i+1, numZero)
	}
	if '1' <= c && c <= '9' {
		return s.number(b, i+1, numInt)
	}
	return s.bad(i)
}

func (s *scanner) stringValue(b []byte, i int, st strState) int {
	end, st := scanString(b, i, st)
	switch st {
	case strDone, strDoneEsc:
		return s.ended(b, end)
	case strBad:
		return s.bad(end)
	}
	s.part, s.str = partString, st
	return end
}

func (s *scanner) number(b []byte, i int, st numState) int {
	end, st, more := scanNumber(b, i, st)
	switch {
	case more:
		s.part, s.num = partNumber, st
		return end
	case !st.complete():
		return s.bad(end)
	}
	s.glued = len(s.stack) == 0
	return s.ended(b, end)
}

// literal reads s.left.
func (s *scanner) literal(b []byte, i int) int {
	for ; i < len(b) && s.left != ""; i++ {
		if b[i] != s.left[0] {
			return s.bad(i)
		}
		s.left = s.left[1:]
	}
	switch {
	case s.left != "":
		if s.part == partNone {
			s.part = partLiteral
		}
		return i
	case s.part == partMark:
		s.part = partNone
		return i
	}
	s.part = partNone
	s.glued = len(s.stack) == 0
	return s.ended(b, i)
}

// resume goes on with the token that the last window ended in.
func (s *scanner) resume(b []byte) int {
	part := s.part
	switch part {
	case partMark, partLiteral:
		return s.literal(b, 0)
	case partNumber:
		s.part = partNone
		return s.number(b, 0, s.num)
	case partString:
		s.part = partNone
		return s.stringValue(b, 0, s.str)
	}
	end, st := scanString(b, 0, s.str)
	switch st {
	case strDone, strDoneEsc:
		s.part = partNone
		s.keepName(b[:end-1])
		s.named(s.name, !plain(s.name))
	case strBad:
		return s.bad(end)
	default:
		s.str = st
		s.keepName(b[:end])
	}
	return end
}

// ended is called behind a value, at b[i].
func (s *scanner) ended(b []byte, i int) int {
	if s.want = wantComma; len(s.stack) == 0 {
		s.want, s.some = wantTop, true
	}
	if s.holding() && len(s.stack) == s.depth {
		return s.release(b, i)
	}
	return i
}

package jsonedit

import (
	"errors"
	"fmt"
	"math"
)

// holder keeps back the value whose fate is not known yet, and collects what
// goes out.
type holder struct {
	f     Replace
	limit int64
	set   *set   // of the held value; nil: none is held
	depth int    // how many arrays and objects are around it
	from  int    // where it begins in this window
	at    int64  // where it begins in the input
	early []byte // its bytes in earlier windows
	win   []byte // this window
	done  int    // how much of it is in out
	stop  int    // where the scan of this window ended early
	out   []byte
	chunk []byte // what the last scan gave out: out, or of the window itself
}

// enough is how much output ends a scan before its window does.
const enough = 32 << 10

func (h *holder) holding() bool { return h.set != nil }

func (h *holder) begin(b []byte) {
	h.win, h.from, h.done, h.stop, h.out, h.chunk = b, 0, 0, math.MaxInt, h.out[:0], nil
}

func (s *scanner) hold(i int) {
	s.set, s.depth, s.from, s.early = s.next, len(s.stack), i, s.early[:0]
	s.at = s.off + int64(i)
}

// release decides on the held value, which ends in front of b[i].
func (s *scanner) release(b []byte, i int) int {
	set, raw := s.set, b[s.from:i]
	if s.set = nil; len(s.early) > 0 {
		s.early = append(s.early, raw...)
		raw = s.early
	}
	if int64(len(raw)) > s.limit {
		return s.tooLarge()
	}
	var edited bool
	var err error
	if set.accept >= 0 && set.under == nil {
		edited, err = s.replace(Value{Raw: raw, Path: set.accept}, nil)
	} else {
		edited, err = s.walk(raw, set)
	}
	switch {
	case err != nil:
		return s.fail(err)
	case edited:
		s.done = i
	case len(s.early) > 0:
		s.out = append(s.out, raw...)
		s.done = i
	}
	if len(s.out) >= enough {
		s.stop = i
		return stopped
	}
	return i
}

// replace asks for a value's replacement. If there is one it goes out, behind
// what of the window goes out before the held value, and behind before.
func (s *scanner) replace(v Value, before []byte) (edited bool, err error) {
	text, err := s.f(v)
	if err != nil || text == nil {
		return false, err
	}
	if len(text) == 0 {
		return false, errEmpty
	}
	s.out = append(s.out, s.win[s.done:s.from]...)
	s.done = s.from
	s.out = append(s.out, before...)
	s.out = append(s.out, text...)
	return true, nil
}

var errEmpty = errors.New("jsonedit: the replacement is empty")

func (s *scanner) tooLarge() int {
	return s.fail(fmt.Errorf("%w: more than %d bytes at byte %d", ErrTooLarge, s.limit, s.at))
}

// endWindow settles what goes out of the window b, moves behind it, and returns
// how much of it has been read.
func (s *scanner) endWindow(b []byte) int {
	n := min(len(b), s.stop)
	switch {
	case s.err != nil:
		return 0
	case s.holding():
		s.out = append(s.out, b[s.done:s.from]...)
		s.early = append(s.early, b[s.from:n]...)
		if int64(len(s.early)) > s.limit {
			s.tooLarge()
			return 0
		}
		s.chunk = s.out
	case s.done > 0 || len(s.out) > 0:
		s.out = append(s.out, b[s.done:n]...)
		s.chunk = s.out
	default:
		s.chunk = b[:n]
	}
	s.off += int64(n)
	return n
}

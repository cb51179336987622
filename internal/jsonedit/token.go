package jsonedit

import (
	"encoding/binary"
	"math/bits"
)

// A token may begin in one window and end in a later one. What is left of it
// is one small number, the token's state.

type strState uint8

const (
	strText    strState = iota // between the quotation marks
	strEscape                  // behind a backslash
	strHex4                    // four more hexadecimal digits of \u
	strHex3                    // three
	strHex2                    // two
	strHex1                    // one
	strDone                    // behind the closing mark
	strDoneEsc                 // the same, and there was an escape
	strBad
)

// scanString reads on in a string from b[i] and state st. It returns the index
// behind what it read, and strDone or strDoneEsc at the string's end, strBad
// (with the index of the offending byte), or the state to go on with.
func scanString(b []byte, i int, st strState) (int, strState) {
	done := strDone
	for {
		for st != strText {
			if i == len(b) {
				return i, st
			}
			done = strDoneEsc
			if st = escapeStep(b[i], st); st == strBad {
				return i, strBad
			}
			i++
		}
		i = textEnd(b, i)
		if i == len(b) {
			return i, strText
		}
		switch b[i] {
		case '"':
			return i + 1, done
		case '\\':
			st = strEscape
			i++
		default:
			return i, strBad
		}
	}
}

// escapeStep takes one byte of an escape sequence (RFC 8259 section 7).
func escapeStep(c byte, st strState) strState {
	if st == strEscape {
		switch c {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return strText
		case 'u':
			return strHex4
		}
		return strBad
	}
	if '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' {
		if st == strHex1 {
			return strText
		}
		return st + 1
	}
	return strBad
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// textEnd is the index of the first byte from i on that ends a run of plain
// string text: a quotation mark, a backslash or a control character.
func textEnd(b []byte, i int) int {
	if i+8 <= len(b) {
		if m := textStops(b[i:]); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i+32 <= len(b) {
		s := b[i : i+32]
		if textStops(s)|textStops(s[8:])|textStops(s[16:])|textStops(s[24:]) != 0 {
			break
		}
		i += 32
	}
	for ; i+8 <= len(b); i += 8 {
		if m := textStops(b[i:]); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}

// textStops looks at eight bytes at once. The high bit of the first byte that
// ends the text is set in the result, and those of bytes before it are not:
// x-n*ones borrows from the byte above only where a byte is less than n. A
// control character or a quotation mark is what is less than 0x21 with bit 0x02
// turned over.
func textStops(b []byte) uint64 {
	w := binary.LittleEndian.Uint64(b)
	low, slash := w^0x02*ones, w^'\\'*ones
	return ((low-0x21*ones)&^low | (slash-ones)&^slash) & highs
}

// skipSpace is the index of the first byte from i on that is not white space.
func skipSpace(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ' ', '\n', '\r', '\t':
		default:
			return i
		}
	}
	return i
}

type numState uint8

const (
	numMinus   numState = iota // a digit must follow
	numZero                    // a leading zero: no digit may follow
	numInt                     // digits of the integer part
	numDot                     // a digit must follow
	numFrac                    // digits of the fraction
	numExp                     // sign or digit must follow
	numExpSign                 // a digit must follow
	numExpInt                  // digits of the exponent
	numBad
)

// complete reports whether a number may end in state st.
func (st numState) complete() bool {
	return st == numZero || st == numInt || st == numFrac || st == numExpInt
}

// scanNumber reads on in a number from b[i] and state st, and stops in front of
// the first byte that does not belong to it. more says that b ended first.
func scanNumber(b []byte, i int, st numState) (end int, _ numState, more bool) {
	for ; i < len(b); i++ {
		var next numState
		if c := b[i]; '0' <= c && c <= '9' {
			next = digitStep(c, st)
		} else {
			next = signStep(c, st)
		}
		if next == numBad {
			return i, st, false
		}
		st = next
	}
	return i, st, true
}

func digitStep(c byte, st numState) numState {
	switch st {
	case numInt, numFrac, numExpInt:
		return st
	case numMinus:
		if c == '0' {
			return numZero
		}
		return numInt
	case numDot:
		return numFrac
	case numExp, numExpSign:
		return numExpInt
	}
	return numBad
}

func signStep(c byte, st numState) numState {
	switch {
	case c == '.' && (st == numZero || st == numInt):
		return numDot
	case c|0x20 == 'e' && (st == numZero || st == numInt || st == numFrac):
		return numExp
	case (c == '+' || c == '-') && st == numExp:
		return numExpSign
	}
	return numBad
}

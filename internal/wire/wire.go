// Package wire knows the shape of a sealed string, and nothing about keys.
//
// tokenvault, relay and redact must agree, byte for byte, on where a sealed
// value begins and ends in a text; this is the one place that says so. The
// shape is Prefix and a JWE compact serialisation (RFC 7516 section 7.1) of
// fixed segment lengths:
//
//	tv1.<header>.<wrapped key, 54>.<iv, 16>.<ciphertext>.<tag, 22>
//
// Every segment is base64url without padding. Whether a string of this shape
// is a sealed value only a keyring can tell.
package wire

import "bytes"

// Prefix starts every sealed string; the digit is the wire format's version.
const Prefix = "tv1."

// Sizes in bytes before base64url.
const (
	MaxHeader     = 4 << 10
	MaxPlaintext  = 64 << 10
	WrappedKeyLen = 40 // AES key wrap of a 32-byte content key, RFC 3394
	IVLen         = 12
	TagLen        = 16
)

// Lengths in characters after base64url.
const (
	MaxHeaderChars     = (MaxHeader*8 + 5) / 6
	WrappedKeyChars    = (WrappedKeyLen*8 + 5) / 6
	IVChars            = (IVLen*8 + 5) / 6
	MaxCiphertextChars = (MaxPlaintext*8 + 5) / 6
	TagChars           = (TagLen*8 + 5) / 6

	// MaxLen is the length of the longest sealed string.
	MaxLen = len(Prefix) + MaxHeaderChars + 1 + WrappedKeyChars + 1 + IVChars + 1 + MaxCiphertextChars + 1 + TagChars
)

// Find reports the first sealed value in b: b[start:end]. start < 0 means
// there is none; end < 0 means that b ends inside a possible one, which begins
// at start (so that a reader of a stream keeps b[start:] for its next look).
//
// Find never looks past a sealed value's last character: what follows the tag,
// a '.' or another letter, is not part of it. Time is linear in len(b).
func Find(b []byte) (start, end int) {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(Prefix))
		if i < 0 {
			return partialPrefix(b)
		}
		start = at + i
		switch n := measure(b[start:]); {
		case n > 0:
			return start, start + n
		case n < 0:
			return start, -1
		}
		at = start + len(Prefix)
	}
}

// measure returns the length of the sealed value that b begins with, 0 if b
// begins with none, and -1 if b ends too early to tell.
func measure(b []byte) int {
	at := len(Prefix)
	for _, seg := range [...]struct{ min, max int }{
		{1, MaxHeaderChars},
		{WrappedKeyChars, WrappedKeyChars},
		{IVChars, IVChars},
		{0, MaxCiphertextChars},
	} {
		n := run(b[at:], seg.max)
		at += n
		switch {
		case at == len(b):
			return -1
		case n < seg.min || b[at] != '.':
			return 0
		}
		at++
	}
	n := run(b[at:], TagChars)
	switch {
	case n == TagChars:
		return at + n
	case at+n == len(b):
		return -1
	}
	return 0
}

// run counts the base64url characters that b begins with, up to limit.
func run(b []byte, limit int) int {
	b = b[:min(len(b), limit)]
	for i, c := range b {
		if !alphabet[c] {
			return i
		}
	}
	return len(b)
}

// partialPrefix reports where b ends in a beginning of Prefix.
func partialPrefix(b []byte) (start, end int) {
	for n := min(len(Prefix)-1, len(b)); n > 0; n-- {
		if string(b[len(b)-n:]) == Prefix[:n] {
			return len(b) - n, -1
		}
	}
	return -1, -1
}

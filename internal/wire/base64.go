package wire

import (
	"encoding/binary"
	"slices"
)

// The base64url of JOSE (RFC 7515 section 2), in the one canonical spelling:
// no padding, no line breaks, unused bits zero. encoding/base64 skips line
// breaks even when strict, and takes twice as long, which is the largest part
// of opening a value. Tables are indexed by what is encoded: use it for
// ciphertexts and headers, never for keys.

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// invalid marks what is no digit, above the 24 bits of a group.
const invalid = 1 << 24

var (
	alphabet [256]bool       // the digits
	pairs    [1 << 12]uint16 // two digits for 12 bits, little endian
	groups   [4][256]uint32  // a digit's share of a group, by its place
	_        = buildTables()
)

func buildTables() struct{} {
	for place := range groups {
		for c := range groups[place] {
			groups[place][c] = invalid
		}
	}
	for i, c := range []byte(digits) {
		alphabet[c] = true
		for place := range groups {
			groups[place][c] = uint32(i) << (18 - 6*place)
		}
		for j, d := range []byte(digits) {
			pairs[i<<6|j] = uint16(c) | uint16(d)<<8
		}
	}
	return struct{}{}
}

// AppendEncode appends the base64url of src to dst.
func AppendEncode(dst, src []byte) []byte {
	start := len(dst)
	dst = slices.Grow(dst, EncodedLen(len(src)))[:start+EncodedLen(len(src))]
	out := dst[start:]
	for len(src) >= 8 { // read eight bytes, encode six
		v := binary.BigEndian.Uint64(src)
		binary.LittleEndian.PutUint64(out, uint64(pairs[v>>52])|uint64(pairs[v>>40&0xfff])<<16|
			uint64(pairs[v>>28&0xfff])<<32|uint64(pairs[v>>16&0xfff])<<48)
		src, out = src[6:], out[8:]
	}
	for i := range out {
		out[i] = digits[sextet(src, i)]
	}
	return dst
}

// sextet is the i-th piece of six bits, with zeros behind src.
func sextet(src []byte, i int) byte {
	at := i * 6 / 8
	v := uint16(src[at]) << 8
	if at+1 < len(src) {
		v |= uint16(src[at+1])
	}
	return byte(v>>(10-i*6%8)) & 0x3f
}

// AppendDecode appends what src encodes to dst. ok is false, and dst as it was,
// if src is not canonical base64url.
func AppendDecode(dst []byte, src string) (_ []byte, ok bool) {
	start := len(dst)
	dst = slices.Grow(dst, DecodedLen(len(src)))[:start+DecodedLen(len(src))]
	out, bad := dst[start:], uint32(0)
	for len(src) >= 8 && len(out) >= 8 { // store eight bytes, of which six count; the first half spares bounds checks
		v, u := group(src), group(src[4:])
		binary.BigEndian.PutUint64(out, uint64(v)<<40|uint64(u)<<16)
		bad |= v | u
		src, out = src[8:], out[6:]
	}
	for len(out) >= 3 {
		v := group(src)
		out[0], out[1], out[2] = byte(v>>16), byte(v>>8), byte(v)
		bad |= v
		src, out = src[4:], out[3:]
	}
	if bad |= decodeLast(out, src); bad >= invalid {
		return dst[:start], false
	}
	return dst, true
}

// group is the 24 bits that the first four digits of src stand for.
func group(src string) uint32 {
	_ = src[3]
	return groups[0][src[0]] | groups[1][src[1]] | groups[2][src[2]] | groups[3][src[3]]
}

// decodeLast decodes a last group of less than four digits, which hold bits
// that belong to no byte: they must be zero.
func decodeLast(out []byte, src string) (bad uint32) {
	v := uint32(0)
	for i := range len(src) {
		v |= groups[i][src[i]]
	}
	bad = v & invalid
	for i := range out {
		out[i] = byte(v >> 16)
		v = v << 8 & (invalid - 1)
	}
	if v&(invalid-1) != 0 || len(src) == 1 {
		bad = invalid
	}
	return bad
}

// EncodedLen is the number of characters that n bytes take.
func EncodedLen(n int) int { return n/3*4 + (n%3*8+5)/6 }

// DecodedLen is the number of bytes that n characters stand for.
func DecodedLen(n int) int { return n/4*3 + n%4*6/8 }

package jwks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
)

// compact is base64url as RFC 7515 section 2 has it: no padding characters,
// and the unused bits of the last one are zero, so that every token has one
// spelling. It skips line breaks, which decode must refuse.
var compact = base64.RawURLEncoding.Strict()

var (
	errForm    = refuse(ErrMalformed, "not three base64url parts joined by dots")
	errTooLong = refuse(ErrMalformed, "longer than MaxTokenBytes")
)

// split finds the two dots of a compact JWS (RFC 7515 section 7.1). Five parts
// (JWE) and the JSON serialisations do not have them. It costs one pass of
// vector instructions and no allocation, whatever token is.
func split(token string) (first, second int, ok bool) {
	first, second = strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	return first, second, first < second && strings.IndexByte(token[first+1:second], '.') < 0
}

// scratch is the working memory of one verification, at most MaxTokenBytes
// twice over and kept from one token to the next.
type scratch struct {
	mac     hash.Hash
	token   []byte
	decoded []byte
	sum     [sha256.Size]byte
}

func newScratch(secret []byte) *scratch { return &scratch{mac: hmac.New(sha256.New, secret)} }

// load copies token.
func (s *scratch) load(token string) { s.token = append(s.token[:0], token...) }

// name computes the loaded token's key in the cache.
func (s *scratch) name() {
	s.mac.Reset()
	s.mac.Write(s.token)
	s.mac.Sum(s.sum[:0])
}

// decode returns the bytes behind the three parts of the loaded token, whose
// dots are at first and second. They are valid until the next call.
func (s *scratch) decode(first, second int) (header, payload, sig []byte, err error) {
	if bytes.IndexByte(s.token, '\n') >= 0 || bytes.IndexByte(s.token, '\r') >= 0 {
		return nil, nil, nil, errForm
	}
	if cap(s.decoded) < len(s.token) {
		s.decoded = make([]byte, len(s.token))
	}
	header, rest, ok1 := decodePart(s.decoded[:cap(s.decoded)], s.token[:first])
	payload, rest, ok2 := decodePart(rest, s.token[first+1:second])
	sig, _, ok3 := decodePart(rest, s.token[second+1:])
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, nil, errForm
	}
	return header, payload, sig, nil
}

func decodePart(dst, part []byte) (decoded, rest []byte, ok bool) {
	n, err := compact.Decode(dst, part)
	return dst[:n], dst[n:], err == nil
}

package relay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/url"
)

// maxPair is longer than any sealed value, every byte of it percent-encoded.
const maxPair = 512 << 10

// editForm opens the values of an application/x-www-form-urlencoded body, pair
// by pair.
func (e *bodyEdit) editForm(dst io.Writer, src io.Reader) error {
	r := bufio.NewReaderSize(src, pairBuffer(src))
	for {
		pair, err := r.ReadSlice('&')
		if errors.Is(err, bufio.ErrBufferFull) {
			if err := copyPair(dst, r, pair); err != nil {
				return err
			}
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		text, more := bytes.CutSuffix(pair, []byte("&"))
		edited, openErr := e.pair("form", string(text), &e.x.dest.open.form)
		if openErr != nil {
			return openErr
		}
		if more {
			edited += "&"
		}
		if _, err := io.WriteString(dst, edited); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
	}
}

// pairBuffer spares a body that is in memory the large buffer.
func pairBuffer(src io.Reader) int {
	if b, ok := src.(*bytes.Reader); ok {
		return min(maxPair, b.Len()+1)
	}
	return maxPair
}

// copyPair passes on a pair too long to hold nothing but a sealed value.
func copyPair(dst io.Writer, r *bufio.Reader, part []byte) error {
	for {
		if holdsBytes(part) {
			return refuse(ErrPlace, "form", "")
		}
		if _, err := dst.Write(part); err != nil {
			return err
		}
		if bytes.HasSuffix(part, []byte("&")) {
			return nil
		}
		var err error
		part, err = r.ReadSlice('&')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF {
				_, err = dst.Write(part)
			}
			return err
		}
	}
}

// countForm counts the pairs that hold a sealed value.
func countForm(b []byte) (n int) {
	if !mayHold(string(b)) {
		return 0
	}
	for pair := range bytes.SplitSeq(b, []byte("&")) {
		s := string(pair)
		if mayHold(s) && (holds(s) || decodedHolds(s)) {
			n++
		}
	}
	return n
}

func decodedHolds(pair string) bool {
	s, err := url.QueryUnescape(pair)
	return err == nil && holds(s)
}

// isTokenRequest reports whether a form is a request to a token, revocation or
// introspection endpoint (RFC 6749, 7009, 7662), whose clients form-encode the
// halves of Basic.
func isTokenRequest(form []byte) bool {
	for pair := range bytes.SplitSeq(form, []byte("&")) {
		name, _, _ := bytes.Cut(pair, []byte("="))
		if s := string(name); s == "grant_type" || s == "token" {
			return true
		}
	}
	return false
}

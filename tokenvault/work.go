package tokenvault

import (
	"strings"
	"sync"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// work is what sealing or opening one value needs on the way. It is kept from
// one value to the next, so that a value costs few allocations, and holds no
// secret in between.
type work struct {
	keyWrap
	text []byte // the sealed string; when opening, its header segment, which is the AAD
	raw  []byte // decoded: the header, later iv, ciphertext and tag in a row
}

var works = sync.Pool{New: func() any { return new(work) }}

func takeWork() *work { return works.Get().(*work) }

func (w *work) giveBack() {
	w.clear()
	works.Put(w)
}

// parse reads a sealed value into w, without any cryptography.
func (w *work) parse(sealed string) (header, error) {
	s, err := cut(sealed)
	if err != nil {
		return header{}, err
	}
	w.text = append(w.text[:0], s.header...)
	var ok [5]bool
	w.raw, ok[0] = wire.AppendDecode(w.raw[:0], s.header)
	text := string(w.raw)
	_, ok[1] = wire.AppendDecode(w.wrapped[:0], s.wrapped)
	w.raw, ok[2] = wire.AppendDecode(w.raw[:0], s.iv)
	w.raw, ok[3] = wire.AppendDecode(w.raw, s.ciphertext)
	w.raw, ok[4] = wire.AppendDecode(w.raw, s.tag)
	if ok != [5]bool{true, true, true, true, true} {
		return header{}, malformed(errBase64)
	}
	h, err := parseHeader(text)
	if err != nil {
		return header{}, malformed(err)
	}
	return h, nil
}

// segments are the parts of a sealed string, each of a possible length.
type segments struct{ header, wrapped, iv, ciphertext, tag string }

// cut relies on three segments being of one length, so that the first dot and
// the end say where all others stand.
func cut(sealed string) (s segments, err error) {
	if len(sealed) > wire.MaxLen {
		return s, malformed(errLength)
	}
	rest, ok := strings.CutPrefix(sealed, Prefix)
	if !ok {
		return s, malformed(errPrefix)
	}
	s.header, rest, _ = strings.Cut(rest, ".")
	const (
		ivAt         = wire.WrappedKeyChars + 1
		ciphertextAt = ivAt + wire.IVChars + 1
	)
	tagAt := len(rest) - wire.TagChars
	if tagAt-1 < ciphertextAt || rest[ivAt-1] != '.' || rest[ciphertextAt-1] != '.' || rest[tagAt-1] != '.' {
		return s, malformed(errShape)
	}
	s.wrapped, s.iv = rest[:ivAt-1], rest[ivAt:ciphertextAt-1]
	s.ciphertext, s.tag = rest[ciphertextAt:tagAt-1], rest[tagAt:]
	if len(s.header) > wire.MaxHeaderChars || len(s.ciphertext) > wire.MaxCiphertextChars {
		return s, malformed(errLength)
	}
	return s, nil
}

package tokenvault

import (
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

const (
	cekLen  = 32 // A256GCM's content encryption key
	cekRegs = cekLen / 8
)

// wrapIV is RFC 3394's integrity check value, section 2.2.3.1.
var wrapIV = [8]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}

// keyWrap is the AES key wrap of RFC 3394 for the one size that both suites
// use. It holds its buffers, because what is passed to a cipher.Block escapes.
type keyWrap struct {
	block   [16]byte // A and one register
	cek     [cekLen]byte
	wrapped [wire.WrappedKeyLen]byte
}

// wrap sets w.wrapped from w.cek; section 2.2.1.
func (w *keyWrap) wrap(kek cipher.Block) {
	copy(w.block[:8], wrapIV[:])
	copy(w.wrapped[8:], w.cek[:])
	for t := range uint64(6 * cekRegs) {
		r := w.wrapped[8+8*(t%cekRegs):][:8]
		copy(w.block[8:], r)
		kek.Encrypt(w.block[:], w.block[:])
		copy(r, w.block[8:])
		w.xorA(t + 1)
	}
	copy(w.wrapped[:8], w.block[:8])
}

// unwrap sets w.cek from w.wrapped and reports whether the integrity check
// value is right; section 2.2.2.
func (w *keyWrap) unwrap(kek cipher.Block) bool {
	copy(w.block[:8], w.wrapped[:8])
	copy(w.cek[:], w.wrapped[8:])
	for t := uint64(6 * cekRegs); t > 0; t-- {
		r := w.cek[8*((t-1)%cekRegs):][:8]
		w.xorA(t)
		copy(w.block[8:], r)
		kek.Decrypt(w.block[:], w.block[:])
		copy(r, w.block[8:])
	}
	return subtle.ConstantTimeCompare(w.block[:8], wrapIV[:]) == 1
}

func (w *keyWrap) clear() {
	clear(w.cek[:])
	clear(w.block[:])
}

func (w *keyWrap) xorA(t uint64) {
	binary.BigEndian.PutUint64(w.block[:], binary.BigEndian.Uint64(w.block[:])^t)
}

// concatKDF is the Concat KDF of NIST SP 800-56A section 5.8.1 with SHA-256,
// as RFC 7518 section 4.6.2 profiles it, for keys of up to 32 bytes.
func concatKDF(z []byte, alg, apu, apv string, keyLen int) []byte {
	info := make([]byte, 0, 128)
	info = binary.BigEndian.AppendUint32(info, 1) // the one round that 32 bytes take
	info = append(info, z...)
	for _, s := range [...]string{alg, apu, apv} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(s)))
		info = append(info, s...)
	}
	info = binary.BigEndian.AppendUint32(info, uint32(8*keyLen))
	sum := sha256.Sum256(info)
	clear(info)
	return sum[:keyLen]
}

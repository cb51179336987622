package tokenvault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// suite is one of the two fixed pairs of alg and enc (RFC 7518).
type suite uint8

const (
	symmetric suite = iota + 1 // A256KW with A256GCM
	public                     // ECDH-ES+A256KW with A256GCM
)

const (
	algSymmetric = "A256KW"
	algPublic    = "ECDH-ES+A256KW"
	encGCM       = "A256GCM"
)

// alg is the suite's name in keys and headers.
func (s suite) alg() string {
	if s == public {
		return algPublic
	}
	return algSymmetric
}

// seal takes the label as it is: whether it should be sealed is for the caller.
func (k *key) seal(plaintext []byte, l Label) (string, error) {
	if len(plaintext) > wire.MaxPlaintext {
		return "", errPlaintext
	}
	w := takeWork()
	defer w.giveBack()
	rand.Read(w.cek[:])
	epk, err := k.wrapKey(&w.keyWrap)
	if err != nil {
		return "", err
	}
	w.text = append(w.text[:0], Prefix...)
	if w.text, w.raw, err = k.head.append(w.text, w.raw, epk, &l); err != nil {
		return "", err
	}
	gcm, err := newGCM(w.cek[:])
	if err != nil {
		return "", err
	}
	w.raw = gcm.Seal(w.raw[:0], nil, plaintext, w.text[len(Prefix):])
	tagAt := len(w.raw) - wire.TagLen
	for _, segment := range [...][]byte{w.wrapped[:], w.raw[:wire.IVLen], w.raw[wire.IVLen:tagAt], w.raw[tagAt:]} {
		w.text = wire.AppendEncode(append(w.text, '.'), segment)
	}
	return string(w.text), nil
}

// open decrypts what w parsed.
func (k *key) open(w *work, h *header) ([]byte, error) {
	if !k.unwrapKey(&w.keyWrap, h.epk) {
		return nil, ErrOpen
	}
	gcm, err := newGCM(w.cek[:])
	if err != nil {
		return nil, err
	}
	plaintext := make([]byte, 0, len(w.raw)-wire.IVLen-wire.TagLen)
	if plaintext, err = gcm.Open(plaintext, nil, w.raw, w.text); err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// wrapKey wraps w.cek for the key's holder. The ephemeral public key is nil in
// the symmetric suite.
func (k *key) wrapKey(w *keyWrap) (epk *ecdh.PublicKey, err error) {
	if k.suite == symmetric {
		w.wrap(k.kek)
		return nil, nil
	}
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	kek, err := agree(ephemeral, k.pub)
	if err != nil {
		return nil, err
	}
	w.wrap(kek)
	return ephemeral.PublicKey(), nil
}

// unwrapKey reports whether w.wrapped was wrapped for this key.
func (k *key) unwrapKey(w *keyWrap, epk *ecdh.PublicKey) bool {
	if k.suite == symmetric {
		return w.unwrap(k.kek)
	}
	kek, err := agree(k.priv, epk)
	return err == nil && w.unwrap(kek)
}

// agree derives the key-encryption key of RFC 7518 section 4.6.
func agree(own agreement, remote *ecdh.PublicKey) (cipher.Block, error) {
	z, err := own.ECDH(remote)
	if err != nil {
		return nil, err
	}
	defer clear(z)
	kek := concatKDF(z, algPublic, "", "", kekLen)
	defer clear(kek)
	return aes.NewCipher(kek)
}

// newGCM makes its own nonces, which is the form that GODEBUG=fips140=only
// allows. The nonce stands before the ciphertext.
func newGCM(cek []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

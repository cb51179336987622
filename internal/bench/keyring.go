package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// keyringRows measure sealing and opening 1 KiB in the symmetric suite, and
// finding nothing in a body. Tink wraps no key and has no label: it shows what
// AES-GCM under one key costs.
func keyringRows() []ratio.Row {
	w := newSealing()
	ctx := context.Background()
	sealed := must(w.keys.Seal(ctx, w.plaintext, w.label))
	floorSealed, joseSealed, tinkSealed := w.floor.seal(w.plaintext), w.joseSeal(), must(w.tink.Encrypt(w.plaintext, w.floor.header))
	use := tokenvault.Use{Host: "api.example.com", Subject: "user-1"}
	body := []byte(strings.Repeat(`{"id":4711,"title":"the vault's seventh total","t":[true,"tv","tv2.x"]},`, 16<<10))[:1<<20]
	return []ratio.Row{{
		Name: "seal 1 KiB",
		Cases: []ratio.Case{
			{Name: "floor", Run: func(n int) { repeat(n, func() { w.floor.seal(w.plaintext) }) }},
			{Name: "tokenvault", Run: func(n int) { repeat(n, func() { must(w.keys.Seal(ctx, w.plaintext, w.label)) }) }},
			{Name: "go-jose", Run: func(n int) { repeat(n, func() { w.joseSeal() }) }},
			{Name: "tink", Run: func(n int) { repeat(n, func() { must(w.tink.Encrypt(w.plaintext, w.floor.header)) }) }},
		},
		Goals: []ratio.Goal{{Case: "tokenvault", AtMost: 1.10, Allocs: 6}, {Case: "go-jose", Over: "tokenvault", AtLeast: 2.1}},
	}, {
		Name: "open 1 KiB",
		Cases: []ratio.Case{
			{Name: "floor", Run: func(n int) { repeat(n, func() { w.floor.open(floorSealed) }) }},
			{Name: "tokenvault", Run: func(n int) {
				repeat(n, func() {
					_, _, err := w.keys.Open(ctx, sealed, use)
					must(0, err)
				})
			}},
			{Name: "go-jose", Run: func(n int) { repeat(n, func() { w.joseOpen(joseSealed) }) }},
			{Name: "tink", Run: func(n int) { repeat(n, func() { must(w.tink.Decrypt(tinkSealed, w.floor.header)) }) }},
		},
		Goals: []ratio.Goal{{Case: "tokenvault", AtMost: 1.10, Allocs: 6}, {Case: "go-jose", Over: "tokenvault", AtLeast: 3}},
	}, {
		Name: "find in 1 MiB without a sealed value",
		Cases: []ratio.Case{
			{Name: "bytes.Index", Run: func(n int) { repeat(n, func() { bytes.Index(body, []byte(tokenvault.Prefix)) }) }},
			{Name: "tokenvault", Run: func(n int) { repeat(n, func() { tokenvault.Find(body) }) }},
		},
		Goals: []ratio.Goal{{Case: "tokenvault", AtMost: 1.10, Allocs: -1}},
	}}
}

func repeat(n int, work func()) {
	for range n {
		work()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sealing is one plaintext and label, and everyone who seals them.
type sealing struct {
	plaintext []byte
	label     tokenvault.Label
	keys      *tokenvault.Keyring
	floor     *sealFloor
	jose      jose.Encrypter
	joseKey   []byte
	tink      tink.AEAD
}

func newSealing() *sealing {
	jwk := must(tokenvault.NewKey())
	var key struct{ Kid, K string }
	must(0, json.Unmarshal(jwk, &key))
	label := tokenvault.Label{Hosts: []string{"api.example.com"}, Subject: "user-1", Expires: time.Now().Add(time.Hour)}
	w := &sealing{
		plaintext: bytes.Repeat([]byte("t"), 1<<10),
		label:     label,
		keys:      must(tokenvault.ParseKeyring(jwk)),
		joseKey:   must(base64.RawURLEncoding.DecodeString(key.K)),
		tink:      must(aead.New(must(keyset.NewHandle(aead.AES256GCMKeyTemplate())))),
	}
	sealed := must(w.keys.Seal(context.Background(), nil, label))
	header := must(base64.RawURLEncoding.DecodeString(strings.Split(sealed, ".")[1]))
	w.floor = &sealFloor{kek: must(aes.NewCipher(w.joseKey)), header: header}
	w.jose = must(jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.A256KW, Key: w.joseKey, KeyID: key.Kid},
		&jose.EncrypterOptions{ExtraHeaders: map[jose.HeaderKey]any{"aud": label.Hosts, "sub": label.Subject, "exp": label.Expires.Unix()}}))
	return w
}

func (w *sealing) joseSeal() string {
	return must(must(w.jose.Encrypt(w.plaintext)).CompactSerialize())
}

func (w *sealing) joseOpen(sealed string) []byte {
	jwe := must(jose.ParseEncryptedCompact(sealed, []jose.KeyAlgorithm{jose.A256KW}, []jose.ContentEncryption{jose.A256GCM}))
	return must(jwe.Decrypt(w.joseKey))
}

// sealFloor is the standard library's share of sealing: a random content key,
// RFC 3394's 24 block operations around it, AES-GCM, base64url of all five
// segments, one string. It knows one header, and judges no label.
type sealFloor struct {
	kek               cipher.Block
	header, text, raw []byte
	cek               [32]byte
	wrapped           [40]byte
	block             [16]byte
}

func (f *sealFloor) gcm() cipher.AEAD {
	return must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(f.cek[:]))))
}

func (f *sealFloor) seal(plaintext []byte) string {
	_, _ = rand.Read(f.cek[:])
	f.wrap()
	f.text = base64.RawURLEncoding.AppendEncode(f.text[:0], f.header)
	f.raw = f.gcm().Seal(f.raw[:0], nil, plaintext, f.text)
	tagAt := len(f.raw) - 16
	for _, s := range [...][]byte{f.wrapped[:], f.raw[:12], f.raw[12:tagAt], f.raw[tagAt:]} {
		f.text = base64.RawURLEncoding.AppendEncode(append(f.text, '.'), s)
	}
	return string(f.text)
}

func (f *sealFloor) open(sealed string) []byte {
	f.text = append(f.text[:0], sealed...)
	s := bytes.SplitN(f.text, []byte("."), 5)
	f.raw = must(base64.RawURLEncoding.AppendDecode(f.raw[:0], s[0]))
	must(base64.RawURLEncoding.Decode(f.wrapped[:], s[1]))
	f.raw = f.raw[:0]
	for _, s := range s[2:] {
		f.raw = must(base64.RawURLEncoding.AppendDecode(f.raw, s))
	}
	f.unwrap()
	return must(f.gcm().Open(make([]byte, 0, len(f.raw)-28), nil, f.raw, s[0]))
}

func (f *sealFloor) wrap() {
	for i := range 8 {
		f.block[i] = 0xa6
	}
	copy(f.wrapped[8:], f.cek[:])
	for t := range uint64(24) {
		r := f.wrapped[8+8*(t%4):][:8]
		copy(f.block[8:], r)
		f.kek.Encrypt(f.block[:], f.block[:])
		copy(r, f.block[8:])
		f.count(t + 1)
	}
	copy(f.wrapped[:8], f.block[:8])
}

func (f *sealFloor) unwrap() {
	copy(f.block[:8], f.wrapped[:8])
	copy(f.cek[:], f.wrapped[8:])
	for t := uint64(24); t > 0; t-- {
		r := f.cek[8*((t-1)%4):][:8]
		f.count(t)
		copy(f.block[8:], r)
		f.kek.Decrypt(f.block[:], f.block[:])
		copy(r, f.block[8:])
	}
}

func (f *sealFloor) count(t uint64) {
	binary.BigEndian.PutUint64(f.block[:], binary.BigEndian.Uint64(f.block[:])^t)
}

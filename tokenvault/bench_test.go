package tokenvault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// benchLabel is the label of a token that the relay opens for one host.
func benchLabel() Label {
	return Label{
		Hosts:   []string{"api.example.com"},
		Subject: "user-1",
		Expires: time.Now().Add(time.Hour),
	}
}

func benchKeyring(b *testing.B, newKey func() ([]byte, error)) *Keyring {
	jwk, err := newKey()
	require.NoError(b, err)
	r, err := ParseKeyring(jwk)
	require.NoError(b, err)
	return r
}

func BenchmarkSeal(b *testing.B) {
	plaintext, label := bytes.Repeat([]byte("t"), 1<<10), benchLabel()
	for name, newKey := range map[string]func() ([]byte, error){"A256KW": NewKey, "ECDH-ES": NewKeyPair} {
		r := benchKeyring(b, newKey)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := r.Seal(context.Background(), plaintext, label)
				require.NoError(b, err)
			}
		})
	}
	b.Run("floor", func(b *testing.B) {
		f := newFloor(b)
		b.ReportAllocs()
		for b.Loop() {
			_ = f.seal(plaintext)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	plaintext, use := bytes.Repeat([]byte("t"), 1<<10), Use{Host: "api.example.com", Subject: "user-1", AllowPublic: true}
	for name, newKey := range map[string]func() ([]byte, error){"A256KW": NewKey, "ECDH-ES": NewKeyPair} {
		r := benchKeyring(b, newKey)
		sealed, err := r.Seal(context.Background(), plaintext, benchLabel())
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, err := r.Open(context.Background(), sealed, use)
				require.NoError(b, err)
			}
		})
	}
	b.Run("floor", func(b *testing.B) {
		f := newFloor(b)
		sealed := f.seal(plaintext)
		require.Equal(b, plaintext, f.open(sealed))
		b.ReportAllocs()
		for b.Loop() {
			_ = f.open(sealed)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	body := []byte(strings.Repeat(`{"id":4711,"title":"the vault's seventh total","t":[true,"tv","tv2.x"]},`, 16<<10))
	body = body[:1<<20]
	b.Run("none", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if start, _ := Find(body); start >= 0 {
				b.Fatal("found one")
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			_ = bytes.Index(body, []byte(Prefix))
		}
	})
}

// floor is the standard library's share of sealing: random content key, RFC
// 3394 around it, AES-GCM, base64url of all five segments, one string. It
// knows one header and looks at no label.
type floor struct {
	kek    cipher.Block
	header []byte
	text   []byte
	raw    []byte
	wrap   keyWrap
}

func newFloor(b *testing.B) *floor {
	kek, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	require.NoError(b, err)
	l := benchLabel()
	h := newHead(symmetric, "NAJTASARD6A235JNKJ6PYCYAI2")
	encoded, _, err := h.append(nil, nil, nil, &l)
	require.NoError(b, err)
	header, err := base64.RawURLEncoding.DecodeString(string(encoded))
	require.NoError(b, err)
	return &floor{kek: kek, header: header}
}

func (f *floor) gcm() cipher.AEAD {
	block, _ := aes.NewCipher(f.wrap.cek[:])
	gcm, _ := cipher.NewGCMWithRandomNonce(block)
	return gcm
}

func (f *floor) seal(plaintext []byte) string {
	rand.Read(f.wrap.cek[:])
	f.wrap.wrap(f.kek)
	f.text = base64.RawURLEncoding.AppendEncode(f.text[:0], f.header)
	f.raw = f.gcm().Seal(f.raw[:0], nil, plaintext, f.text)
	for _, s := range [][]byte{f.wrap.wrapped[:], f.raw[:12], f.raw[12 : len(f.raw)-16], f.raw[len(f.raw)-16:]} {
		f.text = base64.RawURLEncoding.AppendEncode(append(f.text, '.'), s)
	}
	return string(f.text)
}

func (f *floor) open(sealed string) []byte {
	f.text = append(f.text[:0], sealed...)
	s := bytes.SplitN(f.text, []byte("."), 5)
	f.raw, _ = base64.RawURLEncoding.AppendDecode(f.raw[:0], s[0])
	_, _ = base64.RawURLEncoding.Decode(f.wrap.wrapped[:], s[1])
	f.raw = f.raw[:0]
	for _, s := range s[2:] {
		f.raw, _ = base64.RawURLEncoding.AppendDecode(f.raw, s)
	}
	if !f.wrap.unwrap(f.kek) {
		panic("floor does not unwrap")
	}
	plaintext, err := f.gcm().Open(make([]byte, 0, len(f.raw)-wire.IVLen-wire.TagLen), nil, f.raw, s[0])
	if err != nil {
		panic(err)
	}
	return plaintext
}

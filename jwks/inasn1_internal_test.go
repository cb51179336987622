package jwks

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// encoding/asn1 is the oracle for what ecdsa reads.
func TestInASN1(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32, 48, 66} {
		values := [][]byte{make([]byte, size), bytes.Repeat([]byte{0xff}, size), bytes.Repeat([]byte{0x7f}, size)}
		for zeros := range size { // a first byte just below, at and above the sign bit, behind any number of zeros
			for _, first := range []byte{0x01, 0x7f, 0x80, 0xff} {
				v := make([]byte, size)
				_, _ = rand.Read(v[zeros:])
				v[zeros] = first
				values = append(values, v)
			}
		}
		for _, r := range values {
			for _, s := range values {
				want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
				require.NoError(t, err)
				require.Equal(t, want, inASN1(r, s))
			}
		}
	}
}

func TestZeroIsNoSignature(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ES256", "ES384", "ES512"} {
		a := algorithmNamed(name)
		key, err := ecdsa.GenerateKey(a.curve, rand.Reader)
		require.NoError(t, err)
		size := (a.curve.Params().BitSize + 7) / 8
		r, s, err := ecdsa.Sign(rand.Reader, key, a.digest([]byte("input")))
		require.NoError(t, err)
		good := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		require.True(t, a.verify(&key.PublicKey, []byte("input"), good))
		for _, sig := range [][]byte{
			make([]byte, 2*size),
			append(make([]byte, size), good[size:]...),
			append(bytes.Clone(good[:size]), make([]byte, size)...),
			append(order(a.curve, size), good[size:]...),
		} {
			require.False(t, a.verify(&key.PublicKey, []byte("input"), sig))
		}
	}
}

func order(curve elliptic.Curve, size int) []byte {
	return curve.Params().N.FillBytes(make([]byte, size))
}

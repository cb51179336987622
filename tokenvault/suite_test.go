package tokenvault

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// Not parallel: what is given back, another may take.
func TestWorkGivenBackHoldsNoKey(t *testing.T) {
	w := new(work)
	for i := range w.cek {
		w.cek[i] = 7
	}
	copy(w.block[:], w.cek[:])
	w.giveBack()
	require.Zero(t, w.cek)
	require.Zero(t, w.block)
}

func TestKeyMaterialIsWipedOnceRead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{31, kekLen} {
		material := bytes.Repeat([]byte{7}, n)
		_ = new(key).setSymmetric(material)
		require.Equal(t, make([]byte, n), material)
	}
}

// GCM keeps its promises only while no two values share a content key and a
// nonce: each value has a key that nobody can guess.
func TestEveryValueHasAContentKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, s := range []suite{symmetric, public} {
		r := newRing(t, s)
		seen := map[[cekLen]byte]bool{{}: true}
		for range 16 {
			w := new(work)
			h, err := w.parse(mustSeal(t, r, "hunter2", Label{}))
			require.NoError(t, err)
			require.True(t, r.set().ordered[0].unwrapKey(&w.keyWrap, h.epk))
			require.False(t, seen[w.cek])
			seen[w.cek] = true
		}
	}
}

// spoiled decrypts as the AES of a key does, but for the integrity check value,
// which comes out last.
type spoiled struct {
	cipher.Block
	n *int
}

func (s spoiled) Decrypt(dst, src []byte) {
	s.Block.Decrypt(dst, src)
	if *s.n++; *s.n == 6*cekRegs {
		dst[0] ^= 1
	}
}

// The content key is right, and would open the value.
func TestIntegrityOfTheWrappedKeyIsChecked(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	k := r.set().ordered[0]
	sealed := mustSeal(t, r, "hunter2", Label{})
	mustOpen(t, r, sealed, Use{})
	k.kek = spoiled{k.kek, new(int)}
	requireRefused(t, r, sealed, Use{}, ErrOpen, "RFC 3394 section 2.2.3")
	mustOpen(t, r, sealed, Use{})
}

// agreed is an agreement that has been made elsewhere.
type agreed struct {
	z   []byte
	err error
}

func (a agreed) ECDH(*ecdh.PublicKey) ([]byte, error) { return a.z, a.err }

func TestKeyAgreement(t *testing.T) {
	t.Parallel()
	r := newRing(t, public)
	k := r.set().ordered[0]
	sealed := mustSeal(t, r, "hunter2", Label{})
	k.priv = agreed{err: errors.New("hunter2")}
	requireRefused(t, r, sealed, Use{AllowPublic: true}, ErrOpen, "a failure")
	z := bytes.Repeat([]byte{7}, 32)
	k.priv = agreed{z: z}
	requireRefused(t, r, sealed, Use{AllowPublic: true}, ErrOpen, "another secret")
	require.Equal(t, make([]byte, 32), z, "what was agreed on is wiped")
	priv, err := ecdh.P384().GenerateKey(rand.Reader)
	require.NoError(t, err)
	k.pub = priv.PublicKey()
	_, err = r.Seal(t.Context(), []byte("hunter2"), Label{})
	require.Error(t, err, "a key on another curve")
}

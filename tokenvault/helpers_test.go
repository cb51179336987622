package tokenvault

import (
	"context"
	"crypto/cipher"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// newJWK returns a new key of a suite with a key id that tests can name.
func newJWK(t testing.TB, s suite, kid string) map[string]string {
	t.Helper()
	make := NewKey
	if s == public {
		make = NewKeyPair
	}
	b, err := make()
	require.NoError(t, err)
	var jwk map[string]string
	require.NoError(t, json.Unmarshal(b, &jwk))
	jwk["kid"] = kid
	return jwk
}

func ringOf(t testing.TB, jwks ...map[string]string) *Keyring {
	t.Helper()
	set, err := json.Marshal(map[string]any{"keys": jwks})
	require.NoError(t, err)
	r, err := ParseKeyring(set)
	require.NoError(t, err)
	return r
}

func newRing(t testing.TB, s suite) *Keyring { return ringOf(t, newJWK(t, s, "k1")) }

func mustSeal(t testing.TB, s Sealer, plaintext string, l Label) string {
	t.Helper()
	sealed, err := s.Seal(context.Background(), []byte(plaintext), l)
	require.NoError(t, err)
	return sealed
}

func mustOpen(t testing.TB, s Sealer, sealed string, use Use) (string, Label) {
	t.Helper()
	plaintext, l, err := s.Open(context.Background(), sealed, use)
	require.NoError(t, err)
	return string(plaintext), l
}

// requireRefused demands that Open gives nothing but an error, with a text
// that quotes none of the secrets.
func requireRefused(t testing.TB, s Sealer, sealed string, use Use, want error, rule string) {
	t.Helper()
	plaintext, l, err := s.Open(context.Background(), sealed, use)
	require.ErrorIs(t, err, want, rule)
	require.Nil(t, plaintext, rule)
	require.Equal(t, Label{}, l, rule)
	for secret := range strings.SplitSeq(sealed+".hunter2", ".") {
		if len(secret) > 6 {
			require.NotContains(t, err.Error(), secret, rule)
		}
	}
}

// counted makes the ring count what it does with its keys from now on.
func counted(r *Keyring) *atomic.Int64 {
	n := new(atomic.Int64)
	for _, k := range r.set().ordered {
		if k.kek != nil {
			k.kek = countedBlock{k.kek, n}
		}
		if k.priv != nil {
			k.priv = countedAgreement{k.priv, n}
		}
	}
	return n
}

type countedBlock struct {
	cipher.Block
	n *atomic.Int64
}

func (c countedBlock) Decrypt(dst, src []byte) { c.n.Add(1); c.Block.Decrypt(dst, src) }

type countedAgreement struct {
	agreement
	n *atomic.Int64
}

func (c countedAgreement) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	c.n.Add(1)
	return c.agreement.ECDH(remote)
}

// headerOf returns the decoded header of a sealed string.
func headerOf(t testing.TB, sealed string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(sealed, ".")[1])
	require.NoError(t, err)
	return string(b)
}

// withHeader puts another header into a sealed string.
func withHeader(sealed, header string) string {
	return withSegment(sealed, 1, base64.RawURLEncoding.EncodeToString([]byte(header)))
}

// withSegment replaces the i-th dot-separated part; the prefix is part 0.
func withSegment(sealed string, i int, segment string) string {
	parts := strings.Split(sealed, ".")
	parts[i] = segment
	return strings.Join(parts, ".")
}

package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 8725 section 3.1: the algorithm is a property of the key.
func TestAlgorithmFitsItsKeysAlone(t *testing.T) {
	t.Parallel()
	keys := map[string]crypto.PublicKey{
		"RSA": &rsa.PublicKey{}, "Ed25519": ed25519.PublicKey{}, "none of these": []byte("secret"),
		"P-256": &ecdsa.PublicKey{Curve: elliptic.P256()}, "P-384": &ecdsa.PublicKey{Curve: elliptic.P384()}, "P-521": &ecdsa.PublicKey{Curve: elliptic.P521()},
	}
	want := map[string]string{
		"EdDSA": "Ed25519", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521",
		"PS256": "RSA", "PS384": "RSA", "PS512": "RSA", "RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
	}
	require.Len(t, algorithms, len(want))
	for i := range algorithms {
		a := &algorithms[i]
		for kind, pub := range keys {
			require.Equal(t, want[a.name] == kind, a.fits(pub), "%s with %s", a.name, kind)
		}
		require.False(t, a.verify(keys["none of these"], nil, nil), a.name)
	}
}

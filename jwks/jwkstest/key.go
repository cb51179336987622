package jwkstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"

	"github.com/go-jose/go-jose/v4"
)

// Key is a signing key. Its fields may be changed before it is published.
type Key struct {
	KID, Alg string // as header and JWK name them; Alg also decides how Sign signs

	tb      TB
	private crypto.Signer
}

var methods = map[string]struct {
	hash  crypto.Hash
	curve elliptic.Curve
	pss   bool
}{
	"EdDSA": {},
	"ES256": {hash: crypto.SHA256, curve: elliptic.P256()},
	"ES384": {hash: crypto.SHA384, curve: elliptic.P384()},
	"ES512": {hash: crypto.SHA512, curve: elliptic.P521()},
	"PS256": {hash: crypto.SHA256, pss: true},
	"PS384": {hash: crypto.SHA384, pss: true},
	"PS512": {hash: crypto.SHA512, pss: true},
	"RS256": {hash: crypto.SHA256},
	"RS384": {hash: crypto.SHA384},
	"RS512": {hash: crypto.SHA512},
}

// NewKey generates a key for alg, one of jwks.Issuer.Algorithms; RSA keys have
// 2048 bits.
func NewKey(tb TB, alg, kid string) *Key {
	tb.Helper()
	m, ok := methods[alg]
	if !ok {
		tb.Fatalf("jwkstest: no algorithm %q", alg)
	}
	k := &Key{KID: kid, Alg: alg, tb: tb}
	var err error
	switch {
	case m.curve != nil:
		k.private, err = ecdsa.GenerateKey(m.curve, rand.Reader)
	case m.hash != 0:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		tb.Fatalf("jwkstest: %v", err)
	}
	return k
}

// JWK is the public key as the issuer publishes it: kty, its numbers, kid, alg
// and "use":"sig", with the members of change added or, if nil, left out.
func (k *Key) JWK(change map[string]any) json.RawMessage {
	k.tb.Helper()
	raw, err := json.Marshal(jose.JSONWebKey{Key: k.private.Public(), KeyID: k.KID, Algorithm: k.Alg, Use: "sig"})
	if err != nil {
		k.tb.Fatalf("jwkstest: %v", err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(raw, &members); err != nil {
		k.tb.Fatalf("jwkstest: %v", err)
	}
	return marshal(k.tb, merge(members, change))
}

// Sign makes a compact JWS of any header and payload, as they stand, even if
// they are no JSON. The signature is made with k's own algorithm, whatever the
// header says.
func (k *Key) Sign(header, payload []byte) string {
	k.tb.Helper()
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(k.signature([]byte(input)))
}

func (k *Key) signature(input []byte) []byte {
	m := methods[k.Alg]
	digest, options := input, crypto.SignerOpts(m.hash)
	if m.hash != 0 {
		h := m.hash.New()
		h.Write(input)
		digest = h.Sum(nil)
	}
	if m.pss {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.hash}
	}
	if key, ok := k.private.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			k.tb.Fatalf("jwkstest: %v", err)
		}
		size := (key.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	sig, err := k.private.Sign(rand.Reader, digest, options)
	if err != nil {
		k.tb.Fatalf("jwkstest: %v", err)
	}
	return sig
}

func merge(members, change map[string]any) map[string]any {
	for name, value := range change {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
	return members
}

func marshal(tb TB, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatalf("jwkstest: %v", err)
	}
	return raw
}

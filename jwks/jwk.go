package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// key is one usable signature key of a set.
type key struct {
	kid, alg string // as the JWK has them; both may be empty
	pub      crypto.PublicKey
}

// Why a key of a set is not used.
var (
	errKeyForm    = errors.New("not a JSON object with a string kty, kid, alg and use")
	errKeyPrivate = errors.New("holds a private or symmetric key")
	errKeyUse     = errors.New("not for verifying signatures (use, key_ops)")
	errKeyParse   = errors.New("not understood or broken")
	errKeyWeak    = errors.New("RSA modulus not 2048 to 8192 bits, or exponent not odd, 3 to 2^31-1")
	errKeyROCA    = errors.New("RSA modulus is weak (ROCA)")
	errKeyAlg     = errors.New("fits no accepted algorithm")
)

// parseJWK reads one JWK (RFC 7517 section 4). go-jose turns coordinates into a
// key; what the key may be used for is decided here. On an error k is not
// usable, but its kid may be known.
func parseJWK(raw string) (k key, err error) {
	var use, operations, kty, n, e string
	private, typed := false, true
	take := func(dst *string, raw string) {
		var ok bool
		*dst, ok = text(raw)
		typed = typed && ok
	}
	ok := members(raw, func(name, value string) {
		switch name {
		case "kid":
			take(&k.kid, value)
		case "alg":
			take(&k.alg, value)
			typed = typed && k.alg != ""
		case "kty":
			take(&kty, value)
		case "n":
			take(&n, value)
		case "e":
			take(&e, value)
		case "use":
			take(&use, value)
			typed = typed && use != ""
		case "key_ops":
			operations = value
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
			private = true
		}
	})
	switch {
	case !ok || !typed:
		return k, errKeyForm
	case private:
		return k, errKeyPrivate
	case (use != "" && use != "sig") || !mayVerify(operations):
		return k, errKeyUse
	}
	if kty == "RSA" {
		k.pub, err = rsaKey(n, e)
		return k, err
	}
	var j jose.JSONWebKey
	if err := j.UnmarshalJSON([]byte(raw)); err != nil {
		return k, errKeyParse
	}
	switch j.Key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey: // on its curve, of its length
		k.pub = j.Key
		return k, nil
	}
	return k, errKeyParse
}

// rsaKey reads n and e (RFC 7518 section 6.3.1). go-jose stops at 4096 bits.
func rsaKey(n, e string) (*rsa.PublicKey, error) {
	modulus, err1 := compact.DecodeString(n)
	exponent, err2 := compact.DecodeString(e)
	if err1 != nil || err2 != nil {
		return nil, errKeyParse
	}
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus)}
	x := new(big.Int).SetBytes(exponent)
	bits := pub.N.BitLen()
	if bits < 2048 || bits > 8192 || pub.N.Bit(0) == 0 || x.BitLen() > 31 || x.Bit(0) == 0 || x.Int64() < 3 {
		return nil, errKeyWeak
	}
	if rocaWeak(pub.N) {
		return nil, errKeyROCA
	}
	pub.E = int(x.Int64())
	return pub, nil
}

// mayVerify judges key_ops, which must be distinct (RFC 7517 section 4.3).
func mayVerify(raw string) bool {
	if raw == "" {
		return true
	}
	operations, ok := texts(raw)
	return ok && distinct(operations) && slices.Contains(operations, "verify")
}

// fits reports whether k may verify a: by its type, and by its own alg if it
// names one.
func (k *key) fits(a *algorithm) bool {
	return (k.alg == "" || k.alg == a.name) && a.fits(k.pub)
}

// print identifies k: equal prints, equal verdicts.
func (k *key) print() ([sha256.Size]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.pub)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(fmt.Appendf(der, " %q %q", k.kid, k.alg)), nil
}

package jwks

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
)

// algorithm is one of the asymmetric signature algorithms of RFC 7518 section
// 3.1 and RFC 8037 section 3.1. There are no others: neither none nor HMAC can
// be configured (RFC 8725 sections 3.1 and 3.2).
type algorithm struct {
	name  string
	hash  crypto.Hash
	curve elliptic.Curve // ECDSA alone: the only curve of the algorithm
	pss   bool
}

// algorithms is in the order of the default for Issuer.Algorithms.
var algorithms = []algorithm{
	{name: "EdDSA"},
	{name: "ES256", hash: crypto.SHA256, curve: elliptic.P256()},
	{name: "ES384", hash: crypto.SHA384, curve: elliptic.P384()},
	{name: "ES512", hash: crypto.SHA512, curve: elliptic.P521()},
	{name: "PS256", hash: crypto.SHA256, pss: true},
	{name: "PS384", hash: crypto.SHA384, pss: true},
	{name: "PS512", hash: crypto.SHA512, pss: true},
	{name: "RS256", hash: crypto.SHA256},
	{name: "RS384", hash: crypto.SHA384},
	{name: "RS512", hash: crypto.SHA512},
}

func algorithmNamed(name string) *algorithm {
	for i := range algorithms {
		if algorithms[i].name == name {
			return &algorithms[i]
		}
	}
	return nil
}

// fits reports whether pub is a key for a: the algorithm is a property of the
// key, never the token's choice.
func (a *algorithm) fits(pub crypto.PublicKey) bool {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return a.hash != 0 && a.curve == nil
	case *ecdsa.PublicKey:
		return a.curve == pub.Curve
	case ed25519.PublicKey:
		return a.hash == 0
	}
	return false
}

// verify reports whether sig is a's signature by pub over input. pub fits a.
func (a *algorithm) verify(pub crypto.PublicKey, input, sig []byte) bool {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if a.pss { // the salt is as long as the hash: RFC 7518 section 3.5
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.VerifyPSS(pub, a.hash, a.digest(input), sig, options) == nil
		}
		return rsa.VerifyPKCS1v15(pub, a.hash, a.digest(input), sig) == nil
	case *ecdsa.PublicKey: // R || S, each as long as the curve's order: section 3.4
		size := (a.curve.Params().BitSize + 7) / 8
		if len(sig) != 2*size {
			return false
		}
		return ecdsa.VerifyASN1(pub, a.digest(input), inASN1(sig[:size], sig[size:]))
	case ed25519.PublicKey:
		return ed25519.Verify(pub, input, sig)
	}
	return false
}

// inASN1 is the form of an ECDSA signature in RFC 3279 section 2.2.3. A zero among
// r and s stays one, and ecdsa refuses it.
func inASN1(r, s []byte) []byte {
	const long = 0x80          // from this length on, its first byte counts the bytes of the length
	var buf [3 + 2*(3+66)]byte // P-521
	body := appendInteger(appendInteger(buf[3:3], r), s)
	if len(body) < long {
		buf[1], buf[2] = 0x30, byte(len(body))
		return buf[1 : 3+len(body)]
	}
	buf[0], buf[1], buf[2] = 0x30, long|1, byte(len(body))
	return buf[:3+len(body)]
}

// appendInteger appends the unsigned b in as few bytes as ASN.1 has for it.
func appendInteger(dst, b []byte) []byte {
	b = bytes.TrimLeft(b, "\x00")
	if len(b) == 0 || b[0] >= 0x80 { // it would read as empty, or as negative
		dst = append(dst, 2, byte(len(b)+1), 0)
	} else {
		dst = append(dst, 2, byte(len(b)))
	}
	return append(dst, b...)
}

func (a *algorithm) digest(input []byte) []byte {
	switch a.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(input)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return sum[:]
	default:
		sum := sha512.Sum512(input)
		return sum[:]
	}
}

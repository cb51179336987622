package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

var b64 = base64.RawURLEncoding.EncodeToString

func rsaJWK(n *big.Int, e int64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"kty":"RSA","kid":"r","n":%q,"e":%q}`, b64(n.Bytes()), b64(big.NewInt(e).Bytes())))
}

// A static key that must not be used is an error that says why; in a fetched
// set it is skipped.
func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	ec, good := jwkstest.NewKey(t, "ES256", "e"), iss.Keys()[0]
	n := rsaKey().N
	odd := func(bits int) *big.Int { // of the size, not that anybody could factor it
		x, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
		require.NoError(t, err)
		return x.SetBit(x, bits-1, 1).SetBit(x, 0, 1)
	}
	for _, row := range []struct {
		rule, why string
		jwk       json.RawMessage
	}{
		{"use enc", "not for verifying", ec.JWK(object{"use": "enc"})},
		{"use unknown", "not for verifying", ec.JWK(object{"use": "SIG"})},
		{"use empty", "not a JSON object", ec.JWK(object{"use": ""})},
		{"use a list", "not a JSON object", ec.JWK(object{"use": []string{"sig"}})},
		{"key_ops sign", "not for verifying", ec.JWK(object{"key_ops": []string{"sign"}})},
		{"key_ops empty", "not for verifying", ec.JWK(object{"key_ops": []string{}})},
		{"key_ops twice", "not for verifying", ec.JWK(object{"key_ops": []string{"verify", "verify"}})},
		{"key_ops mixed", "not for verifying", ec.JWK(object{"key_ops": []any{"verify", 1}})},
		{"key_ops a string", "not for verifying", ec.JWK(object{"key_ops": "verify"})},
		{"key_ops without use", "not for verifying", ec.JWK(object{"use": nil, "key_ops": []string{"encrypt"}})},
		{"use enc with key_ops verify", "not for verifying", ec.JWK(object{"use": "enc", "key_ops": []string{"verify"}})},
		{"alg of another curve", "fits no accepted", ec.JWK(object{"alg": "ES384"})},
		{"alg of another type", "fits no accepted", ec.JWK(object{"alg": "RS256"})},
		{"alg of encryption", "fits no accepted", ec.JWK(object{"alg": "ECDH-ES"})},
		{"alg empty", "not a JSON object", ec.JWK(object{"alg": ""})},
		{"kid a number", "not a JSON object", ec.JWK(object{"kid": 7})},
		{"kid a number, alg behind it", "not a JSON object", json.RawMessage(`{"kid":7,` + string(ec.JWK(object{"kid": nil})[1:]))},
		{"private", "private or symmetric", ec.JWK(object{"d": b64(make([]byte, 32))})},
		{"symmetric", "private or symmetric", json.RawMessage(`{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256"}`)},
		{"a member twice", "not a JSON object", json.RawMessage(`{"kid":"a",` + string(ec.JWK(nil)[1:]))},
		{"curve mislabelled", "broken", ec.JWK(object{"crv": "P-384"})},
		{"padding character", "broken", ec.JWK(object{"x": b64(make([]byte, 32)) + "="})},
		{"RSA 1024", "2048 to 8192", rsaJWK(odd(1024), 65537)},
		{"RSA 2047", "2048 to 8192", rsaJWK(odd(2047), 65537)},
		{"RSA 8193", "2048 to 8192", rsaJWK(odd(8193), 65537)},
		{"RSA even", "2048 to 8192", rsaJWK(new(big.Int).Add(n, big.NewInt(1)), 65537)},
		{"e = 1", "2048 to 8192", rsaJWK(n, 1)},
		{"e = 2", "2048 to 8192", rsaJWK(n, 2)},
		{"e = 0", "2048 to 8192", rsaJWK(n, 0)},
		{"n absent", "2048 to 8192", json.RawMessage(`{"kty":"RSA","kid":"r","e":"AQAB"}`)},
		{"n with padding", "broken", json.RawMessage(`{"kty":"RSA","kid":"r","n":"` + b64(n.Bytes()) + `=","e":"AQAB"}`)},
		{"e with padding", "broken", json.RawMessage(`{"kty":"RSA","kid":"r","n":"` + b64(n.Bytes()) + `","e":"AQAB="}`)},
		{"e even", "2048 to 8192", rsaJWK(n, 65536)},
		{"e beyond 31 bits", "2048 to 8192", rsaJWK(n, 1<<32+1)},
		{"ROCA", "ROCA", rsaJWK(rocaModulus(t), 65537)},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			_, err := static(t, iss, row.jwk)
			require.ErrorContains(t, err, "jwks: Config.Issuers[0].Keys: no usable key: keys[0]: ")
			require.ErrorContains(t, err, row.why)
			v, err := static(t, iss, row.jwk, good.JWK(nil))
			require.NoError(t, err)
			require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
			require.ErrorIs(t, verify(t, v, iss.SignWith(ec, nil, iss.Claims(api))), jwks.ErrUnknownKey)
		})
	}
}

// rocaModulus is made as RSALib did it, of factors k*M + (65537^a mod M), but for
// their being prime, which the fingerprint does not show.
func rocaModulus(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for p := int64(3); p <= 701; p += 2 {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
		}
	}
	factor := func() *big.Int {
		a, err := rand.Int(rand.Reader, m)
		require.NoError(t, err)
		p := a.Exp(big.NewInt(65537), a, m)
		k := new(big.Int).Lsh(big.NewInt(1), 1024)
		return p.Add(p, k.Sub(k, m).Div(k, m).Mul(k, m))
	}
	n := new(big.Int).Mul(factor(), factor())
	require.Equal(t, 2048, n.BitLen())
	return n
}

// Keys at the edge of what is accepted.
func TestKeysThatAreAccepted(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	ec := jwkstest.NewKey(t, "ES256", "e")
	for rule, jwk := range map[string]json.RawMessage{
		"as published":        ec.JWK(nil),
		"no use, no alg":      ec.JWK(object{"use": nil, "alg": nil}),
		"key_ops verify":      ec.JWK(object{"use": nil, "key_ops": []string{"verify"}}),
		"key_ops more":        ec.JWK(object{"key_ops": []string{"sign", "verify"}}),
		"unknown members":     ec.JWK(object{"nbf": 1, "x-vendor": object{"a": 1}}),
		"names in other case": ec.JWK(object{"USE": "enc", "Kid": "x"}),
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			v, err := static(t, iss, jwk)
			require.NoError(t, err)
			require.NoError(t, verify(t, v, iss.SignWith(ec, nil, iss.Claims(api))))
		})
	}
	key := rsaKey()
	for _, bits := range []int{2048, 8192} {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		_, err := static(t, iss, rsaJWK(n.SetBit(n, 0, 1), 65537))
		require.NoError(t, err, "%d bits", bits)
	}
	for _, e := range []int64{3, 65537, 1<<31 - 1} {
		_, err := static(t, iss, rsaJWK(key.N, e))
		require.NoError(t, err, "e = %d", e)
	}
}

func TestDuplicateKid(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	a, b := jwkstest.NewKey(t, "ES256", "same"), jwkstest.NewKey(t, "ES256", "same")
	ed, none := jwkstest.NewKey(t, "EdDSA", "same"), jwkstest.NewKey(t, "ES256", "same")
	v, err := static(t, iss, a.JWK(nil), b.JWK(nil), ed.JWK(nil), none.JWK(object{"use": "enc"}))
	require.NoError(t, err)
	for _, k := range []*jwkstest.Key{a, b, ed} {
		require.NoError(t, verify(t, v, iss.SignWith(k, nil, iss.Claims(api))))
	}
	require.ErrorIs(t, verify(t, v, iss.SignWith(none, nil, iss.Claims(api))), jwks.ErrSignature)
}

func TestTokenWithoutKid(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	a, b := jwkstest.NewKey(t, "ES256", "a"), jwkstest.NewKey(t, "ES256", "b")
	ed := jwkstest.NewKey(t, "EdDSA", "")
	bare := func(k *jwkstest.Key) string { return iss.SignWith(k, object{"kid": nil}, iss.Claims(api)) }
	v, err := static(t, iss, a.JWK(nil), ed.JWK(object{"kid": nil}))
	require.NoError(t, err)
	require.NoError(t, verify(t, v, bare(a)), "the only one that fits")
	require.NoError(t, verify(t, v, bare(ed)))
	require.ErrorIs(t, verify(t, v, bare(b)), jwks.ErrSignature)
	twice := staticIssuer(t, iss, a.JWK(nil))
	twice.Algorithms = []string{"ES256", "ES256"}
	v2, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{twice}})
	require.NoError(t, err)
	require.NoError(t, verify(t, v2, bare(a)), "an algorithm listed twice is one")
	require.ErrorIs(t, verify(t, v, iss.SignWith(ed, object{"kid": "x"}, iss.Claims(api))), jwks.ErrUnknownKey,
		"a key without kid is no key of every kid")
	v, err = static(t, iss, a.JWK(nil), b.JWK(nil))
	require.NoError(t, err)
	require.ErrorIs(t, verify(t, v, bare(a)), jwks.ErrUnknownKey, "two fit")
}

// In a set of symmetric and asymmetric keys only the latter count, and a public
// key is no HMAC secret (RFC 8725 section 2.1).
func TestMixedSet(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key := jwkstest.NewKey(t, "ES256", "same")
	v, err := static(t, iss, json.RawMessage(`{"kty":"oct","kid":"same","k":"c2VjcmV0"}`), key.JWK(nil))
	require.NoError(t, err)
	require.NoError(t, verify(t, v, iss.SignWith(key, nil, iss.Claims(api))))
	require.ErrorIs(t, verify(t, v, iss.SignWith(key, object{"alg": "HS256"}, iss.Claims(api))), jwks.ErrSignature)
}

func TestPSSSaltLength(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key := rsaKey()
	v, err := static(t, iss, rsaJWK(key.N, int64(key.E)))
	require.NoError(t, err)
	claims, err := json.Marshal(iss.Claims(api))
	require.NoError(t, err)
	input := b64([]byte(`{"alg":"PS256","kid":"r","typ":"at+jwt"}`)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(input))
	for salt, want := range map[int]error{32: nil, 0 /* maximal */ : jwks.ErrSignature, 20: jwks.ErrSignature, 31: jwks.ErrSignature, 64: jwks.ErrSignature} {
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		require.NoError(t, err)
		require.ErrorIs(t, verify(t, v, input+"."+b64(sig)), want, "salt %d", salt)
	}
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	require.NoError(t, err)
	require.ErrorIs(t, verify(t, v, input+"."+b64(sig)), jwks.ErrSignature, "PKCS #1 v1.5 is not PSS")
}

// R and S are as long as the order, and DER is another format.
func TestECDSASignatureFormat(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	raw, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	v, err := static(t, iss, json.RawMessage(fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"e","x":%q,"y":%q}`, b64(raw[1:33]), b64(raw[33:]))))
	require.NoError(t, err)
	claims, err := json.Marshal(iss.Claims(api))
	require.NoError(t, err)
	input := b64([]byte(`{"alg":"ES256","kid":"e","typ":"at+jwt"}`)) + "." + b64(claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	require.NoError(t, err)
	der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	require.NoError(t, err)
	order := key.Params().N
	pair := func(r, s *big.Int, size int) []byte {
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	zero := new(big.Int)
	for rule, sig := range map[string][]byte{
		"DER": der, "too long": pair(r, s, 33), "r = 0": pair(zero, s, 32), "s = 0": pair(r, zero, 32), "r = s = 0": pair(zero, zero, 32),
		"s = n": pair(r, order, 32), "r = n": pair(order, s, 32), "swapped": pair(s, r, 32),
	} {
		require.ErrorIs(t, verify(t, v, input+"."+b64(sig)), jwks.ErrSignature, rule)
	}
	require.NoError(t, verify(t, v, input+"."+b64(pair(r, s, 32))))
}

package jwks_test

import (
	"encoding/json"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// RFC 8725, "JSON Web Token Best Current Practices", section by section: each
// row is an attack that its section is about, and the rule that stops it.
func TestRFC8725(t *testing.T) {
	t.Parallel()
	iss, other := jwkstest.NewIssuer(t, "ES256"), jwkstest.NewIssuer(t, "ES256")
	other.URL = "https://other.test"
	key, weak := iss.Keys()[0], jwkstest.NewKey(t, "RS256", "weak")
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Issuers = []jwks.Issuer{
			staticIssuer(t, iss, key.JWK(nil), weak.JWK(object{"n": b64(rsaKey().N.Bytes()[:128])})),
			staticIssuer(t, other, other.Keys()[0].JWK(nil)),
		}
		c.Issuers[0].Algorithms = []string{"ES256", "RS256"}
	})
	claims := iss.Claims(api)
	good := iss.Sign(claims)
	for _, row := range []struct {
		section, attack, token string
		want                   error
	}{
		{"3.1", "alg none", iss.SignWith(key, object{"alg": "none"}, claims), jwks.ErrSignature},
		{"3.1", "alg HS256 with the public key as secret", iss.SignWith(key, object{"alg": "HS256"}, claims), jwks.ErrSignature},
		{"3.1", "alg of another key type", iss.SignWith(key, object{"alg": "RS256"}, claims), jwks.ErrUnknownKey},
		{"3.2", "alg that the issuer may not use", iss.SignWith(key, object{"alg": "ES384"}, claims), jwks.ErrSignature},
		{"3.3", "a second signature layer that nobody checks", key.Sign([]byte(`{"alg":"ES256","kid":"key-1","cty":"JWT"}`), []byte(good)), jwks.ErrMalformed},
		{"3.4", "signature of zeros", good[:len(good)-86] + b64(make([]byte, 64)), jwks.ErrSignature},
		{"3.5", "a key with too little entropy", iss.SignWith(weak, nil, claims), jwks.ErrUnknownKey},
		{"3.6", "encryption, compressed or not", "e30.e30.e30.e30.e30", jwks.ErrMalformed},
		{"3.7", "not UTF-8", key.Sign([]byte("{\"alg\":\"ES256\",\"kid\":\"\xff\"}"), []byte(`{}`)), jwks.ErrMalformed},
		{"3.8", "the issuer's name on another issuer's signature", iss.SignWith(other.Keys()[0], nil, claims), jwks.ErrSignature},
		{"3.8", "an issuer that nobody trusts", iss.Sign(with(claims, object{"iss": "https://evil.test"})), jwks.ErrIssuer},
		{"3.8", "no issuer", iss.Sign(with(claims, object{"iss": nil})), jwks.ErrIssuer},
		{"3.9", "another audience", iss.Sign(with(claims, object{"aud": "https://other.example"})), jwks.ErrAudience},
		{"3.9", "no audience", iss.Sign(with(claims, object{"aud": nil})), jwks.ErrAudience},
		{"3.10", "kid as a path", iss.SignWith(key, object{"kid": "../../dev/null"}, claims), jwks.ErrUnknownKey},
		{"3.10", "kid as SQL", iss.SignWith(key, object{"kid": "' OR 1=1 --"}, claims), jwks.ErrUnknownKey},
		{"3.10", "jku", iss.SignWith(key, object{"jku": "https://evil.test"}, claims), jwks.ErrMalformed},
		{"3.10", "x5u", iss.SignWith(key, object{"x5u": "https://evil.test"}, claims), jwks.ErrMalformed},
		{"3.10", "jwk", iss.SignWith(weak, object{"jwk": weak.JWK(nil)}, claims), jwks.ErrMalformed},
		{"3.11", "no type", iss.SignWith(key, object{"typ": nil}, claims), jwks.ErrType},
		{"3.11", "the type of another use", iss.SignWith(key, object{"typ": "logout+jwt"}, claims), jwks.ErrType},
		{"3.12", "an ID token", iss.SignWith(key, object{"typ": "JWT"}, with(claims, object{"nonce": "n"})), jwks.ErrType},
	} {
		t.Run(row.section+" "+row.attack, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, verify(t, v, row.token), row.want)
		})
	}
	require.NoError(t, verify(t, v, good))
	require.NoError(t, verify(t, v, other.Sign(other.Claims(api))))
	require.True(t, json.Valid(key.JWK(nil)))
}

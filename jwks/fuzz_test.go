package jwks_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

// FuzzVerify: Verify never panics, and never accepts what go-jose refuses with
// the same key pinned.
func FuzzVerify(f *testing.F) {
	iss := jwkstest.NewIssuer(f, "EdDSA", "ES256", "RS256")
	var keys []json.RawMessage
	pinned := map[string]any{}
	for _, k := range iss.Keys() {
		keys = append(keys, k.JWK(nil))
		var parsed jose.JSONWebKey
		if err := parsed.UnmarshalJSON(k.JWK(nil)); err != nil {
			f.Fatal(err)
		}
		pinned[k.Alg] = parsed.Key
	}
	v, err := static(f, iss, keys...)
	if err != nil {
		f.Fatal(err)
	}
	claims := iss.Claims(api)
	claims["exp"] = int64(4000000000)
	good := 0
	for _, k := range iss.Keys() {
		for _, header := range []map[string]any{
			nil, {"kid": nil}, {"alg": "none"}, {"alg": "HS256"}, {"crit": []string{"exp"}}, {"typ": "JWT"}, {"b64": false}, {"jwk": k.JWK(nil)},
		} {
			token := iss.SignWith(k, header, claims)
			if v.Check(context.Background(), token) == nil {
				good++
			}
			f.Add(token)
			f.Add(token + "\n")
			f.Add(strings.Replace(token, ".", "..", 1))
			f.Add(token[:len(token)-1] + "_")
		}
	}
	if good != 6 {
		f.Fatalf("%d of the seeds are good, not 6", good)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if v.Check(context.Background(), token) != nil {
			return
		}
		parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256})
		if err != nil {
			t.Fatalf("accepted what go-jose cannot parse: %v", err)
		}
		if _, err := parsed.Verify(pinned[parsed.Signatures[0].Header.Algorithm]); err != nil {
			t.Fatalf("accepted what go-jose refuses: %v", err)
		}
	})
}

// FuzzHeaderAndClaims signs whatever it is given, so that the signature stops
// nothing: what is accepted must then be what encoding/json reads too.
func FuzzHeaderAndClaims(f *testing.F) {
	iss := jwkstest.NewIssuer(exampleTB{}, "EdDSA") // it signs inside the target, where f may not help
	key := iss.Keys()[0]
	v, err := static(f, iss, key.JWK(nil))
	if err != nil {
		f.Fatal(err)
	}
	header := `{"alg":"EdDSA","kid":"` + key.KID + `","typ":"at+jwt"}`
	payload := `{"iss":"` + iss.URL + `","aud":"` + api + `","exp":4000000000}`
	for _, add := range []string{"", `,"EXP":1`, `,"exp":1`, `,"cnf":{}`, `,"nbf":1e9`, `,"scope":["a"]`, `,"x":{"y":[1,{}]}`} {
		f.Add(header, payload[:len(payload)-1]+add+"}")
		f.Add(header[:len(header)-1]+add+"}", payload)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		c, err := v.Verify(context.Background(), key.Sign([]byte(header), []byte(payload)))
		if err != nil {
			if c != (jwks.Claims{}) {
				t.Fatal("claims beside an error")
			}
			return
		}
		var h, p map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &p) != nil {
			t.Fatalf("accepted %q . %q", header, payload)
		}
		if _, bound := p["cnf"]; bound || h["alg"] != "EdDSA" || h["crit"] != nil || p["iss"] != iss.URL || c.Issuer() != iss.URL || !c.HasAudience(api) {
			t.Fatalf("accepted %q . %q", header, payload)
		}
		if exp, ok := p["exp"].(float64); !ok || int64(exp) != c.Expires().Unix() {
			t.Fatalf("exp %v is %v", p["exp"], c.Expires())
		}
	})
}

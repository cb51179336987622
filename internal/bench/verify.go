package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

const benchAudience = "https://api.example"

// verifyRows measure the verification of an RFC 9068 token of 11 claims: the
// floor is base64, the hash and the signature, and nothing is judged.
func verifyRows() []ratio.Row {
	rows := []ratio.Row{
		verifyRow("RS256", 1.12, 30),
		verifyRow("ES256", 1.05, 40),
		verifyRow("EdDSA", 1.07, 30),
	}
	return append(rows, seenRow(), hostileRow())
}

// verifying is one token and everyone who verifies it.
type verifying struct {
	token string
	set   []byte
	pub   crypto.PublicKey
}

func newVerifying(alg string) verifying {
	iss := jwkstest.NewIssuer(benchTB{}, alg)
	claims := iss.Claims(benchAudience)
	claims["exp"], claims["nbf"], claims["auth_time"] = int64(4000000000), int64(1700000000), int64(1700000000)
	claims["acr"] = "urn:example:silver"
	key := iss.Keys()[0]
	set := must(json.Marshal(map[string]any{"keys": []json.RawMessage{key.JWK(nil)}}))
	var parsed jose.JSONWebKey
	must(0, parsed.UnmarshalJSON(key.JWK(nil)))
	return verifying{token: iss.Sign(claims), set: set, pub: parsed.Key}
}

func (w verifying) verifier(cache int) *jwks.Verifier {
	return must(jwks.New(jwks.Config{CacheSize: cache, Issuers: []jwks.Issuer{{
		URL: "https://issuer.test", Audience: []string{benchAudience}, Keys: w.set,
	}}}))
}

func verifyRow(alg string, atMost float64, allocs int) ratio.Row {
	w := newVerifying(alg)
	v, ctx := w.verifier(-1), context.Background()
	row := ratio.Row{
		Name: "verify " + alg,
		Cases: []ratio.Case{
			{Name: "floor", Run: func(n int) { repeat(n, func() { must(0, w.floor()) }) }},
			{Name: "tokenvault", Run: func(n int) { repeat(n, func() { must(v.Verify(ctx, w.token)) }) }},
		},
		Goals: []ratio.Goal{{Case: "tokenvault", AtMost: atMost, Allocs: allocs}},
	}
	for _, peer := range []struct {
		name   string
		verify func() error
	}{
		{"golang-jwt+keyfunc", w.golangJWT(alg)}, {"go-jose", w.goJOSE(alg)}, {"go-oidc", w.goOIDC(alg)}, {"jwx", w.jwx()},
	} {
		row.Cases = append(row.Cases, ratio.Case{Name: peer.name, Run: func(n int) {
			repeat(n, func() { must(0, peer.verify()) })
		}})
	}
	return row
}

var errFloor = errors.New("the floor's signature is bad")

func (w verifying) floor() error {
	dot := strings.LastIndexByte(w.token, '.')
	header, payload, _ := strings.Cut(w.token[:dot], ".")
	var sig []byte
	for _, part := range []string{header, payload, w.token[dot+1:]} {
		sig = must(base64.RawURLEncoding.DecodeString(part))
	}
	input := []byte(w.token[:dot])
	ok := false
	switch pub := w.pub.(type) {
	case *rsa.PublicKey:
		digest := sha256.Sum256(input)
		ok = rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(input)
		ok = ecdsa.Verify(pub, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, input, sig)
	}
	if !ok {
		return errFloor
	}
	return nil
}

func (w verifying) golangJWT(alg string) func() error {
	keys := must(keyfunc.NewJWKSetJSON(w.set))
	parser := jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithAudience(benchAudience),
		jwt.WithIssuer("https://issuer.test"), jwt.WithExpirationRequired())
	return func() error {
		_, err := parser.Parse(w.token, keys.Keyfunc)
		return err
	}
}

func (w verifying) goJOSE(alg string) func() error {
	var set jose.JSONWebKeySet
	must(0, json.Unmarshal(w.set, &set))
	return func() error {
		token, err := josejwt.ParseSigned(w.token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			return err
		}
		var claims josejwt.Claims
		if err := token.Claims(&set, &claims); err != nil {
			return err
		}
		return claims.Validate(josejwt.Expected{Issuer: "https://issuer.test", AnyAudience: josejwt.Audience{benchAudience}})
	}
}

func (w verifying) goOIDC(alg string) func() error {
	v := oidc.NewVerifier("https://issuer.test", &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{w.pub}},
		&oidc.Config{ClientID: benchAudience, SupportedSigningAlgs: []string{alg}})
	return func() error {
		_, err := v.Verify(context.Background(), w.token)
		return err
	}
}

func (w verifying) jwx() func() error {
	set := must(jwk.Parse(w.set))
	return func() error {
		_, err := jwxjwt.Parse([]byte(w.token), jwxjwt.WithKeySet(set), jwxjwt.WithIssuer("https://issuer.test"), jwxjwt.WithAudience(benchAudience))
		return err
	}
}

// seenRow measures a token that has been verified before.
func seenRow() ratio.Row {
	w := newVerifying("RS256")
	full, seen, ctx := w.verifier(-1), w.verifier(0), context.Background()
	must(seen.Verify(ctx, w.token))
	again := func(n int) { repeat(n, func() { must(seen.Verify(ctx, w.token)) }) }
	return ratio.Row{
		Name: "verify a token seen before",
		Cases: []ratio.Case{
			{Name: "RS256 in full", Run: func(n int) { repeat(n, func() { must(full.Verify(ctx, w.token)) }) }},
			{Name: "tokenvault", Run: again},
			{Name: "tokenvault, 2 goroutines", Run: func(n int) {
				var both sync.WaitGroup
				both.Go(func() { again(n / 2) })
				again(n - n/2)
				both.Wait()
			}},
		},
		Goals: []ratio.Goal{
			{Case: "tokenvault", AtMost: 0.03, Allocs: -1},
			{Case: "tokenvault, 2 goroutines", AtMost: 0.03},
		},
	}
}

// hostileRow shows that refusing does not grow with the token. 0.035 of RS256
// is about a microsecond.
func hostileRow() ratio.Row {
	w := newVerifying("RS256")
	v, ctx := w.verifier(-1), context.Background()
	iss := jwkstest.NewIssuer(benchTB{})
	row := ratio.Row{
		Name:  "refuse a megabyte",
		Cases: []ratio.Case{{Name: "RS256 in full", Run: func(n int) { repeat(n, func() { must(v.Verify(ctx, w.token)) }) }}},
	}
	for name, token := range map[string]string{
		"a million dots": strings.Repeat(".", 1<<20),
		"a megabyte kid": iss.SignWith(iss.Keys()[0], map[string]any{"kid": strings.Repeat("k", 1<<20)}, nil),
	} {
		row.Cases = append(row.Cases, ratio.Case{Name: name, Run: func(n int) {
			repeat(n, func() {
				if v.Check(ctx, token) == nil {
					panic(name + " was accepted")
				}
			})
		}})
		row.Goals = append(row.Goals, ratio.Goal{Case: name, AtMost: 0.035, Allocs: -1})
	}
	return row
}

// benchTB is jwkstest's view of a program that is no test.
type benchTB struct{}

func (benchTB) Helper()                           {}
func (benchTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

package jwks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// Mistakes seen in other verifiers, one test for each.

func TestElsewhere_UpperCaseEXPOverridesExp(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	key := iss.Keys()[0]
	for _, exp := range []string{`"exp":1,"EXP":4000000000`, `"EXP":4000000000,"exp":1`, `"EXP":4000000000`} {
		payload := fmt.Sprintf(`{"iss":%q,"aud":%q,%s}`, iss.URL, api, exp)
		header := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, key.KID)
		require.ErrorIs(t, verify(t, v, key.Sign([]byte(header), []byte(payload))), jwks.ErrExpired)
	}
}

func TestElsewhere_SecondIssWins(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	key := iss.Keys()[0]
	header := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, key.KID)
	for _, name := range []string{"iss", `\u0069ss`} {
		payload := fmt.Sprintf(`{"iss":"https://evil.test","aud":%q,"exp":4000000000,"%s":%q}`, api, name, iss.URL)
		require.ErrorIs(t, verify(t, v, key.Sign([]byte(header), []byte(payload))), jwks.ErrMalformed)
	}
}

func TestElsewhere_UnknownCritIgnored(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	for _, crit := range []any{[]string{"x-unknown"}, []string{}, "x-unknown", json.RawMessage("null")} {
		token := iss.SignWith(iss.Keys()[0], object{"crit": crit, "x-unknown": true}, iss.Claims(api))
		require.ErrorIs(t, verify(t, v, token), jwks.ErrMalformed)
	}
}

func TestElsewhere_ES256WithAP384Key(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key := jwkstest.NewKey(t, "ES384", "p384")
	v, err := static(t, iss, key.JWK(object{"alg": nil}))
	require.NoError(t, err)
	require.NoError(t, verify(t, v, iss.SignWith(key, nil, iss.Claims(api))))
	key.Alg = "ES256" // SHA-256, but the curve stays
	require.ErrorIs(t, verify(t, v, iss.SignWith(key, nil, iss.Claims(api))), jwks.ErrUnknownKey)
	_, err = static(t, iss, key.JWK(nil))
	require.ErrorContains(t, err, "fits no accepted algorithm")
}

func TestElsewhere_AlgDiffersFromTheKeysOwn(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key := jwkstest.NewKey(t, "RS256", "rsa")
	v, err := static(t, iss, key.JWK(nil))
	require.NoError(t, err)
	require.NoError(t, verify(t, v, iss.SignWith(key, nil, iss.Claims(api))))
	for _, other := range []string{"RS512", "PS256"} {
		key.Alg = other
		require.ErrorIs(t, verify(t, v, iss.SignWith(key, nil, iss.Claims(api))), jwks.ErrUnknownKey)
	}
}

func TestElsewhere_EncryptionKeyVerifies(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key, good := jwkstest.NewKey(t, "ES256", "enc"), iss.Keys()[0]
	v, err := static(t, iss, good.JWK(nil), key.JWK(object{"use": "enc"}))
	require.NoError(t, err)
	require.ErrorIs(t, verify(t, v, iss.SignWith(key, nil, iss.Claims(api))), jwks.ErrUnknownKey)
}

func TestElsewhere_OtherTokenTypesAccepted(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	for _, typ := range []string{"dpop+jwt", "logout+jwt", "token-introspection+jwt", "secevent+jwt", "JWT", "JOSE", "at+jwt ", "at+jwtx"} {
		token := iss.SignWith(iss.Keys()[0], object{"typ": typ}, iss.Claims(api))
		require.ErrorIs(t, verify(t, v, token), jwks.ErrType, typ)
	}
}

// What refusing costs must not grow with the token: see also
// BenchmarkHostile for the time.
func TestElsewhere_MegabyteTokensCostMemory(t *testing.T) {
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	for rule, token := range hostileTokens(iss) {
		require.ErrorIs(t, verify(t, v, token), jwks.ErrMalformed, rule)
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = v.Check(context.Background(), token) }), rule)
	}
	require.Zero(t, iss.Fetches())
}

func hostileTokens(iss *jwkstest.Issuer) map[string]string {
	return map[string]string{
		"a million dots":      strings.Repeat(".", 1<<20),
		"a megabyte kid":      iss.SignWith(iss.Keys()[0], object{"kid": strings.Repeat("k", 1<<20)}, iss.Claims(api)),
		"a megabyte claim":    iss.Sign(with(iss.Claims(api), object{"x": strings.Repeat("x", 1<<20)})),
		"a megabyte of 'A'":   strings.Repeat("A", 1<<20),
		"dots below the cap":  strings.Repeat(".", 16<<10),
		"no dots, at the cap": strings.Repeat("A", 16<<10),
	}
}

func TestElsewhere_SignatureSpelledTwoWays(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	good := iss.Sign(iss.Claims(api))
	require.NoError(t, verify(t, v, good))
	last := good[len(good)-1]
	flipped := good[:len(good)-1] + string(nextInAlphabet(last))
	for _, token := range []string{flipped, good + "\n", good[:len(good)-9] + "\n" + good[len(good)-9:], good + "="} {
		require.ErrorIs(t, verify(t, v, token), jwks.ErrMalformed)
	}
}

func nextInAlphabet(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)+1]
}

func TestElsewhere_OneStrangeKeySpoilsTheSet(t *testing.T) {
	t.Parallel()
	for rule, strange := range map[string]string{
		"Ed448":             `{"kty":"OKP","crv":"Ed448","x":"X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA","kid":"s"}`,
		"ML-DSA":            `{"kty":"AKP","alg":"ML-DSA-65","pub":"AAAA","kid":"s"}`,
		"not on the curve":  `{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","kid":"s"}`,
		"no coordinates":    `{"kty":"EC","crv":"P-256","kid":"s"}`,
		"secp256k1":         `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"s"}`,
		"no key type":       `{"kid":"s"}`,
		"kid a number":      `{"kty":"RSA","kid":1}`,
		"certificate":       `{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["AAAA"]}`,
		"null":              `null`,
		"a nested set":      `{"keys":[]}`,
		"Ed25519 too short": `{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"s"}`,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			iss := jwkstest.NewIssuer(t)
			iss.PublishRaw(set(t, json.RawMessage(strange), iss.Keys()[0].JWK(nil)))
			require.NoError(t, verify(t, newVerifier(t, iss), iss.Sign(iss.Claims(api))))
		})
	}
}

func TestElsewhere_NewKeyRefusedForMinutes(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	for range 3 { // the first fetch, and two more at once
		require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
		iss.Rotate("ES256")
	}
}

func TestElsewhere_UnknownKidsHammerTheIssuer(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Now = newClock().Now })
	for n := range 1000 {
		_ = v.Check(t.Context(), iss.SignWith(unpublished(iss.Keys()[0], fmt.Sprint("k", n)), nil, iss.Claims(api)))
	}
	require.LessOrEqual(t, iss.Fetches(), 3)
}

func TestElsewhere_OutageKillsKnownKeys(t *testing.T) {
	t.Parallel()
	outage(t, 23*time.Hour, nil, func(i *jwkstest.Issuer) { i.Fail(500) })
}

func TestElsewhere_StaleKeysLiveForEver(t *testing.T) {
	t.Parallel()
	outage(t, 24*time.Hour, jwks.ErrUnavailable, func(i *jwkstest.Issuer) { i.Fail(500) })
}

func TestElsewhere_EmptySetWipesTheKeys(t *testing.T) {
	t.Parallel()
	outage(t, 23*time.Hour, nil, func(i *jwkstest.Issuer) { i.PublishRaw([]byte(`{"keys":[]}`)) })
}

// outage breaks the issuer, moves the clock, and expects want of a known key,
// with a new token and a cached one, twice.
func outage(t *testing.T, d time.Duration, want error, breakDown func(*jwkstest.Issuer)) {
	t.Helper()
	clk := newClock()
	iss := jwkstest.NewIssuer(t)
	iss.Now = clk.Now
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Now = clk.Now })
	claims := with(iss.Claims(api), object{"exp": clk.Now().Add(48 * time.Hour).Unix()})
	cached, fresh := iss.Sign(claims), iss.Sign(with(claims, object{"jti": "2"}))
	require.NoError(t, verify(t, v, cached))
	breakDown(iss)
	clk.Advance(d)
	for range 2 {
		require.ErrorIs(t, verify(t, v, cached), want)
		require.ErrorIs(t, verify(t, v, fresh), want)
	}
}

func TestElsewhere_FirstCallersCancelFailsEveryone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		token := iss.Sign(iss.Claims(api))
		release := iss.Hold()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := make(chan error, 1)
		go func() { first <- v.Check(ctx, token) }()
		synctest.Wait()
		errs := together(v, func() { cancel(); synctest.Wait(); release() }, repeat(token, 20)...)
		require.ErrorIs(t, <-first, context.Canceled)
		require.Equal(t, 20, count(errs, nil))
	})
}

func TestElsewhere_HangBlocksFor75Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		iss.Hold()
		before := time.Now()
		require.ErrorIs(t, verify(t, v, iss.Sign(iss.Claims(api))), jwks.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(before))
		require.ErrorIs(t, verify(t, v, iss.Sign(iss.Claims(api))), jwks.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(before), "the second caller does not wait")
	})
}

func TestElsewhere_RemovedKeysCachedTokensLiveOn(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	old := iss.Sign(iss.Claims(api))
	require.NoError(t, verify(t, v, old))
	require.NoError(t, verify(t, v, old))
	iss.Rotate("ES256")
	require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api)))) // brings the new set
	require.ErrorIs(t, verify(t, v, old), jwks.ErrUnknownKey)
}

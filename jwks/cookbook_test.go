package jwks_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

type example struct {
	Title string
	Input struct {
		Payload string
		Key     json.RawMessage
	}
	Output struct {
		Compact string
		JSON    json.RawMessage
	}
}

func readExamples(t *testing.T, pattern string) map[string]example {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "jose-cookbook", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	examples := map[string]example{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		var e example
		require.NoError(t, json.Unmarshal(raw, &e))
		examples[filepath.Base(f)] = e
	}
	return examples
}

// publicHalf is the JWK without its private members.
func publicHalf(t *testing.T, jwk json.RawMessage) json.RawMessage {
	t.Helper()
	var members object
	require.NoError(t, json.Unmarshal(jwk, &members))
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		delete(members, name)
	}
	raw, err := json.Marshal(members)
	require.NoError(t, err)
	return raw
}

// The cookbook's payloads are no claims, so none of them is an access token. Its
// public keys are read, and the signatures of those it signs in compact form are
// good: what refuses them is the payload, or the key's kind.
func TestCookbookJWS(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	usable := map[string]bool{
		"4_1.rsa_v15_signature.json": true, "4_2.rsa-pss_signature.json": true, "4_3.ecdsa_signature.json": true, "jws.json": true,
	}
	examples := readExamples(t, "jws/*.json")
	for name, e := range readExamples(t, "curve25519/*.json") {
		examples[name] = e
	}
	seen := 0
	for name, e := range examples {
		if e.Output.Compact != "" {
			require.ErrorIs(t, verify(t, newVerifier(t, iss), e.Output.Compact), jwks.ErrMalformed, name)
		}
		if len(e.Output.JSON) > 0 {
			require.ErrorIs(t, verify(t, newVerifier(t, iss), string(e.Output.JSON)), jwks.ErrMalformed, name)
		}
		if len(e.Input.Key) == 0 || e.Input.Key[0] != '{' {
			continue
		}
		_, err := static(t, iss, publicHalf(t, e.Input.Key))
		if usable[name] {
			require.NoError(t, err, name)
			seen++
		} else {
			require.Error(t, err, name)
		}
		_, err = static(t, iss, e.Input.Key)
		require.ErrorContains(t, err, "private or symmetric", name)
	}
	require.Equal(t, len(usable), seen)
}

func TestCookbookKeys(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	for name, usable := range map[string]bool{
		"3_1.ec_public_key.json": true, "3_2.ec_private_key.json": false, "3_3.rsa_public_key.json": true,
		"3_4.rsa_private_key.json": false, "3_5.symmetric_key_mac_computation.json": false, "3_6.symmetric_key_encryption.json": false,
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", "jose-cookbook", "jwk", name))
		require.NoError(t, err)
		_, err = static(t, iss, raw)
		require.Equal(t, usable, err == nil, "%s: %v", name, err)
	}
}

// RFC 7797: a payload that is not encoded, or not there.
func TestCookbookUnencodedPayloadIsRefused(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	key := iss.Keys()[0]
	v := newVerifier(t, iss)
	for name, e := range readExamples(t, "rfc7797/*.json") {
		for _, token := range []string{e.Output.Compact, string(e.Output.JSON)} {
			require.ErrorIs(t, verify(t, v, token), jwks.ErrMalformed, name)
		}
	}
	payload, err := json.Marshal(iss.Claims(api))
	require.NoError(t, err)
	for _, header := range []string{
		`{"alg":"ES256","kid":"` + key.KID + `","typ":"at+jwt","b64":false,"crit":["b64"]}`,
		`{"alg":"ES256","kid":"` + key.KID + `","typ":"at+jwt","b64":false}`,
	} {
		require.ErrorIs(t, verify(t, v, key.Sign([]byte(header), payload)), jwks.ErrMalformed)
	}
}

// RFC 7515 appendices A.2 and A.3 are JWTs, of an issuer "joe", from 2011.
func TestRFC7515Examples(t *testing.T) {
	t.Parallel()
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	const keyA2 = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	const tokenA2 = "eyJhbGciOiJSUzI1NiJ9." + payload + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	const keyA3 = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	const tokenA3 = "eyJhbGciOiJFUzI1NiJ9." + payload + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	clk := clock{t: time.Unix(1300819380, 0)}
	v, err := jwks.New(jwks.Config{Now: clk.Now, Issuers: []jwks.Issuer{{
		URL: "joe", InsecureAnyAudience: true, Types: []string{""}, Keys: []byte(`{"keys":[` + keyA2 + "," + keyA3 + `]}`),
	}}})
	require.NoError(t, err)
	for _, token := range []string{tokenA2, tokenA3} {
		c, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, "joe", c.Issuer())
		body, err := v.Payload(t.Context(), token)
		require.NoError(t, err)
		want, err := base64.RawURLEncoding.DecodeString(payload)
		require.NoError(t, err)
		require.Equal(t, want, body)
		require.ErrorIs(t, verify(t, v, strings.Replace(token, "MDA4MTkz", "MDA4MTk0", 1)), jwks.ErrSignature)
	}
	clk.Advance(time.Minute)
	require.ErrorIs(t, verify(t, v, tokenA2), jwks.ErrExpired)
}

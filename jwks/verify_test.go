package jwks_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

func TestVerifyGoodToken(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			iss := jwkstest.NewIssuer(t, alg)
			v := newVerifier(t, iss)
			token := iss.Sign(iss.Claims(api))
			for range 2 { // the second time from the cache
				c, err := v.Verify(t.Context(), token)
				require.NoError(t, err)
				require.Equal(t, iss.URL, c.Issuer())
				require.Equal(t, "user-1", c.Subject())
				require.Equal(t, "client-1", c.ClientID())
				require.Equal(t, "token-1", c.ID())
				require.Equal(t, []string{"read", "write"}, c.Scopes())
				require.True(t, c.HasScope("read"))
				require.False(t, c.HasScope("read write"))
				require.True(t, c.HasAudience(api))
				require.Equal(t, 5*time.Minute, c.Expires().Sub(c.IssuedAt()))
			}
			at := strings.LastIndexByte(token, '.') + 20
			for _, c := range strings.Replace("AB", token[at:at+1], "", 1) { // what stands there is good
				require.ErrorIs(t, verify(t, v, token[:at]+string(c)+token[at+1:]), jwks.ErrSignature)
			}
			require.Equal(t, 1, iss.Fetches())
		})
	}
}

func TestClaimsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	token := iss.Sign(iss.Claims(api))
	first, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	scopes := first.Scopes()
	slices.Reverse(scopes)
	scopes[0] = "admin"
	payload, err := v.Payload(t.Context(), token)
	require.NoError(t, err)
	clear(payload)

	second, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, []string{"read", "write"}, second.Scopes())
	payload, err = v.Payload(t.Context(), token)
	require.NoError(t, err)
	require.True(t, json.Valid(payload))

	var got struct {
		Sub string `json:"sub"`
	}
	require.NoError(t, second.Decode(&got))
	require.Equal(t, "user-1", got.Sub)
	require.Error(t, jwks.Claims{}.Decode(&got))
	require.Empty(t, jwks.Claims{}.Scopes())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", second, second, second), "user-1")
}

// Each row changes the claims of a good token by one thing.
func TestVerifyJudgesClaims(t *testing.T) {
	t.Parallel()
	clk := newClock()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	iss.Now = clk.Now
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Now = clk.Now })
	strict := newVerifier(t, iss, func(c *jwks.Config) {
		c.Now = clk.Now
		c.Issuers[0].Scopes = []string{"read", "write"}
		c.Issuers[0].MaxLifetime = 10 * time.Minute
	})
	aged := newVerifier(t, iss, func(c *jwks.Config) { c.Now, c.Issuers[0].MaxAge = clk.Now, time.Minute })
	anyone := newVerifier(t, iss, func(c *jwks.Config) {
		c.Now, c.Issuers[0].Audience, c.Issuers[0].InsecureAnyAudience = clk.Now, nil, true
	})
	now := clk.Now().Unix()
	for _, row := range []struct {
		rule   string
		v      *jwks.Verifier
		change object
		want   error
	}{
		{"unchanged", v, nil, nil},
		{"iss of nobody", v, object{"iss": "https://evil.test"}, jwks.ErrIssuer},
		{"iss absent", v, object{"iss": nil}, jwks.ErrIssuer},
		{"iss no string", v, object{"iss": []string{iss.URL}}, jwks.ErrMalformed},
		{"iss with a slash more", v, object{"iss": iss.URL + "/"}, jwks.ErrIssuer},
		{"iss in capitals", v, object{"iss": strings.ToUpper(iss.URL)}, jwks.ErrIssuer},
		{"exp absent", v, object{"exp": nil}, jwks.ErrExpired},
		{"exp past within leeway", v, object{"exp": now - 59}, nil},
		{"exp past by the leeway", v, object{"exp": now - 60}, jwks.ErrExpired},
		{"exp fractional", v, object{"exp": float64(now) + 0.5}, nil},
		{"exp with an exponent", v, object{"exp": json.RawMessage("2.0e9")}, nil},
		{"exp a string", v, object{"exp": fmt.Sprint(now + 300)}, jwks.ErrMalformed},
		{"exp null", v, object{"exp": json.RawMessage("null")}, jwks.ErrMalformed},
		{"exp true", v, object{"exp": true}, jwks.ErrMalformed},
		{"exp infinite", v, object{"exp": json.RawMessage("1e400")}, jwks.ErrMalformed},
		{"exp beyond the calendar", v, object{"exp": json.RawMessage("1e30")}, jwks.ErrMalformed},
		{"exp in milliseconds", v, object{"exp": now * 1000}, jwks.ErrMalformed},
		{"exp negative", v, object{"exp": -1}, jwks.ErrExpired},
		{"exp the zero time", v, object{"exp": -62135596800}, jwks.ErrExpired},
		{"nbf ahead within leeway", v, object{"nbf": now + 60}, nil},
		{"nbf ahead", v, object{"nbf": now + 61}, jwks.ErrNotYet},
		{"nbf a string", v, object{"nbf": "0"}, jwks.ErrMalformed},
		{"iat absent", v, object{"iat": nil}, nil},
		{"iat ahead", v, object{"iat": now + 61}, jwks.ErrNotYet},
		{"iat infinite", v, object{"iat": json.RawMessage("-1e999")}, jwks.ErrMalformed},
		{"aud absent", v, object{"aud": nil}, jwks.ErrAudience},
		{"aud of another", v, object{"aud": api + "/"}, jwks.ErrAudience},
		{"aud a list with ours", v, object{"aud": []string{"https://other.example", api}}, nil},
		{"aud a list without ours", v, object{"aud": []string{"https://other.example"}}, jwks.ErrAudience},
		{"aud an empty list", v, object{"aud": []string{}}, jwks.ErrAudience},
		{"aud a mixed list", v, object{"aud": []any{api, 1}}, jwks.ErrMalformed},
		{"aud an object", v, object{"aud": object{api: api}}, jwks.ErrMalformed},
		{"any audience", anyone, object{"aud": "https://other.example"}, nil},
		{"any audience, absent", anyone, object{"aud": nil}, nil},
		{"sub no string", v, object{"sub": 1}, jwks.ErrMalformed},
		{"jti no string", v, object{"jti": 1}, jwks.ErrMalformed},
		{"client_id no string", v, object{"client_id": object{}}, jwks.ErrMalformed},
		{"scope a list", v, object{"scope": []string{"read"}}, nil},
		{"scope a number", v, object{"scope": 1}, jwks.ErrMalformed},
		{"cnf jkt", v, object{"cnf": object{"jkt": "x"}}, jwks.ErrBinding},
		{"cnf x5t#S256", v, object{"cnf": object{"x5t#S256": "x"}}, jwks.ErrBinding},
		{"cnf null", v, object{"cnf": json.RawMessage("null")}, jwks.ErrBinding},
		{"scope within the issuer's", strict, nil, nil},
		{"scope the issuer may not grant", strict, object{"scope": "read admin"}, jwks.ErrScope},
		{"lifetime too long", strict, object{"exp": now + 601}, jwks.ErrExpired},
		{"lifetime unknown", strict, object{"iat": nil}, jwks.ErrExpired},
		{"MaxAge without exp", aged, object{"exp": nil}, nil},
		{"MaxAge with exp past", aged, object{"exp": now - 61}, jwks.ErrExpired},
		{"MaxAge without iat", aged, object{"exp": nil, "iat": nil}, jwks.ErrExpired},
		{"MaxAge exceeded", aged, object{"exp": nil, "iat": now - 120}, jwks.ErrExpired},
		{"MaxAge not exceeded", aged, object{"exp": nil, "iat": now - 119}, nil},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			token := iss.Sign(with(iss.Claims(api), row.change))
			for range 2 { // cached or not, the same
				require.ErrorIs(t, verify(t, row.v, token), row.want)
			}
		})
	}
}

// For the operator's log; the HTTP answers do not tell.
func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	short := newVerifier(t, iss, func(c *jwks.Config) { c.Issuers[0].MaxLifetime = time.Minute })
	aged := newVerifier(t, iss, func(c *jwks.Config) { c.Issuers[0].MaxAge = time.Minute })
	for _, row := range []struct {
		want   string
		v      *jwks.Verifier
		change object
	}{
		{"jwks: audience not accepted: aud is missing", v, object{"aud": nil}},
		{"jwks: audience not accepted", v, object{"aud": "https://other.example"}},
		{"jwks: issuer not accepted: iss is missing", v, object{"iss": nil}},
		{"jwks: token expired", v, object{"exp": 1}},
		{"jwks: token expired: exp is missing", v, object{"exp": nil}},
		{"jwks: token expired: iat is missing", short, object{"iat": nil}},
		{"jwks: token expired: iat is missing", aged, object{"iat": nil}},
		{"jwks: token expired: iat is longer ago than MaxAge", aged, object{"iat": 1}},
		{"jwks: token expired: exp - iat is over MaxLifetime", short, nil},
	} {
		require.EqualError(t, verify(t, row.v, iss.Sign(with(iss.Claims(api), row.change))), row.want)
	}
}

// Each row changes the header of a good token by one thing.
func TestVerifyJudgesHeader(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	jwt := newVerifier(t, iss, func(c *jwks.Config) { c.Issuers[0].Types = []string{"JWT", ""} })
	one := newVerifier(t, iss, func(c *jwks.Config) { c.Issuers[0].Algorithms = []string{"RS256"} })
	for _, row := range []struct {
		rule   string
		v      *jwks.Verifier
		change object
		want   error
	}{
		{"unchanged", v, nil, nil},
		{"an unknown parameter", v, object{"x-vendor": object{"a": []int{1}}}, nil},
		{"alg absent", v, object{"alg": nil}, jwks.ErrMalformed},
		{"alg empty", v, object{"alg": ""}, jwks.ErrMalformed},
		{"alg a number", v, object{"alg": 1}, jwks.ErrMalformed},
		{"alg none", v, object{"alg": "none"}, jwks.ErrSignature},
		{"alg nOnE", v, object{"alg": "nOnE"}, jwks.ErrSignature},
		{"alg HS256", v, object{"alg": "HS256"}, jwks.ErrSignature},
		{"alg eddsa", v, object{"alg": "eddsa"}, jwks.ErrSignature},
		{"alg not of the list", one, nil, jwks.ErrSignature},
		{"alg not of the key", v, object{"alg": "ES256"}, jwks.ErrUnknownKey},
		{"kid a number", v, object{"kid": 1}, jwks.ErrMalformed},
		{"kid absent, one key fits", v, object{"kid": nil}, nil},
		{"kid of nobody", v, object{"kid": "../../etc/passwd"}, jwks.ErrUnknownKey},
		{"crit", v, object{"crit": []string{"exp"}, "exp": 1}, jwks.ErrMalformed},
		{"crit empty", v, object{"crit": []string{}}, jwks.ErrMalformed},
		{"crit null", v, object{"crit": json.RawMessage("null")}, jwks.ErrMalformed},
		{"jku", v, object{"jku": "https://evil.test/jwks"}, jwks.ErrMalformed},
		{"x5u", v, object{"x5u": "https://evil.test/cert"}, jwks.ErrMalformed},
		{"jwk", v, object{"jwk": iss.Keys()[0].JWK(nil)}, jwks.ErrMalformed},
		{"b64", v, object{"b64": true}, jwks.ErrMalformed},
		{"typ absent", v, object{"typ": nil}, jwks.ErrType},
		{"typ JWT", v, object{"typ": "JWT"}, jwks.ErrType},
		{"typ AT+JWT", v, object{"typ": "AT+JWT"}, nil},
		{"typ application/at+jwt", v, object{"typ": "application/at+jwt"}, nil},
		{"typ a list", v, object{"typ": []string{"at+jwt"}}, jwks.ErrMalformed},
		{"typ JWT, accepted", jwt, object{"typ": "jwt"}, nil},
		{"typ absent, accepted", jwt, object{"typ": nil}, nil},
		{"typ at+jwt, not listed", jwt, nil, jwks.ErrType},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			token := iss.SignWith(iss.Keys()[0], row.change, iss.Claims(api))
			for range 2 {
				require.ErrorIs(t, verify(t, row.v, token), row.want)
			}
		})
	}
	require.ErrorContains(t, v.Check(t.Context(), iss.SignWith(iss.Keys()[0], object{"typ": nil}, iss.Claims(api))), `needs "JWT" or ""`)
}

// JSON that readers may understand differently is no claim.
func TestVerifyReadsJSONStrictly(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	key := iss.Keys()[0]
	header := `{"alg":"EdDSA","kid":"` + key.KID + `","typ":"at+jwt"}`
	payload := fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":4000000000}`, iss.URL, api)
	change := func(s, add string) string { return s[:len(s)-1] + add + "}" }
	for _, row := range []struct {
		rule, header, payload string
		good                  bool
	}{
		{"unchanged", header, payload, true},
		{"white space and escapes", header, " \r\n" + strings.Replace(payload, `"exp"`, `"\u0065xp"`, 1) + "\t", true},
		{"header: alg twice", change(header, `,"alg":"EdDSA"`), payload, false},
		{"header: alg twice, once escaped", change(header, `,"\u0061lg":"none"`), payload, false},
		{"header: extension twice", change(header, `,"x":1,"x":1`), payload, false},
		{"header: something after it", header + "{}", payload, false},
		{"header: an array", "[" + header + "]", payload, false},
		{"header: empty", "", payload, false},
		{"payload: twice at depth", header, change(payload, `,"x":{"y":1,"y":2}`), false},
		{"payload: twice among many", header, change(payload, manyMembers(40)+`,"m7":1`), false},
		{"payload: many", header, change(payload, manyMembers(40)), true},
		{"payload: comma at the end", header, change(payload, ","), false},
		{"payload: something after it", header, payload + "x", false},
		{"payload: invalid UTF-8", header, change(payload, ",\"x\":\"\xff\""), false},
		{"payload: lone surrogate", header, change(payload, `,"x":"\ud800"`), false},
		{"payload: surrogate pair", header, change(payload, `,"x":"\ud83d\ude00"`), true},
		{"payload: a control character", header, change(payload, ",\"x\":\"\n\""), false},
		{"payload: NaN", header, change(payload, `,"x":NaN`), false},
		{"payload: leading zero", header, change(payload, `,"x":01`), false},
		{"payload: a comment", header, change(payload, `/**/`), false},
		{"payload: byte order mark", header, "\ufeff" + payload, false},
		{"payload: too deep", header, change(payload, `,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)), false},
		{"payload: null", header, "null", false},
		{"payload: empty", header, "", false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			err := verify(t, v, key.Sign([]byte(row.header), []byte(row.payload)))
			if row.good {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, jwks.ErrMalformed)
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":0`, i)
	}
	return b.String()
}

// Each row spoils the form of a good token.
func TestVerifyGate(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	var good string
	var part []string
	for n := range 9 { // until nothing is left over behind the last group of four, which a stray end would spoil
		pad := func(n int) object { return object{"x": strings.Repeat("x", n)} }
		good = iss.SignWith(iss.Keys()[0], pad(n%3), with(iss.Claims(api), pad(n/3)))
		if part = strings.Split(good, "."); len(part[0])%4+len(part[1])%4 == 0 {
			break
		}
	}
	require.Zero(t, len(part[0])%4+len(part[1])%4)
	require.NoError(t, verify(t, v, good))
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	std := strings.NewReplacer("-", "+", "_", "/")
	for rule, token := range map[string]string{
		"empty":                        "",
		"two parts":                    join(part[:2]...),
		"four parts":                   good + ".",
		"five parts (JWE)":             join("a", "b", "c", "d", "e"),
		"JSON serialisation":           `{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` + part[2] + `"}]}`,
		"detached payload":             join(part[0], "", part[2]),
		"no header":                    join("", part[1], part[2]),
		"padding character":            good + "==",
		"space before":                 " " + good,
		"space after":                  good + " ",
		"line feed after":              good + "\n",
		"carriage return in signature": good[:len(good)-3] + "\r" + good[len(good)-3:],
		"line feed before":             "\n" + good,
		"carriage return before":       "\r" + good,
		"header with a stray end":      join(part[0]+"!", part[1], part[2]),
		"payload with a stray end":     join(part[0], part[1]+"!", part[2]),
		"line feed in header":          good[:3] + "\n" + good[3:],
		"line feed in payload":         join(part[0], part[1][:9]+"\n"+part[1][9:], part[2]),
		"tab in signature":             good[:len(good)-3] + "\t" + good[len(good)-3:],
		"NUL after":                    good + "\x00",
		"standard alphabet":            join(part[0], part[1], std.Replace("-_"+part[2][2:])),
		"stray character":              join(part[0], part[1], "!"+part[2][1:]),
		"a length that no bytes have":  good + "AAA",
		"not ASCII":                    "é" + good,
		"Bearer before":                "Bearer " + good,
		"too long":                     join(part[0], part[1]+strings.Repeat("A", 16<<10), part[2]),
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, verify(t, v, token), jwks.ErrMalformed)
		})
	}
}

func TestSignatureOfTheWrongLength(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"EdDSA", "ES256", "ES512"} {
		iss := jwkstest.NewIssuer(t, alg)
		v := newVerifier(t, iss)
		good := iss.Sign(iss.Claims(api))
		sig := good[strings.LastIndexByte(good, '.')+1:]
		require.ErrorIs(t, verify(t, v, strings.TrimSuffix(good, sig)), jwks.ErrSignature)
		require.ErrorIs(t, verify(t, v, good+"AAAA"), jwks.ErrSignature)
		require.ErrorIs(t, verify(t, v, good[:len(good)-len(sig)]+strings.Repeat("A", len(sig))), jwks.ErrSignature)
	}
}

// Of all 64 spellings of the last character only one has zero padding bits.
func TestVerifyOneSpelling(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA") // 64 bytes, 86 characters, 4 bits to spare
	v := newVerifier(t, iss)
	good := iss.Sign(iss.Claims(api))
	accepted := 0
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if v.Check(t.Context(), good[:len(good)-1]+string(c)) == nil {
			accepted++
		}
	}
	require.Equal(t, 1, accepted)
}

func TestSignatureErrorOutranksClaimErrors(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	forged := jwkstest.NewKey(t, "EdDSA", iss.Keys()[0].KID)
	token := iss.SignWith(forged, object{"typ": "logout+jwt"}, with(iss.Claims("https://other.example"), object{
		"exp": 1, "cnf": object{}, "sub": 1,
	}))
	require.ErrorIs(t, verify(t, v, token), jwks.ErrSignature)
}

func TestKeysOfOneIssuerNeverVerifyAnother(t *testing.T) {
	t.Parallel()
	a, b := jwkstest.NewIssuer(t), jwkstest.NewIssuer(t)
	b.URL = "https://other.test"
	v := newVerifier(t, a, func(c *jwks.Config) {
		c.Issuers = []jwks.Issuer{staticIssuer(t, a, a.Keys()[0].JWK(nil)), staticIssuer(t, b, b.Keys()[0].JWK(nil))}
	})
	require.NoError(t, verify(t, v, a.Sign(a.Claims(api))))
	require.NoError(t, verify(t, v, b.Sign(b.Claims(api))))
	require.Equal(t, a.Keys()[0].KID, b.Keys()[0].KID)
	require.ErrorIs(t, verify(t, v, a.SignWith(b.Keys()[0], nil, a.Claims(api))), jwks.ErrSignature)
}

func TestCachedTokenIsJudgedAgain(t *testing.T) {
	t.Parallel()
	clk := newClock()
	iss := jwkstest.NewIssuer(t)
	iss.Now = clk.Now
	var seen []jwks.Event
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Now = clk.Now
		c.Observe = func(_ context.Context, e jwks.Event) {
			if e.Kind == jwks.EventVerify {
				seen = append(seen, e)
			}
		}
	})
	token := iss.Sign(iss.Claims(api))
	require.NoError(t, verify(t, v, token))
	require.NoError(t, verify(t, v, token))
	clk.Advance(6 * time.Minute)
	require.ErrorIs(t, verify(t, v, token), jwks.ErrExpired)
	require.ErrorIs(t, verify(t, v, token), jwks.ErrExpired)
	require.Len(t, seen, 4)
	require.Equal(t, []bool{false, true, true, false}, []bool{seen[0].Cached, seen[1].Cached, seen[2].Cached, seen[3].Cached})
	require.Equal(t, jwks.ErrExpired, seen[2].Err)
	require.Equal(t, iss.URL, seen[2].Issuer)
}

func TestPayloadIsOfVerifiedTokensOnly(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	payload, err := v.Payload(t.Context(), iss.SignWith(jwkstest.NewKey(t, "EdDSA", iss.Keys()[0].KID), nil, iss.Claims(api)))
	require.ErrorIs(t, err, jwks.ErrSignature)
	require.Nil(t, payload)
}

func TestFailuresAreNotCached(t *testing.T) {
	t.Parallel()
	clk := newClock()
	iss := jwkstest.NewIssuer(t)
	iss.Now = clk.Now
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Now = clk.Now })
	token := iss.Sign(with(iss.Claims(api), object{"nbf": clk.Now().Add(2 * time.Minute).Unix()}))
	require.ErrorIs(t, verify(t, v, token), jwks.ErrNotYet)
	clk.Advance(time.Minute)
	require.NoError(t, verify(t, v, token))
}

// A token that differs in one bit from a cached one is not that token.
func TestCacheIsNotFooledByNeighbours(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	good := iss.Sign(iss.Claims(api))
	require.NoError(t, verify(t, v, good))
	for i := range good {
		flipped := good[:i] + string(rune(good[i]^1)) + good[i+1:]
		require.Error(t, v.Check(t.Context(), flipped), "byte %d", i)
	}
}

func TestCacheOff(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.CacheSize = -1
		c.Observe = func(_ context.Context, e jwks.Event) { require.False(t, e.Cached) }
	})
	token := iss.Sign(iss.Claims(api))
	require.NoError(t, verify(t, v, token))
	require.NoError(t, verify(t, v, token))
}

func TestMaxTokenBytes(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	token := iss.Sign(iss.Claims(api))
	exact := newVerifier(t, iss, func(c *jwks.Config) { c.MaxTokenBytes = len(token) })
	below := newVerifier(t, iss, func(c *jwks.Config) { c.MaxTokenBytes = len(token) - 1 })
	require.NoError(t, verify(t, exact, token))
	require.ErrorIs(t, verify(t, below, token), jwks.ErrMalformed)
	_, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[2])
	require.NoError(t, err)
}

func TestDecodeComparesNamesExactly(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	claims := maps.Clone(iss.Claims(api))
	claims["SUB"] = "admin"
	c, err := v.Verify(t.Context(), iss.Sign(claims))
	require.NoError(t, err)
	var got struct {
		Sub string `json:"sub"`
	}
	require.NoError(t, c.Decode(&got))
	require.Equal(t, "user-1", got.Sub)
	require.Equal(t, "user-1", c.Subject())
}

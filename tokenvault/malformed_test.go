package tokenvault

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

const (
	symStart = `{"alg":"A256KW","enc":"A256GCM","kid":"k1"`
	pubStart = `{"alg":"ECDH-ES+A256KW","enc":"A256GCM","kid":"k1"`
	// A point of P-256, from RFC 7518 appendix C.
	pointX = `gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0`
	pointY = `SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps`
	epk    = `,"epk":{"kty":"EC","crv":"P-256","x":"` + pointX + `","y":"` + pointY + `"}`
)

// malformedHeaders break one rule each; the rest of the string is in order.
var malformedHeaders = map[string]string{
	"empty header":                    ``,
	"header is no object":             `[]`,
	"header is a string":              `"k1"`,
	"header is null":                  `null`,
	"empty object":                    `{}`,
	"object not closed":               symStart,
	"data behind the object":          symStart + `}{}`,
	"comma behind the last member":    symStart + `,}`,
	"comma before the first member":   `{,` + symStart[1:] + `}`,
	"an unknown member, no value":     symStart + `,"zip":}`,
	"a member twice, then no value":   symStart + `,"kid":}`,
	"two commas":                      symStart + `,,"sub":"u"}`,
	"no colon":                        symStart + `,"sub" "u"}`,
	"no value":                        symStart + `,"sub":}`,
	"member without quotes":           symStart + `,sub:"u"}`,
	"a byte order mark":               "\ufeff" + symStart + `}`,
	"a NUL behind it":                 symStart + "}\x00",
	"a comment":                       symStart + `/**/}`,
	"no alg":                          `{"enc":"A256GCM","kid":"k1"}`,
	"no enc":                          `{"alg":"A256KW","kid":"k1"}`,
	"no kid":                          `{"alg":"A256KW","enc":"A256GCM"}`,
	"empty kid":                       `{"alg":"A256KW","enc":"A256GCM","kid":""}`,
	"kid is a number":                 `{"alg":"A256KW","enc":"A256GCM","kid":1}`,
	"kid is null":                     `{"alg":"A256KW","enc":"A256GCM","kid":null}`,
	"alg is an array":                 `{"alg":["A256KW"],"enc":"A256GCM","kid":"k1"}`,
	"alg none":                        `{"alg":"none","enc":"A256GCM","kid":"k1"}`,
	"alg dir":                         `{"alg":"dir","enc":"A256GCM","kid":"k1"}`,
	"alg A128KW":                      `{"alg":"A128KW","enc":"A256GCM","kid":"k1"}`,
	"alg A256GCMKW":                   `{"alg":"A256GCMKW","enc":"A256GCM","kid":"k1"}`,
	"alg RSA1_5":                      `{"alg":"RSA1_5","enc":"A256GCM","kid":"k1"}`,
	"alg ECDH-ES":                     `{"alg":"ECDH-ES","enc":"A256GCM","kid":"k1"` + epk + `}`,
	"alg in another case":             `{"alg":"a256kw","enc":"A256GCM","kid":"k1"}`,
	"enc A128GCM":                     `{"alg":"A256KW","enc":"A128GCM","kid":"k1"}`,
	"enc A256CBC-HS512":               `{"alg":"A256KW","enc":"A256CBC-HS512","kid":"k1"}`,
	"PBES2 with a billion rounds":     `{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","kid":"k1","p2s":"AAAAAAAAAAA","p2c":1000000000}`,
	"p2c on a suite that has none":    symStart + `,"p2c":1000000000}`,
	"zip":                             symStart + `,"zip":"DEF"}`,
	"crit":                            symStart + `,"crit":["exp"],"exp":1}`,
	"apu":                             pubStart + epk + `,"apu":"QQ"}`,
	"apv":                             pubStart + epk + `,"apv":"QQ"}`,
	"jku":                             symStart + `,"jku":"https://evil.test/"}`,
	"jwk":                             symStart + `,"jwk":{}}`,
	"x5c":                             symStart + `,"x5c":[]}`,
	"iat":                             symStart + `,"iat":1}`,
	"an empty member name":            symStart + `,"":"u"}`,
	"a member in another case":        symStart + `,"Sub":"u"}`,
	"duplicate kid":                   symStart + `,"kid":"k1"}`,
	"duplicate alg":                   symStart + `,"alg":"A256KW"}`,
	"duplicate enc":                   symStart + `,"enc":"A256GCM"}`,
	"duplicate sub, once escaped":     symStart + `,"sub":"u","s\u0075b":"u"}`,
	"duplicate aud":                   symStart + `,"aud":["a"],"aud":["b"]}`,
	"aud is a string":                 symStart + `,"aud":"api.example.com"}`,
	"aud is empty":                    symStart + `,"aud":[]}`,
	"aud is null":                     symStart + `,"aud":null}`,
	"aud is an object":                symStart + `,"aud":{"a":"b"}}`,
	"an empty host":                   symStart + `,"aud":["a.example",""]}`,
	"a host that is a number":         symStart + `,"aud":[1]}`,
	"aud not closed":                  symStart + `,"aud":["a"`,
	"comma behind the last host":      symStart + `,"aud":["a",]}`,
	"sub is empty":                    symStart + `,"sub":""}`,
	"sub is a number":                 symStart + `,"sub":7}`,
	"sub is null":                     symStart + `,"sub":null}`,
	"typ is empty":                    symStart + `,"typ":""}`,
	"cty is another":                  symStart + `,"cty":"JWT"}`,
	"cty in another case":             symStart + `,"cty":"JSON"}`,
	"cty is empty":                    symStart + `,"cty":""}`,
	"exp is a string":                 symStart + `,"exp":"4102444800"}`,
	"exp is a fraction":               symStart + `,"exp":4102444800.5}`,
	"exp is a whole fraction":         symStart + `,"exp":4102444800.0}`,
	"exp has an exponent":             symStart + `,"exp":4e9}`,
	"exp is negative":                 symStart + `,"exp":-1}`,
	"exp has a leading zero":          symStart + `,"exp":04102444800}`,
	"exp has a plus":                  symStart + `,"exp":+4102444800}`,
	"exp is hexadecimal":              symStart + `,"exp":0xffffffff}`,
	"exp is after the year 9999":      symStart + `,"exp":253402300800}`,
	"exp has more digits than time":   symStart + `,"exp":99999999999999999999}`,
	"exp is null":                     symStart + `,"exp":null}`,
	"exp is true":                     symStart + `,"exp":true}`,
	"exp is missing its digits":       symStart + `,"exp":}`,
	"exp is where it ends":            symStart + `,"exp":4102444800`,
	"epk in the symmetric suite":      symStart + epk + `}`,
	"no epk in the public suite":      pubStart + `}`,
	"epk is a string":                 pubStart + `,"epk":"` + pointX + `"}`,
	"epk is empty":                    pubStart + `,"epk":{}}`,
	"epk twice":                       pubStart + epk + epk + `}`,
	"epk with d":                      pubStart + strings.Replace(epk, `"kty"`, `"d":"AA","kty"`, 1) + `}`,
	"epk with a kid":                  pubStart + strings.Replace(epk, `"kty"`, `"kid":"x","kty"`, 1) + `}`,
	"epk with x twice":                pubStart + strings.Replace(epk, `"kty"`, `"x":"`+pointX+`","kty"`, 1) + `}`,
	"epk with x for y":                pubStart + strings.Replace(epk, `"y"`, `"x"`, 1) + `}`,
	"epk without y":                   pubStart + `,"epk":{"kty":"EC","crv":"P-256","x":"` + pointX + `"}}`,
	"epk without kty":                 pubStart + strings.Replace(epk, `"kty":"EC",`, ``, 1) + `}`,
	"epk of another kty":              pubStart + strings.Replace(epk, `"EC"`, `"OKP"`, 1) + `}`,
	"epk on another curve":            pubStart + strings.Replace(epk, `P-256`, `P-384`, 1) + `}`,
	"epk off the curve":               pubStart + strings.Replace(epk, pointY, pointX, 1) + `}`,
	"epk at infinity":                 pubStart + `,"epk":{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}}`,
	"epk with a short x":              pubStart + strings.Replace(epk, pointX, pointX[:42], 1) + `}`,
	"epk with two bytes moved to y":   pubStart + epkOf(pointBytes(0, 30), pointBytes(30, 64)) + `}`,
	"epk with the whole point in x":   pubStart + epkOf(pointBytes(0, 64), strings.Repeat("!", 86)) + `}`,
	"epk with the whole point in y":   pubStart + epkOf(strings.Repeat("!", 86), pointBytes(0, 64)) + `}`,
	"epk with padding":                pubStart + strings.Replace(epk, pointX, pointX+"=", 1) + `}`,
	"epk with bits that nothing read": pubStart + strings.Replace(epk, pointX, pointX[:42]+"1", 1) + `}`,
	"a raw line break in a string":    symStart + ",\"sub\":\"a\nb\"}",
	"invalid UTF-8":                   symStart + ",\"sub\":\"a\xffb\"}",
	"a byte that only continues":      symStart + ",\"sub\":\"a\x80b\"}",
	"invalid UTF-8, escape behind it": symStart + ",\"sub\":\"a\xff\\n\"}",
	"a lone high surrogate":           symStart + `,"sub":"\ud800"}`,
	"a lone low surrogate":            symStart + `,"sub":"\udc00"}`,
	"a surrogate pair the wrong way":  symStart + `,"sub":"\udc00\ud800"}`,
	"half a surrogate pair":           symStart + `,"sub":"\ud83dxde00"}`,
	"half a pair, another escape":     symStart + `,"sub":"\ud83d\xde00"}`,
	"half a pair, no escape":          symStart + `,"sub":"\ud83dxude00"}`,
	"an unknown escape":               symStart + `,"sub":"\x41"}`,
	"an escape cut short":             symStart + `,"sub":"\u00`,
	"an escape with a sign":           symStart + `,"sub":"\u+041"}`,
	"a backslash at the end":          symStart + `,"sub":"a\`,
	"a name with a backslash behind":  symStart + `,"su\`,
	"a quoted quote at the end":       symStart + `,"sub":"a\"`,
	"a header over 4 KiB":             symStart + `,"sub":"` + strings.Repeat("u", wire.MaxHeader) + `"}`,
}

// epkOf is an epk with these coordinates, whatever they are.
func epkOf(x, y string) string {
	return strings.NewReplacer(pointX, x, pointY, y).Replace(epk)
}

// pointBytes encodes a part of the point's bytes, which are x and then y.
func pointBytes(from, to int) string {
	b64 := base64.RawURLEncoding
	x, errX := b64.DecodeString(pointX)
	y, errY := b64.DecodeString(pointY)
	if errX != nil || errY != nil {
		panic("test point is not base64url")
	}
	return b64.EncodeToString(append(x, y...)[from:to])
}

// malformedStrings break a rule of the string around the header.
func malformedStrings(v string) map[string]string {
	parts := strings.Split(v, ".")
	return map[string]string{
		"nothing":                         "",
		"the prefix alone":                "tv1.",
		"no prefix":                       v[4:],
		"another version":                 "tv2." + v[4:],
		"the prefix in capitals":          "TV1." + v[4:],
		"the prefix twice":                "tv1." + v,
		"a space before":                  " " + v,
		"a space behind":                  v + " ",
		"a line break behind":             v + "\n",
		"a sixth segment":                 v + ".AAAA",
		"an empty sixth segment":          v + ".",
		"a segment missing":               strings.Join(parts[:5], "."),
		"dots only":                       Prefix + "....",
		"a mebibyte of dots":              Prefix + strings.Repeat(".", 1<<20),
		"a mebibyte of header":            Prefix + strings.Repeat("A", 1<<20),
		"header padded":                   withSegment(v, 1, parts[1]+"="),
		"header with a line break":        withSegment(v, 1, parts[1][:8]+"\n"+parts[1][8:]),
		"header in standard base64":       withSegment(v, 1, "+/"+parts[1][2:]),
		"wrapped key of 39 bytes":         withSegment(v, 2, parts[2][:52]),
		"wrapped key of 41 bytes":         withSegment(v, 2, parts[2]+"A"),
		"no wrapped key":                  withSegment(v, 2, ""),
		"wrapped key not canonical":       withSegment(v, 2, parts[2][:53]+"_"),
		"wrapped key with a line break":   withSegment(v, 2, parts[2][:53]+"\n"),
		"no iv":                           withSegment(v, 3, ""),
		"iv of 8 bytes":                   withSegment(v, 3, parts[3][:11]),
		"iv of 16 bytes":                  withSegment(v, 3, parts[3]+"AAAAAA"),
		"iv with a line break":            withSegment(v, 3, parts[3][:15]+"\r"),
		"ciphertext padded":               withSegment(v, 4, parts[4]+"=="),
		"ciphertext not canonical":        withSegment(v, 4, parts[4]+"-"),
		"ciphertext of 64 KiB and 1":      withSegment(v, 4, strings.Repeat("A", wire.EncodedLen(wire.MaxPlaintext+1))),
		"tag of 15 bytes":                 withSegment(v, 5, parts[5][:20]),
		"tag of 17 bytes":                 withSegment(v, 5, parts[5]+"A"),
		"no tag":                          withSegment(v, 5, ""),
		"tag padded":                      withSegment(v, 5, parts[5]+"=="),
		"tag with bits that nothing read": withSegment(v, 5, parts[5][:21]+"B"),
		"tag with a line break":           withSegment(v, 5, parts[5][:21]+"\n"),
		"JSON serialisation":              `{"protected":"` + parts[1] + `"}`,
	}
}

func TestMalformedIsRefusedBeforeAnyCryptography(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(malformedHeaders), 60)
	for _, s := range []suite{symmetric, public} {
		r := newRing(t, s)
		good := mustSeal(t, r, "hunter2", Label{})
		unwraps := counted(r)
		refuse := func(rule, sealed string) {
			require.NotPanics(t, func() {
				requireRefused(t, r, sealed, Use{AllowPublic: true}, ErrMalformed, rule)
				_, err := Inspect(sealed)
				require.ErrorIs(t, err, ErrMalformed, rule)
				_, changed, err := r.Reseal(context.Background(), sealed)
				require.ErrorIs(t, err, ErrMalformed, rule)
				require.False(t, changed, rule)
			}, rule)
			require.Zero(t, unwraps.Load(), rule)
		}
		for rule, header := range malformedHeaders {
			refuse(rule, withHeader(good, header))
		}
		for rule, sealed := range malformedStrings(good) {
			refuse(rule, sealed)
		}
		mustOpen(t, r, good, Use{AllowPublic: true})
		require.Positive(t, unwraps.Load(), "the counter counts")
	}
}

func TestMalformedSaysWhy(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]error{
		"empty object":                  errNotHeader,
		"data behind the object":        errNotHeader,
		"sub is empty":                  errNotHeader,
		"a NUL behind it":               errNotHeader,
		"zip":                           errMember,
		"an unknown member, no value":   errMember,
		"a member twice, then no value": errMember,
		"epk in the symmetric suite":    errMember,
		"alg none":                      errSuite,
		"enc A128GCM":                   errSuite,
		"no kid":                        errMissing,
		"no epk in the public suite":    errMissing,
		"epk with d":                    errEpk,
		"epk off the curve":             errEpk,
	} {
		require.Contains(t, malformedHeaders, rule)
		_, err := parseHeader(malformedHeaders[rule])
		require.Equal(t, want, err, rule)
	}
}

// These are spelled otherwise than Seal does, and in order: other libraries
// write them.
func TestHeadersOfOtherLibrariesAreRead(t *testing.T) {
	t.Parallel()
	for rule, header := range map[string]string{
		"white space":           " {\n\t\"alg\" : \"A256KW\" , \"enc\":\"A256GCM\",\"kid\":\"k1\" , \"aud\" : [ \"a.example\" , \"b.example\" ] ,\"sub\":\"u/1\",\"exp\": 4102444800 }\r\n",
		"another order":         `{"exp":4102444800,"sub":"u/1","aud":["a.example","b.example"],"kid":"k1","enc":"A256GCM","alg":"A256KW"}`,
		"escapes":               `{"alg":"A256KW","enc":"\u0041256GCM","kid":"k1","aud":["a.example","b\u002eexample"],"sub":"u\/1","exp":4102444800}`,
		"our own":               symStart + `,"aud":["a.example","b.example"],"sub":"u/1","exp":4102444800}`,
		"with alg and kid last": `{"enc":"A256GCM","aud":["a.example","b.example"],"sub":"u/1","exp":4102444800,"kid":"k1","alg":"A256KW"}`,
	} {
		h, err := parseHeader(header)
		require.NoError(t, err, rule)
		require.Equal(t, "k1", h.kid, rule)
		require.Equal(t, []string{"a.example", "b.example"}, h.label.Hosts, rule)
		require.Equal(t, "u/1", h.label.Subject, rule)
		require.Equal(t, int64(4102444800), h.label.Expires.Unix(), rule)
	}
	for text, want := range map[string]string{
		`\ud83d\ude00\"\\\/\b\f\n\r\té\u00e9`: "😀\"\\/\b\f\n\r\téé",
		`a b\n`:                               "a b\n",
		`\u0000`:                              "\x00",
	} {
		h, err := parseHeader(symStart + `,"sub":"` + text + `"}`)
		require.NoError(t, err, text)
		require.Equal(t, want, h.label.Subject, text)
	}
	for _, exp := range []int64{0, 9, maxExpires} {
		h, err := parseHeader(fmt.Sprintf(symStart+`,"exp":%d}`, exp))
		require.NoError(t, err, exp)
		require.Equal(t, exp, h.label.Expires.Unix())
	}
}

func TestEverySingleCharacterChangeIsRefused(t *testing.T) {
	t.Parallel()
	alphabet := map[suite]string{
		symmetric: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n\x00\x7f",
		public:    "Aw.\n", // key agreement takes its time
	}
	for _, s := range []suite{symmetric, public} {
		r := newRing(t, s)
		good := mustSeal(t, r, "hunter2", Label{Hosts: []string{"api.example.com"}, Subject: "u"})
		use := Use{Host: "api.example.com", Subject: "u", AllowPublic: true}
		mustOpen(t, r, good, use)
		for i := range good {
			for _, c := range alphabet[s] {
				if rune(good[i]) == c {
					continue
				}
				_, _, err := r.Open(context.Background(), good[:i]+string(c)+good[i+1:], use)
				require.Error(t, err, "character %d is %q", i, c)
			}
			_, _, err := r.Open(context.Background(), good[:i]+good[i+1:], use)
			require.Error(t, err, "character %d is missing", i)
			_, _, err = r.Open(context.Background(), good[:i], use)
			require.Error(t, err, "ends before character %d", i)
		}
	}
}

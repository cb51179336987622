package jwks

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var jsonSeeds = []string{
	`{}`, `{"a":1}`, ` { "a" : [ 1 , -2.5e+7 , "x" , true , false , null , { } , [ ] ] } `, `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`,
	`{"\u0061":1,"a":2}`, `{"a":"\ud83d\ude00\"\\\/\b\f\n\r\t"}`, `{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, `{"a":"\ud800\u0041"}`,
	`{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":-}`, `{"a":+1}`, `{"a":tru}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`,
	`{"a":1}{`, `[1,2]`, `"a"`, "{\"a\":\"\x01\"}", "{\"\xff\":1}", `{"iss":"a","ISS":"b"}`, ``, ` `, `{`, `{"`, `{"a":"\u00g0"}`, `{"a":"\x"}`, `{"a":1 2}`,
	strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70),
}

// FuzzMembers: what the scanner accepts, encoding/json accepts with the same
// names and values; what it refuses is wrong JSON, or text that is read in two
// ways.
func FuzzMembers(f *testing.F) {
	require.NotEmpty(f, jsonSeeds)
	for _, s := range jsonSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := map[string]string{}
		twice := false
		ok := members(s, func(name, raw string) {
			_, seen := got[name]
			twice = twice || seen
			got[name] = raw
		})
		var want map[string]json.RawMessage
		valid := json.Unmarshal([]byte(s), &want) == nil && want != nil
		if !ok {
			if valid && utf8.ValidString(s) && !ambiguous(s) {
				t.Fatalf("refused %q", s)
			}
			return
		}
		require.True(t, valid, "accepted %q", s)
		require.False(t, twice)
		require.Len(t, got, len(want))
		for name, raw := range want {
			require.Equal(t, string(raw), got[name])
			text1, ok := text(got[name])
			var text2 string
			require.Equal(t, ok, json.Unmarshal(raw, &text2) == nil && raw[0] == '"')
			require.Equal(t, text2, text1)
		}
	})
}

// ambiguous is a rough guess at what the scanner is meant to refuse although it
// is valid: it may say yes too often.
func ambiguous(s string) bool {
	decoder := json.NewDecoder(strings.NewReader(s))
	depth, names := 0, map[string]bool{}
	for {
		token, err := decoder.Token()
		if err != nil {
			return strings.Contains(strings.ToLower(s), `\ud`) // may be half a pair
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			if depth > maxDepth {
				return true
			}
		case string:
			if names[v] {
				return true // a name twice, or a value twice
			}
			names[v] = true
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, s := range append(jsonSeeds,
		`{"alg":"ES256","kid":"k","typ":"at+jwt"}`, `{"alg":"ES256","crit":[]}`, `{"alg":1}`, `{"alg":"ES256","b64":false}`,
		`{"iss":"i","aud":["a","b"],"exp":1.5e9,"nbf":0,"iat":-1,"scope":"a  b","sub":"s","jti":"j","client_id":"c"}`,
		`{"iss":"i","aud":{},"exp":"1"}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
	) {
		f.Add(s)
	}
	algs := []*algorithm{algorithmNamed("RS256"), algorithmNamed("ES256"), algorithmNamed("EdDSA")}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHeader(s)
		if err == nil {
			var oracle map[string]any
			require.NoError(t, json.Unmarshal([]byte(s), &oracle))
			require.Equal(t, oracle["alg"], h.alg)
			for _, name := range []string{"crit", "jku", "x5u", "jwk", "b64"} {
				require.NotContains(t, oracle, name)
			}
		} else {
			require.ErrorIs(t, err, ErrMalformed)
		}
		if p, err := parsePayload(s); err == nil {
			iss, err := p.issuer()
			require.True(t, err != nil || strings.Contains(s, `"iss"`) || strings.Contains(s, `\u`), iss)
			if c, err := p.claims(s, iss); err == nil && c.exp.set {
				require.False(t, c.exp.Year() > 9999)
			}
		}
		if set, err := parseSet([]byte(s), algs); err == nil {
			require.LessOrEqual(t, len(set.byName), set.usable*3)
		}
	})
}

func TestMembersSeeds(t *testing.T) {
	t.Parallel()
	good := 0
	for _, s := range jsonSeeds {
		if members(s, func(string, string) {}) {
			good++
			require.True(t, json.Valid([]byte(s)))
		}
	}
	require.Equal(t, 5, good)
}

// encoding/json is the oracle for every short text of a few characters, and for
// every text that a change of one byte makes of a good one.
func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	judge := func(s string) {
		var decoded any
		want := json.Valid([]byte(s)) && utf8.ValidString(s)
		_ = json.Unmarshal([]byte(s), &decoded) // it minds the size of numbers
		if o, ok := decoded.(map[string]any); ok {
			value, _ := o["b"].(string)
			want = want && !strings.Contains(value, "\ufffd") // half of a surrogate pair
		}
		b := ""
		got := members(s, func(name, raw string) {
			if name == "b" {
				b = raw
			}
		})
		got = got || elements(s, func(string) {})
		if got != want {
			t.Fatalf("%q: %v, want %v", s, got, want)
		}
		if value, ok := text(b); got && ok && b != "" {
			require.Equal(t, decoded.(map[string]any)["b"], value, "%q", s)
		}
	}
	everyText("-01.eE+", 5, func(s string) { judge("[" + s + "]") })
	for _, start := range []string{"{", "[", `{"a"`, `{"a":1`, `{"a":[`, `[1`, `[{}`, `["`} {
		everyText("{}[],:\"a1 ", 4, func(s string) { judge(start + s) })
	}
	for _, good := range []string{
		`{"a\n": [true, false , null, -1.5e+3 ] , "b":"\u00aF\u2A6b\/x" }`,
		`{"b":"x\ud83d\uDE00x"}`, `{"b":"\ud83D\"`, `{"b":"\ud83d\ude"`, `{"b":"\u00a`, `{"b":"\`,
	} {
		for i := range good {
			judge(good[:i])
			judge(good[:i] + good[i+1:])
			for c := range 256 {
				judge(good[:i] + string([]byte{byte(c)}) + good[i+1:])
				judge(good[:i] + string([]byte{byte(c)}) + good[i:])
			}
		}
	}
}

// everyText calls visit for every text of up to n characters of an alphabet.
func everyText(alphabet string, n int, visit func(string)) {
	visit("")
	if n == 0 {
		return
	}
	for i := range len(alphabet) {
		everyText(alphabet, n-1, func(s string) { visit(alphabet[i:i+1] + s) })
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{`[]`: nil, `["a"]`: {"a"}, `["a", "\u0062"]`: {"a", "b"}} {
		got, ok := texts(raw)
		require.True(t, ok, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{``, `"a"`, `{}`, `1`, `["a",1]`, `[1,"a"]`, `[["a"]]`} {
		_, ok := texts(raw)
		require.False(t, ok, raw)
	}
}

func TestScannerBounds(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	require.True(t, elements(nested(maxDepth+1), func(string) {}), "the outermost is at depth 0")
	require.False(t, elements(nested(maxDepth+2), func(string) {}))
	none := func(string, string) {}
	for s, want := range map[string][2]bool{`{"a":[{"b":1,"b":2}]}`: {false, true}, `{"a":1,"a":2}`: {false, false}, `{"a":1,"b":2}`: {true, true}} {
		require.Equal(t, want, [2]bool{members(s, none), membersOnly(s, none)}, s)
	}
	for n := 2; n < 20; n++ { // on both sides of what distinct compares without a map
		names := make([]string, n)
		for i := range names {
			names[i] = strings.Repeat("n", i)
		}
		require.True(t, distinct(names))
		for i := range n - 1 {
			names[n-1] = names[i]
			require.False(t, distinct(names), "%d of %d", i, n)
		}
	}
}

func TestScopeList(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{`"a  b "`: {"a", "b"}, `["a b","c"]`: {"a b", "c"}, `"a\tb"`: {"a\tb"}} {
		got, ok := scopeList(raw)
		require.True(t, ok, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{``, `""`, `" "`, `[]`} {
		got, ok := scopeList(raw)
		require.True(t, ok, raw)
		require.Empty(t, got, raw)
	}
}

// Two verifiers give one token two names: nobody can compute them.
func TestNameInTheCacheIsSecret(t *testing.T) {
	t.Parallel()
	cfg := Config{Issuers: []Issuer{{URL: "https://issuer.test", InsecureAnyAudience: true}}}
	names := map[[sha256.Size]byte]bool{}
	for range 2 {
		v, err := New(cfg)
		require.NoError(t, err)
		s := v.scratch.Get().(*scratch)
		s.load("token")
		s.name()
		names[s.sum] = true
	}
	require.Len(t, names, 2)
}

func TestNumericDate(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"0": "1970-01-01T00:00:00Z", "1.5": "1970-01-01T00:00:01.5Z", "-1.5": "1969-12-31T23:59:58.5Z",
		"253402300799": "9999-12-31T23:59:59Z", "2e9": "2033-05-18T03:33:20Z",
	} {
		d, ok := numericDate(raw)
		require.True(t, ok && d.set, raw)
		require.Equal(t, want, d.UTC().Format("2006-01-02T15:04:05.999Z07:00"))
	}
	for _, raw := range []string{"253402300800", "1e309", "-1e309", `"1"`, "null", "true", "[1]", "{}"} {
		_, ok := numericDate(raw)
		require.False(t, ok, raw)
	}
}

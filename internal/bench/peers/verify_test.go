package peers

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

type object = map[string]any

// TestVerifiers is not parallel: it counts bytes.
func TestVerifiers(t *testing.T) {
	tab := table{name: "verifiers", columns: names(), rows: verifierRows(t)}
	held(t, tab, tab.shortened("verifiers, short"))
}

func verifierRows(t *testing.T) []row {
	t.Helper()
	rows := keyRows(t)
	rows = append(rows, tokenRows(t)...)
	return append(rows, costRows(t)...)
}

// A hostile token is one that no resource server should accept.
type hostile struct {
	rule  string
	short bool
	token func(iss *jwkstest.Issuer) string
}

var hostiles = []hostile{
	{"`typ: logout+jwt` sent as an access token", true, func(iss *jwkstest.Issuer) string {
		return iss.SignWith(iss.Keys()[0], object{"typ": "logout+jwt"}, iss.Claims(audience))
	}},
	{"bound to a key (`cnf`, RFC 9449), sent as a bearer", true, func(iss *jwkstest.Issuer) string {
		return iss.Sign(with(iss.Claims(audience), object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}))
	}},
	{"`iss` twice, the second one right", true, func(iss *jwkstest.Issuer) string {
		return signRaw(iss, `{"iss":"https://evil.test","aud":%q,"exp":4000000000,"iss":%q}`, audience, iss.URL)
	}},
	{"expired `exp` beside a later `EXP`", true, func(iss *jwkstest.Issuer) string {
		return signRaw(iss, `{"iss":%q,"aud":%q,"exp":1,"EXP":4000000000}`, iss.URL, audience)
	}},
	{"`crit` names an unknown extension (RFC 7515 section 4.1.11)", true, func(iss *jwkstest.Issuer) string {
		return iss.SignWith(iss.Keys()[0], object{"crit": []string{"x-unknown"}, "x-unknown": true}, iss.Claims(audience))
	}},
	{"no `exp`", false, func(iss *jwkstest.Issuer) string {
		return iss.Sign(with(iss.Claims(audience), object{"exp": nil}))
	}},
	{"the same signature with other unused bits", false, func(iss *jwkstest.Issuer) string {
		return flipUnusedBits(iss.Sign(iss.Claims(audience)))
	}},
	{"a line feed inside the signature", false, func(iss *jwkstest.Issuer) string {
		token := iss.Sign(iss.Claims(audience))
		return token[:len(token)-9] + "\n" + token[len(token)-9:]
	}},
}

func tokenRows(t *testing.T) []row {
	t.Helper()
	var rows []row
	for _, h := range hostiles {
		r := row{question: h.rule, ours: "refused", short: h.short}
		for _, v := range verifiers {
			iss := jwkstest.NewIssuer(t)
			check := v.running(t, iss)
			require.NoError(t, check(iss.Sign(iss.Claims(audience))), v.name)
			r.cells = append(r.cells, verdict(check(h.token(iss))))
		}
		rows = append(rows, r)
	}
	return append(rows,
		publishedRow(t, "signed RS512 where the key says `\"alg\":\"RS256\"`", nil, func(key *jwkstest.Key) { key.Alg = "RS512" }),
		publishedRow(t, "signed with a key of `\"use\":\"enc\"`", object{"use": "enc"}, func(*jwkstest.Key) {}),
		otherIssuerRow(t),
		audienceRow(t),
	)
}

// publishedRow signs with a key that is published under other terms.
func publishedRow(t *testing.T, rule string, published object, change func(*jwkstest.Key)) row {
	t.Helper()
	r := row{question: rule, ours: "refused"}
	key := jwkstest.NewKey(t, "RS256", "rsa")
	jwk := key.JWK(published)
	changed := *key
	change(&changed)
	for _, v := range verifiers {
		iss := jwkstest.NewIssuer(t)
		good := iss.Keys()[0]
		check := publishing(t, v, iss, good.JWK(nil), jwk)
		require.NoError(t, check(iss.SignWith(good, nil, iss.Claims(audience))), v.name)
		r.cells = append(r.cells, verdict(check(iss.SignWith(&changed, nil, iss.Claims(audience)))))
	}
	return r
}

// otherIssuerRow has a token of one issuer signed with the key of another. Only
// two of the libraries take several issuers into one verifier.
func otherIssuerRow(t *testing.T) row {
	t.Helper()
	r := row{question: "two issuers in one verifier: a token of A signed by B", ours: "refused"}
	for _, v := range verifiers {
		switch v.name {
		case "tokenvault/jwks":
			r.cells = append(r.cells, verdict(ourTwoIssuers(t)))
		case "golang-jwt + keyfunc":
			r.cells = append(r.cells, verdict(theirTwoIssuers(t)))
		default:
			r.cells = append(r.cells, "one issuer each")
		}
	}
	return r
}

// audienceRow leaves the audience out of the settings.
func audienceRow(t *testing.T) row {
	t.Helper()
	r := row{question: "no audience configured", ours: "constructor refuses"}
	for _, v := range verifiers {
		iss := jwkstest.NewIssuer(t)
		check, err := v.start(t.Context(), iss, "")
		switch {
		case err != nil:
			r.cells = append(r.cells, "constructor refuses")
		case check(iss.Sign(iss.Claims("https://someone.else"))) != nil:
			r.cells = append(r.cells, "every token refused")
		default:
			r.cells = append(r.cells, "any audience accepted")
		}
	}
	return r
}

func costRows(t *testing.T) []row {
	t.Helper()
	kid := row{question: "memory allocated to refuse a token with a `kid` of 1 MiB", ours: "none", short: true}
	dots := row{question: "memory allocated to refuse 1 MiB of dots", ours: "none"}
	seen := row{question: "a token seen before", ours: "looked up", short: true}
	for _, v := range verifiers {
		iss := jwkstest.NewIssuer(t)
		check := v.running(t, iss)
		good := iss.Sign(iss.Claims(audience))
		require.NoError(t, check(good), v.name)
		long := iss.SignWith(iss.Keys()[0], object{"kid": strings.Repeat("k", 1<<20)}, iss.Claims(audience))
		kid.cells = append(kid.cells, allocated(t, check, long))
		dots.cells = append(dots.cells, allocated(t, check, strings.Repeat(".", 1<<20)))
		least := math.Inf(1) // what runs beside it allocates too, and pools lose things under -race
		for range 20 {
			least = min(least, testing.AllocsPerRun(1, func() { _ = check(good) }))
		}
		if least < 5 {
			seen.cells = append(seen.cells, "looked up")
		} else {
			seen.cells = append(seen.cells, "verified in full")
		}
	}
	return []row{kid, dots, seen,
		mentionRow(t, "RFC 9728 metadata (`resource_metadata`)", "resource_metadata"),
		mentionRow(t, "`WWW-Authenticate` challenges of RFC 6750", "WWW-Authenticate"),
	}
}

// allocated says, to one digit, what a refusal allocates.
func allocated(t *testing.T, check func(string) error, token string) string {
	t.Helper()
	require.Error(t, check(token))
	const runs = 4
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		_ = check(token)
	}
	runtime.ReadMemStats(&after)
	mib := float64(after.TotalAlloc-before.TotalAlloc) / runs / (1 << 20)
	switch {
	case mib < 0.05:
		return "none"
	case mib < 10:
		return fmt.Sprintf("%.0f MiB", mib)
	}
	return fmt.Sprintf("%.0f MiB", math.Round(mib/10)*10)
}

// mentionRow looks for a header or member name in the library's own code, tests
// apart.
func mentionRow(t *testing.T, question, name string) row {
	t.Helper()
	r := row{question: question, ours: "yes"}
	for _, v := range verifiers {
		found := "no"
		for _, dir := range sources(t, v.name) {
			if mentions(t, dir, name) {
				found = "yes"
			}
		}
		r.cells = append(r.cells, found)
	}
	return r
}

// sources are the directories of a library's code.
func sources(t *testing.T, library string) []string {
	t.Helper()
	modules := map[string][]string{
		"golang-jwt + keyfunc": {"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3", "github.com/MicahParks/jwkset"},
		"go-oidc":              {"github.com/coreos/go-oidc/v3"},
		"lestrrat jwx":         {"github.com/lestrrat-go/jwx/v3"},
		"go-jose":              {"github.com/go-jose/go-jose/v4"},
	}[library]
	if modules == nil {
		return []string{"../../../jwks"}
	}
	return moduleDirs(t, modules...)
}

func moduleDirs(t *testing.T, modules ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-m", "-f", "{{.Dir}}"}, modules...)...).Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

func mentions(t *testing.T, dir, name string) bool {
	t.Helper()
	found := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || found || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || strings.Contains(string(text), name)
		return err
	}))
	return found
}

func with(claims, change object) object {
	out := maps.Clone(claims)
	for name, value := range change {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = value
		}
	}
	return out
}

func signRaw(iss *jwkstest.Issuer, payload string, args ...any) string {
	key := iss.Keys()[0]
	header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, key.Alg, key.KID)
	return key.Sign([]byte(header), fmt.Appendf(nil, payload, args...))
}

// flipUnusedBits changes the last character of a signature without changing the
// bytes that a lenient decoder makes of it.
func flipUnusedBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + alphabet[last+1:last+2]
}

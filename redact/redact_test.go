package redact_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

func newRedactor(t testing.TB, c redact.Config) *redact.Redactor {
	t.Helper()
	r, err := redact.New(c)
	require.NoError(t, err)
	return r
}

func masked(t testing.TB, r *redact.Redactor, s string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.JSON(&b, strings.NewReader(s)))
	return b.String()
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		want string
		c    redact.Config
	}{
		{"redact: Config: nothing to redact", redact.Config{}},
		{"redact: Config: nothing to redact", redact.Config{Mask: "X"}},
		{"redact: Config.JSON[1]:", redact.Config{JSON: []string{"$.a", "$.["}}},
		{"redact: Config.JSON[0]:", redact.Config{JSON: []string{""}}},
		{"redact: Config.Params[1]:", redact.Config{Params: []string{"code", ""}}},
		{"redact: Config.Headers[0]:", redact.Config{Headers: []string{"Set Cookie"}}},
		{"redact: Config.Attrs[2]:", redact.Config{Attrs: []string{"a", "b", "_-"}}},
		{"redact: Config.Mask:", redact.Config{Detect: true, Mask: "a\r\nb"}},
		{"redact: Config.Mask:", redact.Config{Detect: true, Mask: `a"b`}},
		{"redact: Config.InsecureKeep:", redact.Config{Detect: true, InsecureKeep: -1}},
		{"redact: Config.MaxBuffer:", redact.Config{Detect: true, MaxBuffer: -1}},
	} {
		_, err := redact.New(row.c)
		require.ErrorContains(t, err, row.want)
	}
	_, err := redact.New(redact.Default())
	require.NoError(t, err)
}

func TestTokenVaultResponse(t *testing.T) {
	t.Parallel()
	const id = "eyJ0eXAi…"
	in := `{ "accessToken": "at-opaque-1", "idToken": "` + id + `", "refreshToken": "rt-opaque-2", "tokenExpiry": 1690712227226 }`
	want := `{ "accessToken": "REDACTED", "idToken": "` + id + `", "refreshToken": "REDACTED", "tokenExpiry": 1690712227226 }`
	require.Equal(t, want, masked(t, newRedactor(t, redact.Config{JSON: []string{"$.accessToken", "$.refreshToken"}}), in))
	require.Equal(t, want, masked(t, newRedactor(t, redact.Default()), in))
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ rule, path, in, want string }{
		{"null and empty strings stay", "$..t", `{"t":null,"a":{"t":""}}`, `{"t":null,"a":{"t":""}}`},
		{"objects, arrays, numbers and bools become the mask", "$..t", `[{"t":{"x":1}},{"t":[1]},{"t":7},{"t":true}]`, `[{"t":"REDACTED"},{"t":"REDACTED"},{"t":"REDACTED"},{"t":"REDACTED"}]`},
		{"space, order and spelling stay", "$.t", "{ \"b\" :1.0e+2,\n\t\"t\":\"x\" ,\"a\":\"\\u0041\\/\" }\n", "{ \"b\" :1.0e+2,\n\t\"t\":\"REDACTED\" ,\"a\":\"\\u0041\\/\" }\n"},
		{"a filter", "$.items[?@.kind=='k'].v", `{"items":[{"kind":"k","v":"x"},{"kind":"o","v":"y"}]}`, `{"items":[{"kind":"k","v":"REDACTED"},{"kind":"o","v":"y"}]}`},
		{"wildcards", "$.items[*].s", `{"items":[{"s":"x"},{"s":"y"}]}`, `{"items":[{"s":"REDACTED"},{"s":"REDACTED"}]}`},
		{"a lone surrogate is masked", "$.t", `{"t":"\ud800x"}`, `{"t":"REDACTED"}`},
		{"a sequence of values", "$.t", "{\"t\":\"x\"}\n{\"t\":\"y\"}\n", "{\"t\":\"REDACTED\"}\n{\"t\":\"REDACTED\"}\n"},
	} {
		require.Equal(t, row.want, masked(t, newRedactor(t, redact.Config{JSON: []string{row.path}}), row.in), row.rule)
	}
}

func sealedString() string {
	for _, l := range lookAlikes {
		if l.name == "sealed" {
			return l.make(newSource())
		}
	}
	panic("no sealed string")
}

func TestSealedStringsStayUnlessMaskSealed(t *testing.T) {
	t.Parallel()
	c := redact.Default()
	r, sealed := newRedactor(t, c), sealedString()
	c.MaskSealed = true
	m := newRedactor(t, c)

	require.Equal(t, `{"access_token":"`+sealed+`"}`, masked(t, r, `{"access_token":"`+sealed+`"}`))
	require.Equal(t, `{"access_token":"REDACTED"}`, masked(t, m, `{"access_token":"`+sealed+`"}`))
	h := http.Header{"Authorization": {"Bearer " + sealed}}
	require.Equal(t, h, r.Header(h))
	require.Equal(t, "REDACTED", m.Header(h).Get("Authorization"))
	text := "see " + sealed + ", /cb?code=" + sealed + "&x=1"
	require.Equal(t, text, r.Text(text))
	require.NotContains(t, m.Text(text), "tv1.")
	for _, v := range []string{"Bearer " + sealed + ".more", "Bearer  " + sealed, "secret " + sealed, sealed + " secret", "Bearer ", "secret ", "tv1.secret"} {
		require.Equal(t, "REDACTED", r.Header(http.Header{"Authorization": {v}}).Get("Authorization"), "sealed as a whole only")
	}
}

func TestMaskAndKeep(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Config{JSON: []string{"$.t"}, Params: []string{"code"}, Mask: "***", InsecureKeep: 4})
	require.Equal(t, `{"t":"abcd***"}`, masked(t, r, `{"t":"abcdefghijkl"}`))
	require.Equal(t, `{"t":"***"}`, masked(t, r, `{"t":"abcdefgh"}`), "up to twice as many are masked whole")
	require.Equal(t, `{"t":"***"}`, masked(t, r, `{"t":123456789012}`), "strings only")
	require.Equal(t, "https://x.test/?code=%2A%2A%2A", r.Text("https://x.test/?code=short"))
}

func TestValues(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	in := url.Values{"Code": {"abc", ""}, "state": {"xyz"}, "redirect_uri": {"https://x.test/?access_token=abc&y=1"}, "note": {"Bearer abcdefgh12345678"}}
	before := in.Encode()
	require.Equal(t, url.Values{"Code": {"REDACTED", ""}, "state": {"xyz"}, "redirect_uri": {"https://x.test/?access_token=REDACTED&y=1"}, "note": {"Bearer REDACTED"}}, r.Values(in))
	require.Equal(t, before, in.Encode(), "the argument stays")
	require.Nil(t, r.Values(nil))
}

func TestHeaderCopiesAndMasks(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	in := http.Header{"authorization": {"Bearer a"}, "Set-Cookie": {"sid=1", "x=2"}, "Accept": {"*/*"}, "X-Empty": nil}
	require.Equal(t, http.Header{"authorization": {"REDACTED"}, "Set-Cookie": {"REDACTED", "REDACTED"}, "Accept": {"*/*"}, "X-Empty": nil}, r.Header(in))
	require.Equal(t, http.Header{"authorization": {"Bearer a"}, "Set-Cookie": {"sid=1", "x=2"}, "Accept": {"*/*"}, "X-Empty": nil}, in)
	out := r.Header(in)
	out["Accept"][0] = "changed"
	require.Equal(t, "*/*", in.Get("Accept"))
	require.Nil(t, r.Header(nil))
}

func TestURL(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for _, row := range []struct{ rule, in, want string }{
		{"query", "https://x.test/cb?state=1&code=abc&x=%20", "https://x.test/cb?state=1&code=REDACTED&x=%20"},
		{"case and encoding of the name", "https://x.test/?ACCESS%5FTOKEN=abc", "https://x.test/?ACCESS%5FTOKEN=REDACTED"},
		{"fragment", "https://x.test/#access_token=abc&token_type=Bearer", "https://x.test/#access_token=REDACTED&token_type=Bearer"},
		{"user information", "https://user:pw@x.test/", "https://REDACTED@x.test/"},
		{"a token for a user", "https://tok@x.test/", "https://REDACTED@x.test/"},
		{"a URL in a parameter", "https://x.test/?next=https%3A%2F%2Fy.test%2F%3Fcode%3Dabc%26z%3D1", "https://x.test/?next=https%3A%2F%2Fy.test%2F%3Fcode%3DREDACTED%26z%3D1"},
		{"a token in the path", "https://api.telegram.test/bot1234567890:AAabcdefghijklmnopqrstuvwxyz0123456/getMe", "https://api.telegram.test/botREDACTED/getMe"},
		{"nothing", "https://x.test/a%2Fb?q=%41+b#frag", "https://x.test/a%2Fb?q=%41+b#frag"},
		{"empty value", "https://x.test/?code=&state=1", "https://x.test/?code=&state=1"},
	} {
		u, err := url.Parse(row.in)
		require.NoError(t, err)
		require.Equal(t, row.want, r.URL(u).String(), row.rule)
		require.Equal(t, row.in, u.String(), "the argument stays")
	}
	require.Nil(t, r.URL(nil))
}

func TestText(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for _, row := range []struct{ rule, in, want string }{
		{"an access log", `"GET /cb?state=1&code=abc HTTP/1.1" 302`, `"GET /cb?state=1&code=REDACTED HTTP/1.1" 302`},
		{"a form", "grant_type=refresh_token&refresh_token=abc", "grant_type=refresh_token&refresh_token=REDACTED"},
		{"a form of one field", "access_token=abc", "access_token=REDACTED"},
		{"an encoded URL in a URL", "/login?to=%2Fcb%3Fcode%3Dabc%26s%3D1", "/login?to=%2Fcb%3Fcode%3DREDACTED%26s%3D1"},
		{"twice encoded", "/login?to=%252Fcb%253Fcode%253Dabc%2526s%253D1", "/login?to=%252Fcb%253Fcode%253DREDACTED%2526s%253D1"},
		{"an encoded name", "/cb?c%6Fd%65=abc", "/cb?c%6Fd%65=REDACTED"},
		{"an ampersand as encoding/json has it", `{"u":"/cb?a=1\u0026code=abc\u0026b=2"} x`, `{"u":"/cb?a=1\u0026code=REDACTED\u0026b=2"} x`},
		{"code means other things", "exit code=7 (code=8)", "exit code=7 (code=8)"},
		{"a fragment of JSON", `got {"access_token":"abc","expires_in":3600`, `got {"access_token":"REDACTED","expires_in":3600`},
		{"JSON cut off in the value", `got {"access_token":"abc`, `got {"access_token":"REDACTED`},
		{"JSON in a string", `body="{\"access_token\": \"abc\", \"n\":1}"`, `body="{\"access_token\": \"REDACTED\", \"n\":1}"`},
		{"an object under a name", `x {"password":{"a":"b"},"c":1}`, `x {"password":"REDACTED","c":1}`},
		{"null stays", `x {"access_token":null,"refresh_token":"",`, `x {"access_token":null,"refresh_token":"",`},
		{"a whole JSON text", `{"a":{"password":12}}`, `{"a":{"password":"REDACTED"}}`},
		{"a header with a short value", "Authorization: Bearer abc", "Authorization: Bearer REDACTED"},
		{"a URL with a password", "dial postgres://u:p@ss@db.test/x failed", "dial postgres://REDACTED@db.test/x failed"},
		{"git@ is no secret", "ssh://git@github.com/a/b", "ssh://git@github.com/a/b"},
		{"a masked text stays", "Authorization: Bearer REDACTED https://REDACTED@x.test/?code=REDACTED", "Authorization: Bearer REDACTED https://REDACTED@x.test/?code=REDACTED"},
		{"a token after an escape", `a\nghp_0123456789abcdefghijABCDEFGHIJ012345`, `a\nREDACTED`},
	} {
		require.Equal(t, row.want, r.Text(row.in), row.rule)
	}
}

func TestBytesByContentType(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, redact.Default())
	for _, row := range []struct{ rule, contentType, in, want string }{
		{"JSON", "application/json; charset=utf-8", `{"access_token":"abc"}`, `{"access_token":"REDACTED"}`},
		{"structured suffix", "application/problem+json", `{"access_token":"abc"}`, `{"access_token":"REDACTED"}`},
		{"NDJSON", "application/x-ndjson", "{\"password\":1}\n{\"password\":2}\n", "{\"password\":\"REDACTED\"}\n{\"password\":\"REDACTED\"}\n"},
		{"json-seq", "application/json-seq", "\x1e{\"password\":1}\n\x1e{\"password\":2}\n", "\x1e{\"password\":\"REDACTED\"}\n\x1e{\"password\":\"REDACTED\"}\n"},
		{"form", "application/x-www-form-urlencoded", "b=2&code=a%20b&a=1", "b=2&code=REDACTED&a=1"},
		{"text", "text/plain", "Authorization: Bearer abc\n", "Authorization: Bearer REDACTED\n"},
		{"events", "text/event-stream", "event: t\ndata: {\"access_token\":\"abc\"}\n\ndata: [DONE]\n\n", "event: t\ndata: {\"access_token\":\"REDACTED\"}\n\ndata: [DONE]\n\n"},
		{"an event of several lines", "text/event-stream", "data: {\"access_token\":\r\ndata: \"abc\"}\r\n\r\n", "data: {\"access_token\":\r\ndata: \"REDACTED\"}\r\n\r\n"},
		{"JSON declared as text", "text/plain", ` {"access_token":{"v":"abc"}}`, ` {"access_token":"REDACTED"}`},
		{"JSON declared as bytes", "application/octet-stream", `[{"access_token":7}]`, `[{"access_token":"REDACTED"}]`},
		{"JSON not declared", "", `{"access_token":7}`, `{"access_token":"REDACTED"}`},
		{"text not declared", "", "see Authorization: Bearer abc", "see Authorization: Bearer REDACTED"},
		{"an INI file is no JSON", "text/plain", "[section]\nkey=1\n", "[section]\nkey=1\n"},
		{"an image passes", "image/png", "\x89PNG Bearer abcdef1234567890", "\x89PNG Bearer abcdef1234567890"},
		{"empty", "application/json", "", ""},
	} {
		out, err := r.Bytes(row.contentType, []byte(row.in))
		require.NoError(t, err, row.rule)
		require.Equal(t, row.want, string(out), row.rule)
	}
}

func TestBytesFailsClosed(t *testing.T) {
	t.Parallel()
	c := redact.Default()
	c.MaxBuffer = 1 << 10
	r := newRedactor(t, c)
	for _, row := range []struct {
		rule, contentType, in string
		want                  error
	}{
		{"truncated in the value", "application/json", `{"access_token":"` + canary, redact.ErrInvalid},
		{"truncated behind it", "application/json", `{"access_token":"` + canary + `"`, redact.ErrInvalid},
		{"not JSON", "application/json", `<html>access_token=` + canary, redact.ErrInvalid},
		{"broken before it", "application/json", `{"a":tru,"access_token":"` + canary + `"}`, redact.ErrInvalid},
		{"single quotes", "application/json", `{'access_token':'` + canary + `'}`, redact.ErrInvalid},
		{"too deep", "application/json", strings.Repeat("[", 20_000) + `{"access_token":"` + canary + `"}`, redact.ErrInvalid},
		{"broken JSON declared as text", "text/plain", `{"a":1 "access_token":"` + canary + `"}`, redact.ErrInvalid},
		{"a form too large", "application/x-www-form-urlencoded", "code=" + strings.Repeat(canary, 100), redact.ErrTooLarge},
		{"an event too large", "text/event-stream", "data: " + strings.Repeat(canary, 100) + "\n\n", redact.ErrTooLarge},
		{"an event with broken JSON", "text/event-stream", `data: {"access_token":"` + canary + "\n\n", redact.ErrInvalid},
		{"a wide charset", "text/plain; charset=UTF-16LE", canary, redact.ErrUnreadable},
	} {
		out, err := r.Bytes(row.contentType, []byte(row.in))
		require.ErrorIs(t, err, row.want, row.rule)
		require.Nil(t, out, row.rule)
		require.NotContains(t, err.Error(), canary[:8], row.rule)
	}
	var b bytes.Buffer
	err := r.JSON(&b, strings.NewReader(`{"a":"ok","access_token":"`+canary+`","b":tru}`))
	require.ErrorIs(t, err, redact.ErrInvalid)
	require.Regexp(t, `\d+`, err.Error(), "the error says where")
	requireNoCanary(t, b.String(), "JSON")
}

// What announces a credential again and again must not be looked at from each
// place to the end of the text: these would take minutes.
func TestTextHostileRepetition(t *testing.T) {
	t.Parallel()
	c := redact.Default()
	c.MaskSealed = true
	kept, all := newRedactor(t, redact.Default()), newRedactor(t, c)
	for _, s := range []string{
		"eyJ", "eyJhbGciOi", "eyJh.", "tv1.", "tv1.a.", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nMII", "://", "a://", "a://a:",
		"?code=", "&code", "code=", "code%", "%3Fcode%3D", `password"`, `"password"`, `"password":`, `"password":[`, `"password":"`, `\"password\":\"`, `password\`, "\\",
		"bearer ", "bearer", "basic ", "authorization: bearer ", "Q~", "1Q~", "MTA", ":AA", "1:AA", "T3BlbkFJ", "AZDO", "ghp_", "sk-", "SG.", "AccountKey=", "secret_access_key=\"",
		"[", "{\"a\":", "[\"", "%25", "%", "\xff", ".atlasv1.", "-us1",
	} {
		in := strings.Repeat(s, 256<<10/len(s))
		for _, r := range []*redact.Redactor{kept, all} {
			out := r.Text(in)
			require.LessOrEqual(t, len(out), 4*len(in))
			_, _ = r.Bytes("text/plain", []byte(in))
		}
	}
}

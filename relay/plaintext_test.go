package relay

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// A carrier is a place, how a client fills it, and how a server of the standard
// library reads it.
type carrier struct {
	name   string
	fill   func(t *testing.T, sealed string) *http.Request
	decode func(t *testing.T, got received) string
}

const boundary = "boundary-0123456789"

func carriers() []carrier {
	target := "https://" + host + "/v1/"
	header := func(name, before string) carrier {
		return carrier{"header " + name + " " + before, func(t *testing.T, s string) *http.Request {
			req := newRequest(t, "GET", target, "", "")
			req.Header.Set(name, before+s)
			return req
		}, func(t *testing.T, got received) string {
			v, ok := strings.CutPrefix(got.Header.Get(name), before)
			require.True(t, ok)
			return v
		}}
	}
	basic := func(name, user, pass string, half int) carrier {
		return carrier{"Basic " + name, func(t *testing.T, s string) *http.Request {
			req := newRequest(t, "GET", target, "", "")
			req.SetBasicAuth(strings.ReplaceAll(user, "%", s), strings.ReplaceAll(pass, "%", s))
			return req
		}, func(t *testing.T, got received) string {
			req := http.Request{Header: got.Header}
			u, p, ok := req.BasicAuth()
			require.True(t, ok)
			return [...]string{u, p}[half]
		}}
	}
	body := func(name, contentType string, write func(s string) string, read func(t *testing.T, req *http.Request) string) carrier {
		return carrier{name, func(t *testing.T, s string) *http.Request {
			return newRequest(t, "POST", target, contentType, write(s))
		}, func(t *testing.T, got received) string {
			req := newRequest(t, "POST", target, contentType, got.Body)
			return read(t, req)
		}}
	}
	return []carrier{
		header("Authorization", "Bearer "), header("Authorization", ""), header("X-Api-Key", ""),
		basic("user", "%", "p", 0), basic("password", "u", "%", 1),
		{"cookie", func(t *testing.T, s string) *http.Request {
			req := newRequest(t, "GET", target, "", "")
			req.Header.Set("Cookie", "a=1; sid="+s+"; b=2")
			return req
		}, func(t *testing.T, got received) string {
			req := http.Request{Header: got.Header}
			c, err := req.Cookie("sid")
			require.NoError(t, err)
			require.Len(t, req.Cookies(), 3)
			return c.Value
		}},
		{"query", func(t *testing.T, s string) *http.Request {
			return newRequest(t, "GET", target+"?a=1&k="+s+"&b=2", "", "")
		},
			func(t *testing.T, got received) string {
				u, err := url.ParseRequestURI(got.URI)
				require.NoError(t, err)
				q, err := url.ParseQuery(u.RawQuery)
				require.NoError(t, err)
				require.Len(t, q, 3)
				return q.Get("k")
			}},
		{"path", func(t *testing.T, s string) *http.Request { return newRequest(t, "GET", target+s+"/x", "", "") },
			func(t *testing.T, got received) string {
				u, err := url.ParseRequestURI(got.URI)
				require.NoError(t, err)
				require.Equal(t, u.Path, path.Clean(u.Path))
				require.Len(t, strings.Split(u.Path, "/"), 4, "one segment stays one")
				return strings.Split(u.Path, "/")[2]
			}},
		body("form", "application/x-www-form-urlencoded", func(s string) string { return "a=1&k=" + s + "&b=2" }, func(t *testing.T, req *http.Request) string {
			require.NoError(t, req.ParseForm())
			require.Len(t, req.PostForm, 3)
			return req.PostForm.Get("k")
		}),
		body("json", "application/json", func(s string) string { return `{"a":1,"k":"` + s + `","b":2}` }, func(t *testing.T, req *http.Request) string {
			var v map[string]any
			require.NoError(t, json.NewDecoder(req.Body).Decode(&v))
			require.Len(t, v, 3)
			s, ok := v["k"].(string)
			require.True(t, ok)
			return s
		}),
		body("multipart", "multipart/form-data; boundary="+boundary, func(s string) string {
			return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--" + boundary +
				"\r\nContent-Disposition: form-data; name=\"k\"\r\nContent-Type: text/plain\r\n\r\n" + s + "\r\n--" + boundary + "--\r\n"
		}, func(t *testing.T, req *http.Request) string {
			r, err := req.MultipartReader()
			require.NoError(t, err)
			return secondPart(t, r)
		}),
	}
}

func secondPart(t *testing.T, r *multipart.Reader) string {
	_, err := r.NextPart()
	require.NoError(t, err)
	p, err := r.NextPart()
	require.NoError(t, err)
	require.Equal(t, "k", p.FormName())
	b, err := io.ReadAll(p)
	require.NoError(t, err)
	_, err = r.NextPart()
	require.Equal(t, io.EOF, err)
	return string(b)
}

// What arrives decodes to exactly the plaintext, or nothing arrives.
func TestElsewhere_RawSubstitutionBreaksOut(t *testing.T) {
	t.Parallel()
	plaintexts := map[string]string{
		"a token": secret, "empty": "", "one byte": "x", "a space": " ", "white space around": " x\t", "quotes": `a"b'c"`,
		"json": `","admin":true,"x":"`, "backslashes": `a\b\\n\`, "CRLF": "a\r\nX-Admin: 1\r\n\r\nGET /", "LF": "a\nb", "CR": "a\rb", "NUL": "a\x00b",
		"DEL": "a\x7fb", "tab": "a\tb", "semicolon": "a; admin=1", "comma": "a,b", "colon": "a:b", "dot": ".", "dots": "..", "dots and slash": "../admin", "slash": "a/b",
		"encoded slash": "a%2fb", "encoded dots": "%2e%2e", "percent": "100%", "form": "a&admin=1", "plus": "a+b c", "hash": "a#b?c",
		"boundary": "a\r\n--" + boundary + "\r\nContent-Disposition: form-data; name=\"admin\"\r\n\r\n1", "boundary alone": boundary, "non-ASCII": "pässwörd-\u65e5\u672c\u2028",
		"invalid UTF-8": "a\xff\xfeb", "64 KiB": strings.Repeat("0123456789abcdef", 4096), "a sealed value": "tv1.x", "html": "<&>",
		"dot dot semicolon": "..;", "emoji": "\U0001F511", "a placeholder": "%s{{.}}", "equals": "a=b==",
	}
	arrivals := map[string]int{}
	r := newRigWith(t, rigConfig{config: Config{Destinations: []Destination{{Host: host, Routes: []string{"/v1/"}, Open: []string{
		"header:Authorization", "header:X-Api-Key", "cookie:sid", "query:k", "path", "form:k", "json:$.k", "multipart:k",
	}}}}})
	r.server.Config.MaxHeaderBytes = 1 << 20
	for _, c := range carriers() {
		for name, plain := range plaintexts {
			before := len(r.requests())
			_, _, err := r.do(c.fill(t, r.seal(plain)))
			got := r.requests()[before:]
			if err != nil {
				require.ErrorIs(t, err, ErrPlace, "%s: %s", c.name, name)
				require.Empty(t, got)
				noValue(t, err)
				continue
			}
			require.Len(t, got, 1)
			require.Equal(t, plain, c.decode(t, got[0]), "%s: %s", c.name, name)
			arrivals[c.name]++
		}
	}
	require.Len(t, arrivals, len(carriers()))
	require.Equal(t, len(plaintexts), arrivals["form"], "a form carries everything")
	require.Equal(t, len(plaintexts), arrivals["query"], "a query carries everything")
	require.Equal(t, len(plaintexts)-1, arrivals["json"], "JSON carries all text")
	require.Equal(t, len(plaintexts)-2, arrivals["multipart"])
	for name, n := range arrivals {
		require.Greater(t, n, len(plaintexts)/3, name)
	}
}

func TestElsewhere_ValuesRetyped(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"json:$.k", "json:$.l[*]"}})
	for _, value := range []string{
		`1.0`, `9007199254740993`, `false`, `true`, `null`, `"x\u0041"`, `{"a": [1.0, {"b":null}], "a":2}`, `[]`, `-0`, `1e400`, ` 1 `, `""`,
	} {
		sealed := r.sealAs(value, tokenvault.Label{Hosts: []string{host}, JSON: true})
		before := len(r.requests())
		_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k": "`+sealed+`" ,"l":["`+sealed+`",2]}`))
		require.NoError(t, err)
		require.Equal(t, `{"k": `+value+` ,"l":[`+value+`,2]}`, r.requests()[before].Body, "the value replaces the quoted string, as it is spelt")
	}
	for _, text := range []string{"false", "1.0", "null", `{"a":1}`} {
		before := len(r.requests())
		_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k":"`+r.seal(text)+`"}`))
		require.NoError(t, err)
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		require.Equal(t, `{"k":`+string(quoted)+`}`, r.requests()[before].Body, "text stays text")
	}
}

// A JSON label that its sealer did not check is checked here.
func TestJSONLabelOverSomethingElse(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"", "1 2", `{"a":1},"admin":true`, "nope", `"`, "1,"} {
		r := newRigWith(t, rigConfig{config: Config{Destinations: []Destination{{Host: host, Open: []string{"json:$.k"}}}, Sealer: trusting(plain)}})
		req := newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k":"`+r.seal("x")+`"}`)
		r.refused(ErrPlace, req)
	}
}

// trusting opens everything to one JSON-labelled plaintext.
type trusting string

func (trusting) Seal(contextT, []byte, tokenvault.Label) (string, error) { return "", errBroken }
func (trusting) Reseal(contextT, string) (string, bool, error)           { return "", false, errBroken }
func (s trusting) Open(contextT, string, tokenvault.Use) ([]byte, tokenvault.Label, error) {
	return []byte(s), tokenvault.Label{JSON: true}, nil
}

// An error of a foreign Sealer may quote what it was given.
type quoting struct{ trusting }

func (quoting) Open(_ contextT, s string, _ tokenvault.Use) ([]byte, tokenvault.Label, error) {
	return nil, tokenvault.Label{}, errors.New("cannot open " + s)
}

func TestSealerErrorsAreNotQuoted(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{config: Config{Destinations: []Destination{{Host: host}}, Sealer: quoting{}}})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+r.seal("x"))
	_, err := r.relay.RoundTrip(req)
	require.EqualError(t, err, "relay: header:Authorization: sealer failed")
	require.Empty(t, r.requests())
}

// A sealed value in every place that is not listed is refused.
func TestElsewhere_FreeTextFieldIsOpenedForItsReader(t *testing.T) {
	t.Parallel()
	for _, c := range carriers() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// every place is open but the one the value stands in
			var open []string
			for place, prefix := range map[string]string{
				"header:Authorization": "header Authorization|Basic", "header:X-Api-Key": "header X-Api-Key", "cookie:sid": "cookie", "query:k": "query",
				"path": "path", "form:k": "form", "json:$.k": "json", "multipart:k": "multipart",
			} {
				if first, second, _ := strings.Cut(prefix, "|"); !strings.HasPrefix(c.name, first) && (second == "" || !strings.HasPrefix(c.name, second)) {
					open = append(open, place)
				}
			}
			require.Len(t, open, 7)
			r := newRig(t, Destination{Host: host, Open: append(open, "header:X-Other", "cookie:other", "query:other", "form:other", "json:$.other", "json:$.k.k", "multipart:other")})
			r.refused(ErrPlace, c.fill(t, r.seal(secret)))
			r.refused(ErrPlace, c.fill(t, r.sealAs(secret, tokenvault.Label{Hosts: []string{"other.example.com"}})))
		})
	}
}

// User B's value in user A's request, in every place.
func TestAnotherUsersValue(t *testing.T) {
	t.Parallel()
	for _, c := range carriers() {
		r := newRig(t, Destination{Host: host, Open: Everywhere})
		req := c.fill(t, r.sealAs(secret, tokenvault.Label{Hosts: []string{host}, Subject: "bob"}))
		r.refused(tokenvault.ErrLabel, req.WithContext(WithSubject(req.Context(), "alice")))
	}
}

// One bad value among good ones: nothing is sent.
func TestElsewhere_OneBadTokenLeaksTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"json:$[*]", "header:*"}})
	good, bad := r.seal(secret), r.sealAs(secret, tokenvault.Label{Hosts: []string{"other.example.com"}})
	r.refused(tokenvault.ErrLabel, newRequest(t, "POST", "https://"+host+"/", "application/json", `["`+good+`","`+good+`","`+bad+`"]`))
	req := newRequest(t, "POST", "https://"+host+"/", "application/json", `["`+good+`"]`)
	req.Header.Set("X-A", bad)
	r.refused(tokenvault.ErrLabel, req)
	require.NotContains(t, r.kinds(), "open", "nothing was revealed")
}

func TestBase64OfBasicIsDecodedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	for name, credentials := range map[string]string{
		"url alphabet": base64.URLEncoding.EncodeToString([]byte("\xff\xfe:" + r.seal(secret))),
		"no padding":   strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("u:"+r.seal(secret+"x"))), "=") + "=",
		"no colon":     base64.StdEncoding.EncodeToString([]byte(r.seal(secret))),
	} {
		req := newRequest(t, "GET", "https://"+host+"/", "", "")
		req.Header.Set("Authorization", "Basic "+credentials)
		if resp, err := r.relay.RoundTrip(req); err == nil {
			require.NoError(t, resp.Body.Close())
			require.Equal(t, "no padding", name, "it may happen to be padded right")
		} else {
			require.ErrorIs(t, err, ErrPlace, name)
		}
	}
}

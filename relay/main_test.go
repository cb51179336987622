package relay

import (
	"context"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

var quietLog = log.New(io.Discard, "", 0)

func TestGuide(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{
		config: Config{Destinations: []Destination{{
			Host: host, Routes: []string{"POST /api/fetchToken"}, Open: []string{"json:$.password"},
			Seal: []Field{{At: "$.accessToken"}}, Require: true,
		}, {Host: host, Routes: []string{"POST /api/authenticatedEndpoint"}}}},
		answer: func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"authenticated": true, "accessToken":"`+secret+`" }`)
		},
	})
	ctx := WithSubject(context.Background(), "alice")
	sealed := r.sealAs("pa55\"word\n", tokenvault.Label{Hosts: []string{host}, Subject: "alice"})
	req := newRequest(t, "POST", "https://"+host+"/api/fetchToken", "application/json", `{"user":"claude", "password" : "`+sealed+`"}`)
	resp, body, err := r.do(req.WithContext(ctx))
	require.NoError(t, err)
	got := r.only()
	require.Equal(t, `{"user":"claude", "password" : "pa55\"word\n"}`, got.Body)
	require.EqualValues(t, len(got.Body), got.ContentLength)
	leaktest.None(t, []byte(body), secret)
	require.EqualValues(t, len(body), resp.ContentLength)
	token, found := strings.CutPrefix(body, `{"authenticated": true, "accessToken":"`)
	require.True(t, found)
	token, found = strings.CutSuffix(token, `" }`)
	require.True(t, found)
	require.Equal(t, secret, r.open(token, host, "alice"))

	req = newRequest(t, "POST", "https://"+host+"/api/authenticatedEndpoint", "", "")
	req.Header.Set("Authorization", "Bearer "+token)
	_, _, err = r.do(req.WithContext(ctx))
	require.NoError(t, err)
	require.Equal(t, "Bearer "+secret, r.requests()[1].Header.Get("Authorization"))
	require.Equal(t, []string{"open", "seal", "send", "open", "send"}, r.kinds())
}

func TestOpensPlaces(t *testing.T) {
	t.Parallel()
	type row struct {
		name, open, method, target, contentType, body, header, value string
		want                                                         func(received) string
	}
	get := func(name string) func(received) string {
		return func(r received) string { return r.Header.Get(name) }
	}
	body := func(r received) string { return r.Body }
	for _, tt := range []row{
		{name: "the default is Authorization", header: "Authorization", value: "Bearer %s", want: get("Authorization")},
		{name: "without a scheme", header: "Authorization", value: "%s", want: get("Authorization")},
		{name: "any scheme", header: "Authorization", value: "token %s", want: get("Authorization")},
		{name: "a header by any case", open: "header:x-api-key", header: "X-Api-Key", value: "%s", want: get("X-Api-Key")},
		{name: "cookie", open: "cookie:sid", header: "Cookie", value: "a=b; sid=%s; c=d", want: get("Cookie")},
		{name: "query", open: "query:api_key", target: "/v1?a=b&api_key=%s&c=+%%20", want: func(r received) string { return r.URI }},
		{name: "path", open: "path", target: "/v1/keys/%s/x", want: func(r received) string { return r.URI }},
		{name: "form", open: "form:client_secret", method: "POST", contentType: "application/x-www-form-urlencoded; charset=utf-8", body: "a=%%41&client_secret=%s&b=", want: body},
		{name: "json", open: "json:$.a[0].b", method: "POST", contentType: "application/vnd.api+json", body: `{"a": [{"b":"%s"}]}`, want: body},
		{name: "any json", open: "json:$..*", method: "POST", contentType: "application/json", body: `{"a": [{"b":"%s"}]}`, want: body},
		{name: "multipart", open: "multipart:key", method: "POST", contentType: "multipart/form-data; boundary=b", body: "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n%s\r\n--b--\r\n", want: body},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := Destination{Host: host}
			if tt.open != "" {
				d.Open = []string{tt.open}
			}
			r := newRig(t, d)
			if tt.method == "" {
				tt.method = "GET"
			}
			if tt.target == "" {
				tt.target = "/"
			}
			fill := func(s, v string) string { return strings.ReplaceAll(strings.Replace(s, "%s", v, 1), "%%", "%") }
			sealed := r.seal(secret)
			req := newRequest(t, tt.method, "https://"+host+fill(tt.target, sealed), tt.contentType, fill(tt.body, sealed))
			if tt.header != "" {
				req.Header.Set(tt.header, fill(tt.value, sealed))
			}
			_, _, err := r.do(req)
			require.NoError(t, err)
			got := r.only()
			from := tt.value + tt.body
			if tt.header == "" && tt.body == "" {
				from = tt.target
			}
			require.Equal(t, fill(from, secret), tt.want(got))
			require.EqualValues(t, len(got.Body), got.ContentLength, "the length is exact")
		})
	}
}

func TestBasicHalves(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, user, pass, body string
		want                   error
		arrives                string
	}{
		{"both", "u ser", "p:a%s+s", "", nil, "u ser:p:a%s+s"},
		{"a colon ends the user name", "us:er", "pass", "", ErrPlace, ""},
		{"a control character", "user", "pa\nss", "", ErrPlace, ""},
		{"RFC 6749 2.3.1 with grant_type", "us:er", "p a%+/é", "grant_type=client_credentials", nil, "us%3Aer:p+a%25%2B%2F%C3%A9"},
		{"RFC 6749 2.3.1 with token", "user", "p:a", "token=x", nil, "user:p%3Aa"},
		{"another form", "user", "p:a", "x=grant_type", nil, "user:p:a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Destination{Host: host})
			req := newRequest(t, "POST", "https://"+host+"/", form, tt.body)
			req.Header.Set("Authorization", encode(r.seal(tt.user)+":"+r.seal(tt.pass)))
			if tt.want != nil {
				r.refused(tt.want, req)
				return
			}
			_, _, err := r.do(req)
			require.NoError(t, err)
			require.Equal(t, encode(tt.arrives), r.only().Header.Get("Authorization"))
		})
	}
}

// A sealed value that is not the whole of an open place is refused.
func TestWholeValue(t *testing.T) {
	t.Parallel()
	everywhere := Destination{Host: host, Open: Everywhere}
	const form, multi = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	part := func(v string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + v + "\r\n--b--\r\n"
	}
	for name, set := range map[string]func(sealed string) (target, contentType, body, header, value string){
		"text before it in a header": func(s string) (string, string, string, string, string) { return "/", "", "", "X-Key", "a " + s },
		"text after it in a header":  func(s string) (string, string, string, string, string) { return "/", "", "", "X-Key", s + " a" },
		"two words after a scheme": func(s string) (string, string, string, string, string) {
			return "/", "", "", "Authorization", "a b " + s
		},
		"a parameter of a scheme": func(s string) (string, string, string, string, string) {
			return "/", "", "", "Authorization", `Digest r="` + s + `"`
		},
		"part of a Basic half": func(s string) (string, string, string, string, string) {
			return "/", "", "", "Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("u:x"+s))
		},
		"a quoted cookie": func(s string) (string, string, string, string, string) { return "/", "", "", "Cookie", `a="` + s + `"` },
		"a cookie's name": func(s string) (string, string, string, string, string) {
			return "/", "", "", "Cookie", "a=b; " + s + "=" + s
		},
		"a framing header":       func(s string) (string, string, string, string, string) { return "/", "", "", "Te", s },
		"a header name":          func(s string) (string, string, string, string, string) { return "/", "", "", s, "x" },
		"a query name":           func(s string) (string, string, string, string, string) { return "/?" + s + "=1", "", "", "", "" },
		"a semicolon in a query": func(s string) (string, string, string, string, string) { return "/?a=1;b=" + s, "", "", "", "" },
		"half a path segment":    func(s string) (string, string, string, string, string) { return "/x" + s, "", "", "", "" },
		"a form name":            func(s string) (string, string, string, string, string) { return "/", form, s + "=1", "", "" },
		"an encoded form value": func(s string) (string, string, string, string, string) {
			return "/", form, "a=x%" + "74" + s[1:], "", ""
		},
		"text around it in JSON": func(s string) (string, string, string, string, string) {
			return "/", "application/json", `{"a":" ` + s + `"}`, "", ""
		},
		"a JSON name": func(s string) (string, string, string, string, string) {
			return "/", "application/json", `{"` + s + `":1}`, "", ""
		},
		"an escaped JSON name": func(s string) (string, string, string, string, string) {
			return "/", "application/json", `{"\u0074` + s[1:] + `":1}`, "", ""
		},
		"broken JSON": func(s string) (string, string, string, string, string) {
			return "/", "application/json", `{"a":"` + s + `"`, "", ""
		},
		"no JSON at all": func(s string) (string, string, string, string, string) { return "/", "application/json", s, "", "" },
		"JSON in a JSON string": func(s string) (string, string, string, string, string) {
			return "/", "application/json", `{"a":"{\"b\":\"` + s + `\"}"}`, "", ""
		},
		"text around it in a part": func(s string) (string, string, string, string, string) { return "/", multi, part(s + "\n"), "", "" },
		"a preamble": func(s string) (string, string, string, string, string) {
			return "/", multi, s + "\r\n" + part("x"), "", ""
		},
		"an epilogue": func(s string) (string, string, string, string, string) { return "/", multi, part("x") + s, "", "" },
		"line feeds alone": func(s string) (string, string, string, string, string) {
			return "/", multi, strings.ReplaceAll(part(s), "\r", ""), "", ""
		},
		"another boundary": func(s string) (string, string, string, string, string) { return "/", multi + "c", part(s), "", "" },
		"a part's header": func(s string) (string, string, string, string, string) {
			return "/", multi, strings.Replace(part("x"), "key", s, 1), "", ""
		},
		"text of no known type": func(s string) (string, string, string, string, string) { return "/", "text/plain", s, "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, everywhere)
			target, contentType, body, header, value := set(r.seal(secret))
			req := newRequest(t, "POST", "https://"+host+"/", contentType, body)
			u, err := url.Parse("https://" + host + target)
			require.NoError(t, err)
			req.URL = u
			if header != "" {
				req.Header[header] = []string{value}
			}
			r.refused(ErrPlace, req)
		})
	}
}

func TestLabelAndDestinationMustAgree(t *testing.T) {
	t.Parallel()
	const other = "files.example.com"
	for _, tt := range []struct {
		name    string
		label   tokenvault.Label
		subject string
		d       Destination
		want    error
	}{
		{"another host's value", tokenvault.Label{Hosts: []string{other}}, "", Destination{}, tokenvault.ErrLabel},
		{"a value for no host", tokenvault.Label{}, "", Destination{}, tokenvault.ErrLabel},
		{"another user's value", tokenvault.Label{Hosts: []string{host}, Subject: "alice"}, "bob", Destination{}, tokenvault.ErrLabel},
		{"a user's value for nobody", tokenvault.Label{Hosts: []string{host}, Subject: "alice"}, "", Destination{}, tokenvault.ErrLabel},
		{"another purpose", tokenvault.Label{Hosts: []string{host}, Purpose: "vault"}, "", Destination{}, tokenvault.ErrLabel},
		{"expired", tokenvault.Label{Hosts: []string{host}, Expires: time.Now().Add(time.Hour)}, "", Destination{}, tokenvault.ErrExpired},
		{"RequireSubject", tokenvault.Label{Hosts: []string{host}}, "bob", Destination{RequireSubject: true}, tokenvault.ErrLabel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.d.Host = host
			r := newRigWith(t, rigConfig{config: Config{
				Destinations: []Destination{tt.d}, Now: func() time.Time { return time.Now().Add(2 * time.Hour) },
			}})
			req := newRequest(t, "POST", "https://"+host+"/", "text/plain", "hello")
			req.Header.Set("Authorization", "Bearer "+r.sealAs(secret, tt.label))
			r.refused(tt.want, req.WithContext(WithSubject(context.Background(), tt.subject)))
		})
	}
}

func TestDamagedValuesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	sealed, foreign := r.seal(secret), newRig(t, Destination{Host: host}).seal(secret)
	flipped := []byte(sealed)
	at := len(flipped) - 30
	if flipped[at]++; sealed[at] == '9' || sealed[at] == 'z' || sealed[at] == 'Z' || sealed[at] == '_' || sealed[at] == '-' {
		flipped[at] = 'a'
	}
	for name, value := range map[string]struct {
		sealed string
		want   error
	}{
		"cut off":          {sealed[:len(sealed)-1], tokenvault.ErrMalformed},
		"prefix alone":     {"tv1.", tokenvault.ErrMalformed},
		"two in a row":     {sealed + sealed, tokenvault.ErrMalformed},
		"too long":         {sealed + "x", tokenvault.ErrMalformed},
		"foreign key":      {foreign, tokenvault.ErrUnknownKey},
		"one bit wrong":    {string(flipped), tokenvault.ErrOpen},
		"another alphabet": {sealed[:100] + "[" + sealed[101:], tokenvault.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			req := newRequest(t, "GET", "https://"+host+"/", "", "")
			req.Header.Set("Authorization", "Bearer "+value.sealed)
			r.refused(value.want, req)
		})
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host}, Subject: "alice"})
	request := func(ctx context.Context) *http.Request {
		req := newRequest(t, "GET", "https://"+host+"/", "", "")
		req.Header.Set("Authorization", "Bearer "+sealed)
		return req.WithContext(ctx)
	}
	_, _, err := r.do(request(WithSubject(context.Background(), "alice")))
	require.NoError(t, err)
	resp, err := r.relay.As("alice").RoundTrip(request(context.Background()))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	_, err = r.relay.As("bob").RoundTrip(request(WithSubject(context.Background(), "alice")))
	require.ErrorIs(t, err, tokenvault.ErrLabel, "the fixed subject wins")
}

func TestSubjectPartsAreInjective(t *testing.T) {
	t.Parallel()
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{"a"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "b", ""}, {"1:a"}, {"", ""}, {"a", "1:b"},
		{joinSubject([]string{"a", "b"})}, {joinSubject([]string{joinSubject([]string{"a", "b"})})}, {joinedSubject},
	} {
		s := subjectOf(WithSubject(context.Background(), parts...))
		require.Nil(t, seen[s], "%q and %q", parts, seen[s])
		seen[s] = parts
	}
	require.Empty(t, subjectOf(WithSubject(context.Background())))
	require.Equal(t, "alice", subjectOf(WithSubject(context.Background(), "alice")))
}

func TestElsewhere_PlaintextInRequestAndTraces(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"header:Authorization", "json:$.p", "query:k"}})
	sealed := r.seal(secret)
	req := newRequest(t, "POST", "https://"+host+"/?k="+sealed, "application/json", `{"p":"`+sealed+`"}`)
	req.Header.Set("Authorization", "Bearer "+sealed)
	var fields, wrote []string
	req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		WroteHeaderField: func(key string, value []string) { fields = append(fields, key) },
		WroteHeaders:     func() { wrote = append(wrote, "headers") },
		GotConn:          func(httptrace.GotConnInfo) { wrote = append(wrote, "conn") },
	}))
	header, target := req.Header.Clone(), req.URL.String()
	resp, _, err := r.do(req)
	require.NoError(t, err)
	require.Same(t, req, resp.Request)
	require.Equal(t, header, req.Header)
	require.Equal(t, target, req.URL.String())
	require.Empty(t, fields, "the hook that would see plaintext is not called")
	require.Equal(t, []string{"conn", "headers"}, wrote)
	require.Equal(t, `{"p":"`+secret+`"}`, r.only().Body)
}

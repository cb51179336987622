package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

func answering(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		} else {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func sealingRig(t testing.TB, require bool, answer http.HandlerFunc) *rig {
	return newRigWith(t, rigConfig{answer: answer, config: Config{Destinations: []Destination{{
		Host: host, Seal: []Field{{At: "$.access_token"}, {At: "$..refresh_token"}, {At: "header:X-Token"}}, Require: require,
	}}}})
}

func TestSealsAnswers(t *testing.T) {
	t.Parallel()
	const jsonType = "application/json; charset=utf-8"
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
		want                    string // with a % for each sealed string
		plain                   []string
		isJSON                  bool
	}{
		{"byte for byte", jsonType, "{ \"a\" : 1.0, \"access_token\" :\t\"x\\u0041y\",\"b\":[1e400 ] }\n", 200, "{ \"a\" : 1.0, \"access_token\" :\t\"%\",\"b\":[1e400 ] }\n", []string{"xAy"}, false},
		{"error answers, too", jsonType, `{"access_token":"x"}`, 400, `{"access_token":"%"}`, []string{"x"}, false},
		{"created", "application/problem+json", `{"access_token":"x"}`, 201, `{"access_token":"%"}`, []string{"x"}, false},
		{"null and empty stay", jsonType, `{"access_token":null,"b":{"refresh_token":""}}`, 200, `{"access_token":null,"b":{"refresh_token":""}}`, nil, false},
		{"white space is kept", jsonType, `{"access_token":" x "}`, 200, `{"access_token":"%"}`, []string{" x "}, false},
		{"the text false stays text", jsonType, `{"access_token":"false"}`, 200, `{"access_token":"%"}`, []string{"false"}, false},
		{"false", jsonType, `{"access_token":false}`, 200, `{"access_token":"%"}`, []string{"false"}, true},
		{"1.0", jsonType, `{"access_token":1.0}`, 200, `{"access_token":"%"}`, []string{"1.0"}, true},
		{"2^53+1", jsonType, `{"access_token":9007199254740993}`, 200, `{"access_token":"%"}`, []string{"9007199254740993"}, true},
		{"an object", jsonType, `{"access_token":{"a": [1, "x"]}}`, 200, `{"access_token":"%"}`, []string{`{"a": [1, "x"]}`}, true},
		{"duplicate names", jsonType, `{"access_token":"x","access_token":"y"}`, 200, `{"access_token":"%","access_token":"%"}`, []string{"x", "y"}, false},
		{"escaped names", jsonType, `{"access\u005ftoken":"x"}`, 200, `{"access\u005ftoken":"%"}`, []string{"x"}, false},
		{"a second grant's token", jsonType, `{"a":[{"refresh_token":"x"},{"refresh_token":"y"}]}`, 200, `{"a":[{"refresh_token":"%"},{"refresh_token":"%"}]}`, []string{"x", "y"}, false},
		{"form", "application/x-www-form-urlencoded", "scope=a%2Bb+c&access_token=x%2B+y&e=", 200, "scope=a%2Bb+c&access_token=%&e=", []string{"x+ y"}, false},
		{"form, twice", "application/x-www-form-urlencoded", "access_token=x&access_token=y", 200, "access_token=%&access_token=%", []string{"x", "y"}, false},
		{"form, empty", "application/x-www-form-urlencoded", "access_token=&a", 200, "access_token=&a", nil, false},
		{"a sealed string from upstream is sealed again", jsonType, `{"access_token":"tv1.x"}`, 200, `{"access_token":"%"}`, []string{"tv1.x"}, false},
		{"html of an error", "text/html", "<p>no</p>", 500, "<p>no</p>", nil, false},
		{"text of a redirect", "text/plain", "elsewhere", 302, "elsewhere", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := sealingRig(t, false, answering(tt.status, tt.contentType, tt.body))
			ctx := WithSubject(context.Background(), "alice")
			resp, body, err := r.do(newRequest(t, "GET", "https://"+host+"/", "", "").WithContext(ctx))
			require.NoError(t, err)
			require.Equal(t, tt.status, resp.StatusCode)
			require.EqualValues(t, len(body), resp.ContentLength)
			sealed := sealedIn(body)
			require.Len(t, sealed, len(tt.plain), body)
			for i, s := range sealed {
				plain, label, err := r.keys.Open(ctx, s, tokenvault.Use{Host: host, Subject: "alice"})
				require.NoError(t, err)
				require.Equal(t, tt.plain[i], string(plain))
				require.Equal(t, tokenvault.Label{Hosts: []string{host}, Subject: "alice", JSON: tt.isJSON}, label)
				body = strings.Replace(body, s, "%", 1)
			}
			require.Equal(t, tt.want, body)
		})
	}
}

// sealedIn lists the sealed values in s.
func sealedIn(s string) (found []string) {
	b := []byte(s)
	for {
		start, end := tokenvault.Find(b)
		if start < 0 || end < 0 {
			return found
		}
		found = append(found, string(b[start:end]))
		b = b[end:]
	}
}

func TestAnswersThatCannotBeSealed(t *testing.T) {
	t.Parallel()
	with := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const token = `{"access_token":"` + secret + `"}`
	const typ, jsonType = "Content-Type", "application/json"
	for name, answer := range map[string]http.HandlerFunc{
		"another media type":        answering(200, "text/plain", token),
		"html":                      answering(200, "text/html", token),
		"no Content-Type":           answering(200, "", token),
		"an event stream":           answering(200, "text/event-stream", "data: "+secret+"\n\n"),
		"truncated":                 answering(200, jsonType, token[:len(token)-1]),
		"truncated error":           answering(400, jsonType, token[:len(token)-1]),
		"not JSON":                  answering(200, jsonType, secret),
		"partial":                   answering(206, jsonType, token),
		"a lone surrogate":          answering(200, jsonType, `{"access_token":"`+secret+`\ud800"}`),
		"invalid UTF-8":             answering(200, jsonType, `{"access_token":"`+secret+"\xff\"}"),
		"UTF-16":                    answering(200, jsonType+"; charset=utf-16", "\xff\xfe{\x00"),
		"an unknown encoding":       with(200, token, typ, jsonType, "Content-Encoding", "br"),
		"an unknown encoding, 400":  with(400, token, typ, jsonType, "Content-Encoding", "br"),
		"two encodings":             with(200, gzipped(token), typ, jsonType, "Content-Encoding", "gzip", "Content-Encoding", "br"),
		"a list of encodings":       with(200, gzipped(token), typ, jsonType, "Content-Encoding", "gzip, gzip"),
		"two types":                 with(200, token, typ, jsonType, typ, "text/plain"),
		"gzip that is none":         with(200, token, typ, jsonType, "Content-Encoding", "gzip"),
		"a form with semicolons":    answering(200, "application/x-www-form-urlencoded", "a=1;access_token="+secret),
		"a form with a bad percent": answering(200, "application/x-www-form-urlencoded", "access_token="+secret+"%zz"),
		"more than one can seal":    answering(200, jsonType, `{"access_token":"`+strings.Repeat(secret, 4000)+`"}`),
		"a header too long to seal": with(200, "{}", typ, jsonType, "X-Token", strings.Repeat(secret, 2200)),
		"nothing to seal": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("X")
			answering(200, jsonType, `{"token":"`+secret+`"}`)(w, r)
		},
		"204 and nothing to seal":   with(204, ""),
		"empty and nothing to seal": with(200, "", typ, jsonType),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sealingRig(t, true, answer)
			r.base.DisableCompression = strings.Contains(name, "encoding")
			body := &closing{Reader: strings.NewReader("")}
			r.relay.base = roundTripFunc(func(q *http.Request) (*http.Response, error) {
				resp, err := r.base.RoundTrip(q)
				if err == nil {
					upstream := resp.Body
					defer upstream.Close()
					b, _ := io.ReadAll(upstream)
					body.Reader = bytes.NewReader(b)
					resp.Body = body
				}
				return resp, err
			})
			resp, got, err := r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
			require.ErrorIs(t, err, ErrResponse)
			require.Nil(t, resp)
			require.Empty(t, got)
			require.Equal(t, 1, body.count(), "the upstream's body is closed")
			leaktest.None(t, []byte(err.Error()), secret)
			require.Contains(t, r.kinds(), "refuse")
		})
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBodylessAnswersStay(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 204, 304, 404} {
		r := sealingRig(t, false, answering(status, "application/json", ""))
		resp, body, err := r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
		require.NoError(t, err)
		require.Empty(t, body)
		require.Equal(t, status, resp.StatusCode)
	}
	r := sealingRig(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("X-Token", secret)
	})
	resp, _, err := r.do(newRequest(t, "HEAD", "https://"+host+"/", "", ""))
	require.NoError(t, err)
	require.EqualValues(t, 1000, resp.ContentLength)
	require.Equal(t, secret, r.open(resp.Header.Get("X-Token"), host, ""), "header fields are sealed on every answer")
}

func TestElsewhere_RangeReturnsTheBareToken(t *testing.T) {
	t.Parallel()
	r := sealingRig(t, false, answering(200, "application/json", `{"access_token":"x"}`))
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Range", "bytes=17-30")
	req.Header.Set("If-Range", `"x"`)
	req.Header["accept-encoding"] = []string{"br, GZIP;q=0.5"}
	_, body, err := r.do(req)
	require.NoError(t, err)
	require.Len(t, sealedIn(body), 1)
	got := r.only().Header
	require.Empty(t, got.Values("Range"))
	require.Empty(t, got.Values("If-Range"))
	require.Equal(t, []string{"gzip"}, got.Values("Accept-Encoding"))
}

func TestLabelOfAField(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{answer: answering(200, "application/json", `{"t":"x","u":"y"}`), config: Config{
		Now: func() time.Time { return epoch },
		Destinations: []Destination{{Host: "*.example.com:8443", Seal: []Field{
			{At: "$.t", Hosts: []string{"files.example.com", "*.example.org"}, TTL: time.Hour}, {At: "$.u"},
		}}},
	}})
	_, body, err := r.do(newRequest(t, "GET", "https://API.example.com:8443/", "", ""))
	require.NoError(t, err)
	sealed := sealedIn(body)
	require.Len(t, sealed, 2)
	h, err := tokenvault.Inspect(sealed[0])
	require.NoError(t, err)
	require.Equal(t, []string{"files.example.com", "*.example.org"}, h.Label.Hosts)
	require.Equal(t, epoch.Add(time.Hour).Unix(), h.Label.Expires.Unix())
	h, err = tokenvault.Inspect(sealed[1])
	require.NoError(t, err)
	require.Equal(t, []string{"api.example.com:8443"}, h.Label.Hosts, "the authority that answered")
	require.True(t, h.Label.Expires.IsZero())
}

func TestEncodedAnswers(t *testing.T) {
	t.Parallel()
	const token = `{"access_token":"` + secret + `","a":1}`
	for _, explicit := range []bool{false, true} {
		r := sealingRig(t, true, func(w http.ResponseWriter, req *http.Request) {
			require.Equal(t, "gzip", req.Header.Get("Accept-Encoding"))
			for k, v := range map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip", "ETag": `"x"`, "Content-MD5": "x", "Digest": "x"} {
				w.Header().Set(k, v)
			}
			_, _ = io.WriteString(w, gzipped(token))
		})
		req := newRequest(t, "GET", "https://"+host+"/", "", "")
		if explicit {
			req.Header.Set("Accept-Encoding", "gzip, br")
		}
		resp, body, err := r.do(req)
		require.NoError(t, err)
		var got struct {
			AccessToken string `json:"access_token"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		require.Equal(t, secret, r.open(got.AccessToken, host, ""))
		require.EqualValues(t, len(body), resp.ContentLength)
		for _, name := range []string{"Content-Encoding", "ETag", "Content-MD5", "Digest"} {
			require.Empty(t, resp.Header.Get(name), name)
		}
	}
}

func TestLongAnswersStream(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat(`{"a":"bcdefgh"},`, 20_000)
	long := func(end string) string { return `{"access_token":"` + secret + `","list":[` + filler + `{}]` + end }
	config := func(answer http.HandlerFunc, require bool, at string) *rig {
		return newRigWith(t, rigConfig{answer: answer, config: Config{MaxBody: 64 << 10, Destinations: []Destination{{
			Host: host, Seal: []Field{{At: at}}, Require: require,
		}}}})
	}
	r := config(answering(200, "application/json", long(`,"z":1}`)), true, "$.access_token")
	resp, body, err := r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
	require.NoError(t, err)
	require.EqualValues(t, -1, resp.ContentLength)
	sealed := sealedIn(body)
	require.Len(t, sealed, 1)
	require.Equal(t, long(`,"z":1}`), strings.Replace(body, sealed[0], secret, 1))

	r = config(answering(200, "application/json", long(``)), true, "$.access_token")
	_, body, err = r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
	require.ErrorIs(t, err, ErrResponse)
	require.NotContains(t, body, secret)

	r = config(answering(200, "application/json", long(`}`)), true, "$.nothing")
	_, _, err = r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
	require.ErrorIs(t, err, ErrResponse, "Require holds at the end of a long answer")

	r = config(answering(200, "application/x-www-form-urlencoded", strings.Repeat("a=b&", 20_000)), false, "$.a")
	_, _, err = r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
	require.ErrorIs(t, err, ErrResponse)
}

func TestTrailersAreSealed(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"$.access_token", "header:X-Token"} {
		for _, http2 := range []bool{false, true} {
			r := newRigWith(t, rigConfig{http2: http2, config: Config{Destinations: []Destination{{Host: host, Seal: []Field{{At: "header:X-Token"}, {At: at}}}}}, answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Trailer", "X-Token, X-Echo")
				_, _ = io.WriteString(w, `{}`)
				w.(http.Flusher).Flush()
				w.Header().Set("X-Token", secret)
				w.Header().Set("X-Echo", "a "+secret)
			}})
			req := newRequest(t, "GET", "https://"+host+"/", "", "")
			sealed := r.seal(secret)
			req.Header.Set("Authorization", "Bearer "+sealed)
			resp, _, err := r.do(req)
			require.NoError(t, err)
			require.Equal(t, secret, r.open(resp.Trailer.Get("X-Token"), host, ""))
			require.Equal(t, "a "+sealed, resp.Trailer.Get("X-Echo"))
		}
	}
}

func TestBrokenUpstreams(t *testing.T) {
	t.Parallel()
	r := sealingRig(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"access_token":"`+secret+`"}`)
	})
	_, body, err := r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
	require.ErrorIs(t, err, ErrResponse)
	require.Empty(t, body)

	r = newRigWith(t, rigConfig{answer: r.answer, config: Config{Destinations: []Destination{{Host: host}}}})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+r.seal(secret))
	_, body, err = r.do(req)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "without selectors what came is passed on, then the error")
	require.Contains(t, body, "access_token")
	leaktest.None(t, []byte(body), secret)
}

// Base's errors may quote what was sent.
func TestElsewhere_PlaintextInBaseErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"query:k", "header:Authorization", "path"}})
	var sent *http.Request
	fail := func(err error) roundTripFunc {
		return func(q *http.Request) (*http.Response, error) {
			sent = q
			if err == nil {
				return nil, &url.Error{Op: "Get", URL: q.URL.String(), Err: context.DeadlineExceeded}
			}
			return nil, err
		}
	}
	for name, base := range map[string]roundTripFunc{
		"url.Error":    fail(nil),
		"with a value": func(q *http.Request) (*http.Response, error) { return nil, &headerError{q.Header.Get("Authorization")} },
		"in a struct":  func(q *http.Request) (*http.Response, error) { return nil, hiddenError{q.URL} },
	} {
		t.Run(name, func(t *testing.T) {
			r.relay.base = base
			req := newRequest(t, "GET", "https://"+host+"/"+r.seal("a b/c"[:3])+"?k="+r.seal(secret+"?"), "", "")
			req.Header.Set("Authorization", "Bearer "+r.seal(secret))
			_, err := r.client.Do(req)
			require.Error(t, err)
			leaktest.None(t, []byte(err.Error()), secret)
			require.Equal(t, name == "url.Error", isTimeout(err))
			var he *headerError
			require.NotErrorAs(t, err, &he)
		})
	}
	r.relay.base = fail(nil)
	_, err := r.relay.RoundTrip(newRequest(t, "GET", "https://"+host+"/?k="+r.seal(secret), "", ""))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, "/?k="+secret, sent.URL.RequestURI())
	r.relay.base = fail(errBroken)
	_, err = r.relay.RoundTrip(newRequest(t, "GET", "https://"+host+"/?k="+r.seal(secret), "", ""))
	require.Equal(t, errBroken, err, "an error that quotes nothing is passed on")
}

type headerError struct{ v string }

func (e *headerError) Error() string { return "malformed header " + e.v }

// hiddenError shows the URL to who asks for detail.
type hiddenError struct{ u *url.URL }

func (e hiddenError) Error() string { return "failed" }

func (e hiddenError) Format(f fmt.State, _ rune) {
	if f.Flag('+') {
		_, _ = io.WriteString(f, e.u.String())
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func TestElsewhere_ErrorResponsesLeftUnsealed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503} {
		r := sealingRig(t, false, answering(status, "application/json", `{"access_token":"`+secret+`"}`))
		resp, body, err := r.do(newRequest(t, "GET", "https://"+host+"/", "", ""))
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		leaktest.None(t, []byte(body), secret)
		require.Len(t, sealedIn(body), 1)
	}
}

// The route decides, not the grant: what a second grant type returns is sealed.
func TestElsewhere_SecondGrantTypeNotSealed(t *testing.T) {
	t.Parallel()
	r := sealingRig(t, true, answering(200, "application/json", `{"access_token":"`+secret+`","nested":{"refresh_token":"`+secret+`2"}}`))
	for _, grant := range []string{"password", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"} {
		_, body, err := r.do(newRequest(t, "POST", "https://"+host+"/", formType, "grant_type="+grant))
		require.NoError(t, err)
		leaktest.None(t, []byte(body), secret, secret+"2")
		require.Len(t, sealedIn(body), 2)
	}
}

package relay

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// The host that is checked is the host that is dialled.
func TestElsewhere_CheckHereDialThere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"Host header":              func(r *http.Request) { r.Host = "evil.example.net" },
		"Host header with a port":  func(r *http.Request) { r.Host = host + ":8443" },
		"Host header, no host":     func(r *http.Request) { r.Host = "a b" },
		"opaque":                   func(r *http.Request) { r.URL.Opaque = "//evil.example.net/x" },
		"userinfo":                 func(r *http.Request) { r.URL.User = url.UserPassword("u", "p") },
		"CONNECT":                  func(r *http.Request) { r.Method = "CONNECT" },
		"connect":                  func(r *http.Request) { r.Method = "connect" },
		"a port with zeros":        func(r *http.Request) { r.URL.Host = host + ":0443" },
		"a port by name":           func(r *http.Request) { r.URL.Host = host + ":https" },
		"an address in short":      func(r *http.Request) { r.URL.Host = "127.1" },
		"userinfo in the host":     func(r *http.Request) { r.URL.Host = "u@" + host },
		"a path in the host":       func(r *http.Request) { r.URL.Host = host + "/x" },
		"a backslash in the host":  func(r *http.Request) { r.URL.Host = host + `\.evil.example.net` },
		"no host":                  func(r *http.Request) { r.URL.Host = "" },
		"no URL":                   func(r *http.Request) { r.URL = nil },
		"an unlisted opaque host":  func(r *http.Request) { r.URL.Host, r.URL.Opaque = "evil.example.net", "//"+host+"/" },
		"an unlisted Host header":  func(r *http.Request) { r.URL.Host, r.Host = "evil.example.net", host },
		"a listed zone is no host": func(r *http.Request) { r.URL.Host = "[fe80::1%25eth0]" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Destination{Host: host})
			req := newRequest(t, "POST", "https://"+host+"/", "text/plain", "hello")
			req.Header.Set("Authorization", "Bearer "+r.seal(secret))
			change(req)
			r.refused(ErrAuthority, req)
		})
	}
}

// Spellings of one host are one host, and the canonical one is dialled.
func TestHostSpellings(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{host, "API.Example.COM", host + ".", host + ":443", "api。example.com", "ａpi.example.com"} {
		t.Run(spelling, func(t *testing.T) {
			t.Parallel()
			var dialled string
			r := newRig(t, Destination{Host: host, Routes: []string{"/v1/"}})
			dial := r.base.DialContext
			r.base.DialContext = func(ctx context.Context, network, addr string) (netConn, error) {
				dialled = addr
				return dial(ctx, network, addr)
			}
			req := newRequest(t, "GET", "https://"+host+"/v1/", "", "")
			req.URL.Host = spelling
			req.Header.Set("Authorization", "Bearer "+r.seal(secret))
			_, _, err := r.do(req)
			require.NoError(t, err)
			require.Equal(t, host+":443", dialled)
			require.Equal(t, host, r.only().Host)
			req.URL.Path = "/v2/"
			r.refused(ErrDestination, req)
		})
	}
}

func TestElsewhere_SuffixHostMatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host}, Destination{Host: "*.example.org"}, Destination{Host: "api.example.com:8443"})
	any := r.sealAs(secret, tokenvault.Label{Hosts: []string{tokenvault.AnyHost}})
	for _, h := range []string{
		"evilapi.example.com", "api.example.com.evil.net", "example.com", "example.org", "evilexample.org", "x.api.example.com",
		"api.example.com:444", "a.example.org:8443", "api-example.com", "192.0.2.1", "[2001:db8::1]",
	} {
		req := newRequest(t, "GET", "https://"+h+"/", "", "")
		req.Header.Set("Authorization", "Bearer "+any)
		r.refused(ErrDestination, req)
	}
	for _, h := range []string{host, "a.example.org", "a.b.example.org", "api.example.com:8443"} {
		req := newRequest(t, "GET", "https://"+h+"/", "", "")
		req.Header.Set("Authorization", "Bearer "+any)
		_, _, err := r.do(req)
		require.NoError(t, err, h)
	}
}

// On a listed host a path has one spelling, and only a route's passes.
func TestElsewhere_PathTricks(t *testing.T) {
	t.Parallel()
	d := Destination{Host: host, Routes: []string{"POST /oauth/token", "/v1/", "GET /items/{id}", "/end/{$}"}}
	for _, tt := range []struct {
		method, path string
		want         error
	}{
		{"POST", "/oauth/token", nil}, {"GET", "/v1/", nil}, {"PUT", "/v1/a/b", nil}, {"HEAD", "/items/1", nil}, {"GET", "/end/", nil},
		{"GET", "/v1/a%20b", nil}, {"GET", "/v1/a;v=1", nil}, {"GET", "/v1/%C3%A9", nil}, {"GET", "/v1/100%25", nil},
		{"GET", "/oauth/token", ErrDestination}, {"POST", "/oauth//token", ErrDestination}, {"POST", "/oauth/token/", ErrDestination},
		{"POST", "//oauth/token", ErrDestination}, {"POST", "/oauth/./token", ErrDestination}, {"POST", "/x/../oauth/token", ErrDestination},
		{"GET", "/v1/%2e%2e/admin", ErrDestination}, {"GET", "/v1/%2E%2E/admin", ErrDestination}, {"GET", "/v1/..%2fadmin", ErrDestination},
		{"GET", "/v1/a%2Fb", ErrDestination}, {"GET", "/v1/%252e%252e/admin", ErrDestination}, {"GET", "/v1/a%5Cb", ErrDestination},
		{"GET", `/v1/a\b`, ErrDestination}, {"GET", "/v1/../admin", ErrDestination}, {"GET", "/v1/..;/admin", ErrDestination},
		{"GET", "/v1/;a/admin", ErrDestination}, {"GET", "/v1/.;a/admin", ErrDestination}, {"GET", "/v1", ErrDestination}, {"GET", "/V1/", ErrDestination},
		{"GET", "", ErrDestination}, {"GET", "/", ErrDestination}, {"GET", "/items/1/2", ErrDestination}, {"POST", "/items/1", ErrDestination},
		{"GET", "/end/x", ErrDestination}, {"get", "/items/1", ErrDestination},
	} {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, d)
			req := newRequest(t, tt.method, "https://"+host, "", "")
			u, err := url.Parse("https://" + host + tt.path)
			require.NoError(t, err)
			req.URL = u
			if tt.want != nil {
				r.refused(tt.want, req)
				return
			}
			_, _, err = r.do(req)
			require.NoError(t, err)
			require.Equal(t, tt.path, r.only().URI)
		})
	}
}

// A path whose two forms differ is not believed.
func TestElsewhere_PathAndRawPathDiffer(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Routes: []string{"/v1/"}})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.URL = &url.URL{Scheme: "https", Host: host, Path: "/v1/../admin", RawPath: "/v1/x"}
	r.refused(ErrDestination, req)
	req.URL = &url.URL{Scheme: "https", Host: host, Path: "/v1/a b", RawPath: "/v1/b"}
	r.refused(ErrDestination, req)
	req.URL = &url.URL{Scheme: "https", Host: host, Path: "v1/x"}
	r.refused(ErrDestination, req)
	newRig(t, Destination{Host: host}).refused(ErrDestination, req)
}

// A host that has no canonical form gets nothing at all; an address with a zone,
// which no list can name, gets what holds no sealed value.
func TestHostsWithoutACanonicalForm(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	for _, h := range []string{"a%b", "a b", "[fe80::1", "[fe80::1]x", "127.1"} {
		req := newRequest(t, "GET", "https://"+host+"/", "", "")
		req.URL.Host, req.Host = h, ""
		r.refused(ErrAuthority, req)
	}
	req := newRequest(t, "GET", "https://[fe80::1%25eth0]/", "", "")
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.Len(t, r.requests(), 1)
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	for _, scheme := range []string{"http", "ftp", "HTTPS", ""} {
		req := newRequest(t, "POST", "https://"+host+"/", "text/plain", "x")
		req.URL.Scheme = scheme
		req.Header.Set("Authorization", "Bearer "+r.seal(secret))
		r.refused(ErrInsecure, req)
	}
	plain := newRigWith(t, rigConfig{plain: true, config: Config{Destinations: []Destination{{Host: host, InsecureHTTP: true}}}})
	for _, h := range []string{host, host + ":80"} {
		req := newRequest(t, "GET", "http://"+h+"/", "", "")
		req.Header.Set("Authorization", "Bearer "+plain.seal(secret))
		_, _, err := plain.do(req)
		require.NoError(t, err)
	}
	require.Equal(t, "Bearer "+secret, plain.requests()[0].Header.Get("Authorization"))
	dialled := ""
	dial := plain.base.DialContext
	plain.base.DialContext = func(ctx context.Context, network, addr string) (netConn, error) {
		dialled = addr
		return dial(ctx, network, addr)
	}
	_, _, err := plain.do(newRequest(t, "GET", "http://"+host+":443/", "", ""))
	require.NoError(t, err)
	require.Equal(t, host+":443", dialled, "over http this is not the default port")
}

// An unlisted host gets its request as it is, or none.
func TestUnlistedHosts(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	const other = "https://other.example.net/a//b"
	req := newRequest(t, "POST", other, "text/plain", "tv1.but not sealed")
	req.Header.Set("Range", "bytes=0-1")
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, "tv1.but not sealed", r.only().Body)
	require.EqualValues(t, len("tv1.but not sealed"), r.only().ContentLength)
	require.Equal(t, "bytes=0-1", r.only().Header.Get("Range"))
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{tokenvault.AnyHost}})
	for name, change := range map[string]func(*http.Request){
		"header":          func(q *http.Request) { q.Header.Set("X-Any", "a "+sealed) },
		"Basic":           func(q *http.Request) { q.SetBasicAuth("u", sealed) },
		"cookie":          func(q *http.Request) { q.AddCookie(&http.Cookie{Name: "a", Value: sealed}) },
		"query":           func(q *http.Request) { q.URL.RawQuery = "a=" + sealed },
		"escaped query":   func(q *http.Request) { q.URL.RawQuery = "a=%74" + sealed[1:] },
		"path":            func(q *http.Request) { q.URL.Path = "/" + sealed },
		"body":            func(q *http.Request) { q.Body = io.NopCloser(newBody("x" + sealed)) },
		"announced trail": func(q *http.Request) { q.Trailer = http.Header{"X": {sealed}} },
	} {
		t.Run(name, func(t *testing.T) {
			q := newRequest(t, "POST", other, "text/plain", "")
			q.Body = io.NopCloser(newBody("hello"))
			change(q)
			r.refused(ErrDestination, q)
		})
	}
}

func TestElsewhere_RedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		r := newRigWith(t, rigConfig{
			http2:  http2,
			config: Config{Destinations: []Destination{{Host: host, Open: []string{"header:X-Api-Key", "form:k"}}, {Host: "files.example.com", Open: []string{"header:X-Api-Key"}}}},
		})
		sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, "files.example.com"}})
		narrow := r.seal(secret)
		to := ""
		r.answer = func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/start" {
				http.Redirect(w, req, to, http.StatusTemporaryRedirect)
			}
		}
		get := func(location, value string) (int, error) {
			to = location
			before := len(r.requests())
			req := newRequest(t, "POST", "https://"+host+"/start", "application/x-www-form-urlencoded", "k=")
			req.Header.Set("X-Api-Key", value)
			resp, err := r.client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			return len(r.requests()) - before, err
		}
		n, err := get("https://"+host+"/end", narrow)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, secret, r.requests()[1].Header.Get("X-Api-Key"), "http.Client repeats the sealed header, the relay opens it again")
		n, err = get("https://files.example.com/end", sealed)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = get("https://files.example.com/end", narrow)
		require.ErrorIs(t, err, tokenvault.ErrLabel)
		require.Equal(t, 1, n, "the second hop was not sent")
		n, err = get("https://evil.example.net/end", sealed)
		require.ErrorIs(t, err, ErrDestination)
		require.Equal(t, 1, n)
		n, err = get("http://"+host+"/end", sealed)
		require.ErrorIs(t, err, ErrInsecure)
		require.Equal(t, 1, n)
		noValue(t, err)
	}
}

// http.Client derives a Referer from a URL that holds a sealed value.
func TestRedirectWithSealedQuery(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"query:k"}})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/start" {
			http.Redirect(w, req, "/end", http.StatusFound)
		}
	}
	resp, err := r.client.Get("https://" + host + "/start?k=" + r.seal(secret))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, r.requests(), 2)
	require.Equal(t, "/start?k="+secret, r.requests()[0].URI)
	require.Empty(t, r.requests()[1].Header.Get("Referer"))
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Referer", "https://"+host+"/start?k="+r.seal(secret))
	r.refused(ErrPlace, req)
}

package relay

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

const callerSecret = "caller-secret-0123456789"

func sum(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

var patient = Timeouts{Header: time.Minute, Read: time.Minute, Idle: time.Minute, Upstream: time.Minute}

func proxyConfig(r *rig) ProxyConfig {
	return ProxyConfig{
		Transport: r.relay, Forward: true, Timeouts: patient, Observe: r.observe,
		Routes: map[string]string{"/api/": "https://" + host + "/base/", "/api/files": "https://files.example.com", "/other/": "https://other.example.net"},
		Callers: []Caller{
			{Name: "app", BearerSHA256: sum(callerSecret), Hosts: []string{host, "files.example.com"}, Subjects: []string{"alice", "bob"}},
			{Name: "one", BearerSHA256: sum("one-" + callerSecret), Hosts: []string{"*.example.com", "api.example.com:8443"}, Subjects: []string{"alice"}},
			{Name: "none", BearerSHA256: sum("none-" + callerSecret), Hosts: []string{host}},
			{Name: "any", BearerSHA256: sum("any-" + callerSecret), Hosts: []string{host}, Subjects: []string{"*"}},
		},
	}
}

// sidecar serves c on loopback.
func sidecar(t testing.TB, c ProxyConfig) *url.URL {
	t.Helper()
	h, err := NewProxy(c)
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(h)
	srv.Config = c.Timeouts.Server(h)
	srv.Config.ErrorLog = quietLog
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	return u
}

func sidecarRig(t testing.TB) (*rig, *url.URL) {
	r := newRig(t, Destination{Host: "*.example.com"}, Destination{Host: "api.example.com:8443"}, Destination{Host: "other.example.net"})
	r.answer = func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, "answer") }
	return r, sidecar(t, proxyConfig(r))
}

func call2(t testing.TB, client *http.Client, method, target string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, target, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func newClient(t testing.TB, proxy *url.URL) *http.Client {
	tr := &http.Transport{}
	if proxy != nil {
		tr.Proxy = http.ProxyURL(proxy)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestSidecar(t *testing.T) {
	t.Parallel()
	r, u := sidecarRig(t)
	alice := r.sealAs(secret, tokenvault.Label{Hosts: []string{"*.example.com"}, Subject: "alice"})
	shared := r.sealAs(secret, tokenvault.Label{Hosts: []string{"*.example.com"}})
	foreign := r.sealAs(secret, tokenvault.Label{Hosts: []string{"*.example.com"}, Subject: "mallory"})
	client := newClient(t, nil)
	const auth, sub, bearer = authHeader, subjectHeader, "Authorization"
	for _, tt := range []struct {
		name, method, path string
		header             []string
		status             int
		uri, host          string
	}{
		{"reverse", "GET", "/api/user?q=1", []string{auth, callerSecret, sub, "alice", bearer, "Bearer " + alice}, 200, "/base/user?q=1", host},
		{"the longest prefix", "GET", "/api/files/x", []string{auth, callerSecret, sub, "alice", bearer, "Bearer " + alice}, 200, "/x", "files.example.com"},
		{"a prefix is whole segments", "GET", "/api/filesystem", []string{auth, callerSecret, sub, "alice", bearer, "Bearer " + alice}, 200, "/base/filesystem", host},
		{"Bearer in Proxy-Authorization", "GET", "/api/", []string{proxyAuth, "bearer " + callerSecret, sub, "bob", bearer, "Bearer " + shared}, 200, "/base/", host},
		{"Basic in Proxy-Authorization", "GET", "/api/", []string{proxyAuth, basicAuth("app", callerSecret), sub, "bob", bearer, "Bearer " + shared}, 200, "/base/", host},
		{"the only subject needs no naming", "GET", "/api/", []string{auth, "one-" + callerSecret, bearer, "Bearer " + alice}, 200, "/base/", host},
		{"no subject at all", "GET", "/api/", []string{auth, "none-" + callerSecret, bearer, "Bearer " + shared}, 200, "/base/", host},
		{"any subject", "GET", "/api/", []string{auth, "any-" + callerSecret, sub, "alice", bearer, "Bearer " + alice}, 200, "/base/", host},
		{"health is everyone's", "GET", "/healthz", nil, 200, "", ""},

		{"unauthenticated", "GET", "/api/", nil, 407, "", ""},
		{"a wrong secret", "GET", "/api/", []string{auth, callerSecret + "x"}, 407, "", ""},
		{"an empty secret", "GET", "/api/", []string{auth, ""}, 407, "", ""},
		{"another's name", "GET", "/api/", []string{proxyAuth, basicAuth("one", callerSecret)}, 407, "", ""},
		{"the hash itself", "GET", "/api/", []string{auth, string(sumHex(callerSecret))}, 407, "", ""},
		{"two credentials", "GET", "/api/", []string{auth, callerSecret, proxyAuth, "Bearer " + callerSecret}, 407, "", ""},
		{"one credential twice", "GET", "/api/", []string{auth, callerSecret, auth, callerSecret}, 407, "", ""},
		{"Authorization is the upstream's", "GET", "/api/", []string{bearer, "Bearer " + callerSecret}, 407, "", ""},
		{"a foreign destination", "GET", "/other/", []string{auth, callerSecret, sub, "alice"}, 403, "", ""},
		{"a foreign subject", "GET", "/api/", []string{auth, callerSecret, sub, "mallory", bearer, "Bearer " + foreign}, 403, "", ""},
		{"a subject must be named", "GET", "/api/", []string{auth, callerSecret, bearer, "Bearer " + alice}, 403, "", ""},
		{"two subjects", "GET", "/api/", []string{auth, callerSecret, sub, "alice", sub, "bob"}, 403, "", ""},
		{"a subject where none is allowed", "GET", "/api/", []string{auth, "none-" + callerSecret, sub, "alice"}, 403, "", ""},
		{"the star is no subject", "GET", "/api/", []string{auth, "any-" + callerSecret, sub, "*"}, 403, "", ""},
		{"another user's value", "GET", "/api/", []string{auth, callerSecret, sub, "bob", bearer, "Bearer " + alice}, 403, "", ""},
		{"a value in a place that is not open", "GET", "/api/", []string{auth, callerSecret, sub, "bob", "X-Comment", shared}, 403, "", ""},
		{"no route", "GET", "/", []string{auth, callerSecret, sub, "alice"}, 403, "", ""},
		{"an unclean path", "GET", "/api/%2e%2e/admin", []string{auth, callerSecret, sub, "alice"}, 403, "", ""},
		{"dots out of the base", "GET", "/api/../../admin", []string{auth, callerSecret, sub, "alice"}, 403, "", ""},
		{"an encoded slash", "GET", "/api/a%2fb", []string{auth, callerSecret, sub, "alice"}, 403, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(r.requests())
			status, body := call2(t, client, tt.method, u.String()+tt.path, tt.header...)
			require.Equal(t, tt.status, status, body)
			got := r.requests()[before:]
			if tt.uri == "" {
				require.Empty(t, got, "nothing is sent")
				require.NotContains(t, body, tokenvault.Prefix)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, "answer", body)
			require.Equal(t, tt.uri, got[0].URI)
			require.Equal(t, tt.host, got[0].Host)
			require.Equal(t, "Bearer "+secret, got[0].Header.Get(bearer))
			for _, name := range []string{authHeader, subjectHeader, proxyAuth, "X-Forwarded-For", "Forwarded"} {
				require.Empty(t, got[0].Header.Values(name), "the caller's credentials never leave")
			}
			leaktest.None(t, []byte(fmt.Sprint(got)), callerSecret)
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	leaktest.None(t, []byte(fmt.Sprintf("%+v", r.events)), secret, callerSecret)
	require.Contains(t, fmt.Sprintf("%+v", r.events), "Caller:app")
}

func basicAuth(user, pass string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, pass)
	return r.Header.Get("Authorization")
}

func sumHex(s string) string { return fmt.Sprintf("%x", sum(s)) }

func TestForwardProxy(t *testing.T) {
	t.Parallel()
	r, u := sidecarRig(t)
	u.User = url.UserPassword("one", "one-"+callerSecret)
	client := newClient(t, u)
	alice := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, "api.example.com:8443"}, Subject: "alice"})
	for _, target := range []string{"http://" + host + "/x?y", "http://" + host + ":80/x?y", "http://" + host + ":8443/x?y"} {
		before := len(r.requests())
		status, body := call2(t, client, "GET", target, "Authorization", "Bearer "+alice)
		require.Equal(t, 200, status, body)
		got := r.requests()[before]
		require.Equal(t, "Bearer "+secret, got.Header.Get("Authorization"), "made over https: the upstream speaks nothing else")
		require.Equal(t, "/x?y", got.URI)
		require.Empty(t, got.Header.Get(proxyAuth))
	}
	before := len(r.requests())
	status, _ := call2(t, client, "GET", "http://other.example.net/", "Authorization", "Bearer "+alice)
	require.Equal(t, 403, status)
	_, err := client.Get("https://" + host + "/")
	require.ErrorContains(t, err, "Method Not Allowed", "a tunnel cannot be opened")
	require.Len(t, r.requests(), before)

	c := proxyConfig(r)
	c.Forward = false
	closed := sidecar(t, c)
	closed.User = u.User
	status, _ = call2(t, newClient(t, closed), "GET", "http://"+host+"/")
	require.Equal(t, 403, status)
	require.Len(t, r.requests(), before)
}

// What is on the wire is what counts, not what a client library would write.
func TestSidecarRawRequests(t *testing.T) {
	t.Parallel()
	r, u := sidecarRig(t)
	for head, want := range map[string]string{
		"CONNECT " + host + ":443 HTTP/1.1\r\nHost: " + host + ":443\r\nProxy-Authorization: Bearer one-" + callerSecret + "\r\n\r\n":                "405",
		"CONNECT " + host + ":443 HTTP/1.1\r\nHost: " + host + ":443\r\n\r\n":                                                                        "407",
		"GET https://" + host + "/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer one-" + callerSecret + "\r\n\r\n":                              "403",
		"GET http://u:p@" + host + "/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer one-" + callerSecret + "\r\n\r\n":                           "403",
		"GET /other/ HTTP/1.1\r\nHost: " + host + "\r\nProxy-Authorization: Bearer one-" + callerSecret + "\r\n\r\n":                                 "403",
		"GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: Proxy-Authorization, X-Tokenvault-Auth\r\nX-Tokenvault-Auth: one-" + callerSecret + "\r\n\r\n": "200",
		"GET /api/ HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("x", 300<<10) + "\r\n\r\n":                                                       "431",
		"GET /api\\..\\x HTTP/1.1\r\nHost: x\r\nX-Tokenvault-Auth: one-" + callerSecret + "\r\n\r\n":                                                 "403",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nX-Tokenvault-Auth: one-" + callerSecret + "\r\n\r\n":                                                       "403",
		"GET //api/ HTTP/1.1\r\nHost: x\r\nX-Tokenvault-Auth: one-" + callerSecret + "\r\n\r\n":                                                      "403",
	} {
		conn, err := net.Dial("tcp", u.Host)
		require.NoError(t, err)
		_, _ = io.WriteString(conn, head)
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		if want == "403" && strings.HasPrefix(line, "HTTP/1.1 200") && strings.HasPrefix(head, "OPTIONS *") {
			continue // net/http answers OPTIONS * itself
		}
		require.Contains(t, line, " "+want+" ", head[:min(len(head), 60)])
	}
	for _, got := range r.requests() {
		require.Equal(t, "/base/", got.URI)
	}
	require.Len(t, r.requests(), 1)
}

func TestSidecarByCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	pair := r.server.TLS.Certificates[0]
	c := proxyConfig(r)
	hash := sha256.Sum256(pair.Certificate[0])
	c.Callers = []Caller{{Name: "both", CertSHA256: hash[:], BearerSHA256: sum(callerSecret), Hosts: []string{host}}, {Name: "cert", CertSHA256: hash[:], Hosts: []string{host}}}
	h, err := NewProxy(c)
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		cert   bool
		header []string
		status int
	}{{true, nil, 200}, {false, nil, 407}, {true, []string{authHeader, callerSecret}, 200}, {false, []string{authHeader, callerSecret}, 407}} {
		tr := srv.Client().Transport.(*http.Transport).Clone()
		if tt.cert {
			tr.TLSClientConfig.Certificates = []tls.Certificate{pair}
		}
		status, _ := call2(t, &http.Client{Transport: tr}, "GET", srv.URL+"/api/", tt.header...)
		require.Equal(t, tt.status, status)
		tr.CloseIdleConnections()
	}
	require.Len(t, r.requests(), 2)
}

func TestSidecarTimeouts(t *testing.T) {
	t.Parallel()
	r, _ := sidecarRig(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/half") {
			_, _ = io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-req.Context().Done():
		}
	}
	c := proxyConfig(r)
	c.Timeouts.Upstream = 50 * time.Millisecond
	c.Timeouts.Read = 50 * time.Millisecond
	u := sidecar(t, c)
	client := newClient(t, nil)
	status, _ := call2(t, client, "GET", u.String()+"/api/", authHeader, "one-"+callerSecret)
	require.Equal(t, 504, status)

	c.Timeouts.Upstream = 2 * time.Second // the head must make it, the rest never comes
	req := newRequest(t, "GET", sidecar(t, c).String()+"/api/half", "", "")
	req.Header.Set(authHeader, "one-"+callerSecret)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.Error(t, err, "an upstream that falls silent ends the answer")
	require.Equal(t, "half", string(body))
	require.NoError(t, resp.Body.Close())

	before := len(r.requests())
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nX-Tokenvault-Auth: one-"+callerSecret+"\r\n\r\nslow")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, " 408 ", "a caller that does not finish")
	require.Len(t, r.requests(), before, "nothing is sent")
}

func TestSidecarAnswersForTheUpstream(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{config: Config{MaxBody: 100, Destinations: []Destination{{Host: host, Seal: []Field{{At: "$.t"}}, Require: true}}}, answer: answering(200, "application/json", `{"secret":"`+secret+`"}`)})
	u := sidecar(t, proxyConfig(r))
	status, body := call2(t, newClient(t, nil), "GET", u.String()+"/api/", authHeader, "one-"+callerSecret)
	require.Equal(t, 502, status)
	require.Equal(t, ErrResponse.Error()+"\n", body)
	req := newRequest(t, "POST", u.String()+"/api/", "text/plain", r.seal(secret)+strings.Repeat("x", 200))
	req.Header.Set(authHeader, "one-"+callerSecret)
	resp, err := newClient(t, nil).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 413, resp.StatusCode)
	r.relay.base = roundTripFunc(func(q *http.Request) (*http.Response, error) { return nil, errors.New("upstream said " + secret) })
	status, body = call2(t, newClient(t, nil), "GET", u.String()+"/api/", authHeader, "one-"+callerSecret)
	require.Equal(t, 502, status)
	require.Equal(t, "upstream failed\n", body)
}

// Shutdown under load: every request gets its answer.
func TestSidecarShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	r, _ := sidecarRig(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/slow") {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(w, "answer")
	}
	c := proxyConfig(r)
	h, err := NewProxy(c)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := c.Timeouts.Server(h)
	srv.ErrorLog = quietLog
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host}})
	var answered atomic.Int64
	var load sync.WaitGroup
	busy := make(chan struct{})
	client := func(path string, failed *error) {
		client := newClient(t, nil)
		for {
			req := newRequest(t, "POST", "http://"+l.Addr().String()+path, "text/plain", "hello")
			req.Header.Set(authHeader, "one-"+callerSecret)
			req.Header.Set("Authorization", "Bearer "+sealed)
			resp, err := client.Do(req)
			if err != nil {
				*failed = err
				return
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(b) != "answer" {
				*failed = fmt.Errorf("%q, %w", b, err)
				return
			}
			if answered.Add(1) == 100 {
				close(busy)
			}
			if resp.Close || path == "/api/slow" {
				return // the client has been told
			}
		}
	}
	var failures [9]error
	for i := range failures[:8] {
		load.Go(func() { client("/api/", &failures[i]) })
	}
	<-busy
	var slow sync.WaitGroup
	slow.Go(func() { client("/api/slow", &failures[8]) })
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- Shutdown(ctx, srv, time.Second) }()
	load.Wait()
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	close(release)
	slow.Wait()
	require.NoError(t, <-down)
	require.Equal(t, [9]error{}, failures)
	require.EqualValues(t, len(r.requests()), answered.Load())
}

func TestHealthWhileDraining(t *testing.T) {
	t.Parallel()
	r, _ := sidecarRig(t)
	h, err := NewProxy(proxyConfig(r))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, Shutdown(ctx, &http.Server{Handler: h}, time.Hour))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "close", w.Header().Get("Connection"))
}

func TestProxyConfigIsChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	for want, change := range map[string]func(*ProxyConfig){
		"ProxyConfig.Transport: missing":                        func(c *ProxyConfig) { c.Transport = nil },
		"ProxyConfig.Callers: none":                             func(c *ProxyConfig) { c.Callers = nil },
		"ProxyConfig.Routes: none, and Forward is off":          func(c *ProxyConfig) { c.Routes, c.Forward = nil, false },
		"ProxyConfig.Timeouts.Header: not positive":             func(c *ProxyConfig) { c.Timeouts.Header = 0 },
		"ProxyConfig.Timeouts.Read: not positive":               func(c *ProxyConfig) { c.Timeouts.Read = 0 },
		"ProxyConfig.Timeouts.Idle: not positive":               func(c *ProxyConfig) { c.Timeouts.Idle = 0 },
		"ProxyConfig.Timeouts.Upstream: not positive":           func(c *ProxyConfig) { c.Timeouts.Upstream = -1 },
		"ProxyConfig.Callers[1].Name: missing":                  func(c *ProxyConfig) { c.Callers[1].Name = "" },
		"ProxyConfig.Callers[1].BearerSHA256: neither":          func(c *ProxyConfig) { c.Callers[1].BearerSHA256 = nil },
		"ProxyConfig.Callers[1].BearerSHA256: not 32 bytes":     func(c *ProxyConfig) { c.Callers[1].BearerSHA256 = []byte(callerSecret) },
		"ProxyConfig.Callers[1].CertSHA256: not 32 bytes":       func(c *ProxyConfig) { c.Callers[1].CertSHA256 = []byte("x") },
		"ProxyConfig.Callers[1].Hosts: none":                    func(c *ProxyConfig) { c.Callers[1].Hosts = nil },
		"ProxyConfig.Callers[1].Hosts[0]: \"*.com\":":           func(c *ProxyConfig) { c.Callers[1].Hosts = []string{"*.com"} },
		"ProxyConfig.Callers[1].Subjects: an empty one":         func(c *ProxyConfig) { c.Callers[1].Subjects = []string{""} },
		"ProxyConfig.Callers[1]: the name or credentials":       func(c *ProxyConfig) { c.Callers[1].BearerSHA256 = sum(callerSecret) },
		"ProxyConfig.Routes[\"x\"]: not a clean path":           func(c *ProxyConfig) { c.Routes["x"] = "https://x.example.com" },
		"ProxyConfig.Routes[\"/x/../\"]: not a clean path":      func(c *ProxyConfig) { c.Routes["/x/../"] = "https://x.example.com" },
		"ProxyConfig.Routes[\"/x\"]: not a base URL":            func(c *ProxyConfig) { c.Routes["/x"] = "https://u:p@x.example.com" },
		"ProxyConfig.Routes[\"/y\"]: not a base URL":            func(c *ProxyConfig) { c.Routes["/y"] = "ftp://x.example.com" },
		"ProxyConfig.Routes[\"/z\"]: the base URL's host has":   func(c *ProxyConfig) { c.Routes["/z"] = "https://127.1" },
		"ProxyConfig.Routes[\"/p\"]: the base URL's path is no": func(c *ProxyConfig) { c.Routes["/p"] = "https://x.example.com/a//b" },
	} {
		c := proxyConfig(r)
		change(&c)
		_, err := NewProxy(c)
		require.ErrorContains(t, err, "relay: "+want)
	}
}

package spa

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
)

// site is an https server under a host name, which records what it exchanges
// with its clients.
type site struct {
	URL, Host string // Host has the port
	server    *httptest.Server

	mu       sync.Mutex
	handler  http.Handler
	traffic  bytes.Buffer // every request line and header, every answer
	requests []*http.Request
}

func newSite(t testing.TB, cert authserver.Cert, name string) *site {
	t.Helper()
	s := &site{handler: http.NotFoundHandler()}
	s.server = httptest.NewUnstartedServer(s)
	s.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert.Pair}}
	s.server.EnableHTTP2 = true
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that go away
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	_, port, err := net.SplitHostPort(s.server.Listener.Addr().String())
	require.NoError(t, err)
	s.Host = net.JoinHostPort(name, port)
	s.URL = "https://" + s.Host
	return s
}

func (s *site) handle(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h := s.handler
	s.requests = append(s.requests, r.Clone(context.WithoutCancel(r.Context())))
	fmt.Fprintf(&s.traffic, "%s %s %v\n", r.Method, r.URL, r.Header)
	s.mu.Unlock()
	h.ServeHTTP(&recordingWriter{ResponseWriter: w, site: s}, r)
}

// recordingWriter copies an answer to the site's record.
type recordingWriter struct {
	http.ResponseWriter
	site *site
	sent bool
}

func (w *recordingWriter) WriteHeader(code int) {
	w.sent = true
	w.site.record(fmt.Appendf(nil, "%d %v\n", code, w.Header()))
	w.ResponseWriter.WriteHeader(code)
}

func (w *recordingWriter) Write(b []byte) (int, error) {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	w.site.record(b)
	return w.ResponseWriter.Write(b)
}

func (w *recordingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *site) record(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traffic.Write(b)
}

// seen is everything that went between the site and its clients.
func (s *site) seen() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.traffic.Bytes())
}

// count says how many requests had a method and path that begin with prefix.
func (s *site) count(prefix string) int {
	n := 0
	for _, r := range s.got() {
		if strings.HasPrefix(r.Method+" "+r.URL.Path, prefix) {
			n++
		}
	}
	return n
}

func (s *site) got() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// loopback is a transport for which every name is 127.0.0.1.
func loopback(t testing.TB, cert authserver.Cert) *http.Transport {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: cert.Pool},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     2 * time.Second, // Node.js closes idle connections after 5 s, also under a POST that is on its way
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// window is a site that stands before another server and records what the
// browser exchanges with it.
func window(t testing.TB, cert authserver.Cert, name string, to *url.URL, tr http.RoundTripper) *site {
	t.Helper()
	s := newSite(t, cert, name)
	s.handle(&httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = to.Host
	}})
	return s
}

// pageWith is a page that runs a script.
func pageWith(script string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "<!doctype html><title>page</title><body><script>%s</script>", script)
	})
}

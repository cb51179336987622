package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	host   = "api.example.com"
	secret = "s3cr3t-token-of-the-third-party"
)

// received is a request as the upstream saw it.
type received struct {
	Method, URI, Host, Body, Proto string
	Header, Trailer                http.Header
	TransferEncoding               []string
	ContentLength                  int64
	Err                            error // of reading the body
}

// A rig is a relay and the third party behind it, which answers for every host
// and records what arrives.
type rig struct {
	t      testing.TB
	keys   *tokenvault.Keyring
	server *httptest.Server
	base   *http.Transport
	relay  *Transport
	client *http.Client

	mu     sync.Mutex
	seen   []received
	answer http.HandlerFunc
	events []Event
}

type rigConfig struct {
	http2, plain bool
	config       Config
	answer       http.HandlerFunc
}

func newRig(t testing.TB, destinations ...Destination) *rig {
	t.Helper()
	return newRigWith(t, rigConfig{config: Config{Destinations: destinations}})
}

func newRigWith(t testing.TB, c rigConfig) *rig {
	t.Helper()
	r := &rig{t: t, keys: newKeys(t), answer: c.answer}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.server.Config.ErrorLog = quietLog
	r.server.EnableHTTP2 = c.http2
	r.base = &http.Transport{}
	if c.plain {
		r.server.Start()
	} else {
		r.server.StartTLS()
		r.base = r.server.Client().Transport.(*http.Transport).Clone()
		r.base.TLSClientConfig.ServerName = "example.com"
	}
	addr := r.server.Listener.Addr().String()
	r.base.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	if c.config.Sealer == nil {
		c.config.Sealer = r.keys
	}
	if c.config.Base == nil {
		c.config.Base = r.base
	}
	if c.config.Observe == nil {
		c.config.Observe = r.observe
	}
	relay, err := New(c.config)
	require.NoError(t, err)
	r.relay, r.client = relay, &http.Client{Transport: relay}
	t.Cleanup(func() {
		r.base.CloseIdleConnections()
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

func newKeys(t testing.TB) *tokenvault.Keyring {
	t.Helper()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	return keys
}

func (r *rig) observe(_ context.Context, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	r.seen = append(r.seen, received{
		Method: req.Method, URI: req.RequestURI, Host: req.Host, Body: string(body), Proto: req.Proto, Header: req.Header.Clone(),
		Trailer: req.Trailer.Clone(), TransferEncoding: req.TransferEncoding, ContentLength: req.ContentLength, Err: err,
	})
	r.mu.Unlock()
	if r.answer != nil {
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.answer(w, req)
	}
}

// requests are what the upstream saw.
func (r *rig) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.seen...)
}

// only is the one request that the upstream saw.
func (r *rig) only() received {
	r.t.Helper()
	seen := r.requests()
	require.Len(r.t, seen, 1)
	return seen[0]
}

func (r *rig) kinds() (kinds []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// seal labels a value for host.
func (r *rig) seal(plain string) string {
	return r.sealAs(plain, tokenvault.Label{Hosts: []string{host}})
}

func (r *rig) sealAs(plain string, l tokenvault.Label) string {
	r.t.Helper()
	s, err := r.keys.Seal(context.Background(), []byte(plain), l)
	require.NoError(r.t, err)
	return s
}

func (r *rig) open(sealed, forHost, subject string) string {
	r.t.Helper()
	plain, _, err := r.keys.Open(context.Background(), sealed, tokenvault.Use{Host: forHost, Subject: subject})
	require.NoError(r.t, err)
	return string(plain)
}

// closing is a body that knows how often it was closed.
type closing struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (c *closing) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}

func (c *closing) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func newRequest(t testing.TB, method, url, contentType, body string) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, b)
	require.NoError(t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

func (r *rig) do(req *http.Request) (*http.Response, string, error) {
	resp, err := r.relay.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// refused makes a request that must be refused with want: nothing arrives, the
// body is closed once, and neither the error nor an event holds a value.
func (r *rig) refused(want error, req *http.Request, secrets ...string) error {
	r.t.Helper()
	before := len(r.requests())
	var body *closing
	if req.Body != nil {
		body = &closing{Reader: req.Body}
		req.Body = body
	}
	resp, err := r.relay.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	require.ErrorIs(r.t, err, want)
	require.Len(r.t, r.requests(), before, "nothing is sent")
	if body != nil {
		require.Equal(r.t, 1, body.count(), "the body is closed once")
	}
	noValue(r.t, err)
	leaktest.None(r.t, []byte(err.Error()), append(secrets, secret)...)
	require.Contains(r.t, r.kinds(), "refuse")
	return err
}

func noValue(t testing.TB, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), tokenvault.Prefix)
	require.False(t, holds(err.Error()))
}

var errBroken = errors.New("broken")

var epoch = time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)

type netConn = net.Conn
type contextT = context.Context

func newBody(s string) io.Reader { return strings.NewReader(s) }

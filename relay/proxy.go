package relay

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sort"
	"strings"
	"sync/atomic"
	"time"
)

// ProxyConfig configures the sidecar. Transport, Callers, Timeouts and one of
// Routes and Forward are required.
type ProxyConfig struct {
	Transport *Transport // opens and seals
	// Routes maps path prefixes to upstream base URLs: with "/github/" mapped to
	// "https://api.github.com", GET /github/user is GET https://api.github.com/user.
	// The longest prefix wins.
	Routes map[string]string
	// Forward serves requests for absolute http:// URLs, as clients send them to a
	// proxy, and makes them over https. Tunnels (CONNECT) are refused: what is in
	// one cannot be opened.
	Forward  bool
	Callers  []Caller // who may call
	Timeouts Timeouts
	// Observe is told of each call, once it is over. The Transport has its own.
	Observe func(context.Context, Event)
}

// Timeouts of the sidecar. All are required.
type Timeouts struct {
	Header   time.Duration // for a caller's request head; see Server
	Read     time.Duration // for the whole of a caller's request body
	Idle     time.Duration // between two requests on one connection; see Server
	Upstream time.Duration // without any progress of the upstream
}

const (
	maxHeader = 256 << 10 // room for some of the longest sealed values

	// healthPath answers 200, without authentication, when the sidecar serves.
	healthPath = "/healthz"
)

func (t Timeouts) check() error {
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"Header", t.Header}, {"Read", t.Read}, {"Idle", t.Idle}, {"Upstream", t.Upstream}} {
		if f.d <= 0 {
			return fmt.Errorf("relay: ProxyConfig.Timeouts.%s: not positive", f.name)
		}
	}
	return nil
}

// Server returns a server of h with the timeouts that are a server's to keep,
// and a bound on request heads.
func (t Timeouts) Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: t.Header, IdleTimeout: t.Idle, MaxHeaderBytes: maxHeader}
}

// Shutdown ends srv, whose handler is NewProxy's, without losing a request. For
// the time of drain it still serves, but answers the health check with 503 and
// asks each client to close its connection, so that none is cut off with a
// request on its way; then srv.Shutdown waits for the calls under way, and its
// error is this one.
func Shutdown(ctx context.Context, srv *http.Server, drain time.Duration) error {
	if p, ok := srv.Handler.(*proxy); ok {
		p.draining.Store(true)
	}
	select {
	case <-time.After(drain):
	case <-ctx.Done():
	}
	return srv.Shutdown(ctx)
}

// NewProxy checks c and returns the sidecar's handler: the same as its
// Transport, for programs in any language, which then hold no key at all. Serve
// it with c.Timeouts.Server, end it with Shutdown.
//
// Callers authenticate each request; what they authenticate with is removed.
// Answers of the sidecar itself are 403 for what is not allowed, 405 for a
// tunnel, 407 without authentication, 408 for a body that does not arrive, 413
// for what is too large, 502 and 504 for the upstream. GET /healthz is 200 for
// everyone. Errors name the field of c.
func NewProxy(c ProxyConfig) (http.Handler, error) {
	switch {
	case c.Transport == nil:
		return nil, errors.New("relay: ProxyConfig.Transport: missing")
	case len(c.Callers) == 0:
		return nil, errors.New("relay: ProxyConfig.Callers: none")
	case len(c.Routes) == 0 && !c.Forward:
		return nil, errors.New("relay: ProxyConfig.Routes: none, and Forward is off")
	}
	if err := c.Timeouts.check(); err != nil {
		return nil, err
	}
	p := &proxy{transport: c.Transport, forward: c.Forward, timeouts: c.Timeouts, observe: c.Observe}
	for i := range c.Callers {
		checked, err := newCaller(c.Callers[i])
		if err != nil {
			return nil, fmt.Errorf("relay: ProxyConfig.Callers[%d].%w", i, err)
		}
		for _, other := range p.callers {
			if other.name == checked.name || string(other.bearer) == string(checked.bearer) && string(other.cert) == string(checked.cert) {
				return nil, fmt.Errorf("relay: ProxyConfig.Callers[%d]: the name or credentials of another", i)
			}
		}
		p.callers = append(p.callers, checked)
	}
	for prefix, base := range c.Routes {
		if err := p.route(prefix, base); err != nil {
			return nil, fmt.Errorf("relay: ProxyConfig.Routes[%q]: %w", prefix, err)
		}
	}
	sort.Slice(p.routes, func(i, j int) bool { return len(p.routes[i].prefix) > len(p.routes[j].prefix) })
	p.reverse = &httputil.ReverseProxy{
		Rewrite: rewriteCall, Transport: p, ErrorHandler: p.failed, FlushInterval: -1, ErrorLog: log.New(silent{}, "", 0),
	}
	return p, nil
}

// silent takes what ReverseProxy would log; calls are observed instead.
type silent struct{}

func (silent) Write(p []byte) (int, error) { return len(p), nil }

type proxy struct {
	transport *Transport
	routes    []proxyRoute
	forward   bool
	callers   []*caller
	timeouts  Timeouts
	observe   observer
	reverse   *httputil.ReverseProxy
	draining  atomic.Bool
}

type proxyRoute struct {
	prefix string
	base   *url.URL
}

func (p *proxy) route(prefix, base string) error {
	u, err := url.Parse(base)
	switch {
	case !strings.HasPrefix(prefix, "/") || checkPath(&url.URL{Path: prefix}) != "":
		return errors.New("not a clean path")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return errors.New("not a base URL")
	case checkPath(u) != "":
		return errors.New("the base URL's path is not clean")
	}
	if _, _, ok := authority(u.Scheme, u.Host); !ok {
		return errors.New("the base URL's host has no canonical form")
	}
	p.routes = append(p.routes, proxyRoute{strings.TrimSuffix(prefix, "/"), u})
	return nil
}

// A call is one request of one caller.
type call struct {
	caller  *caller
	subject string
	target  *url.URL
	status  int
	err     error
}

type callKey struct{}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if r.URL.Path == healthPath && r.URL.Host == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		p.health(w)
		return
	}
	c, started := new(call), time.Now()
	if p.observe != nil {
		defer func() { p.called(r, c, started) }()
	}
	if c.caller = authenticate(p.callers, r); c.caller == nil {
		w.Header().Set("Proxy-Authenticate", `Bearer realm="tokenvault"`)
		c.refuse(w, http.StatusProxyAuthRequired, "authentication required", nil)
		return
	}
	if r.Method == http.MethodConnect {
		c.refuse(w, http.StatusMethodNotAllowed, "a tunnel cannot be opened: use an http:// URL, it is made over https", ErrAuthority)
		return
	}
	if reason := p.admit(c, r); reason != "" {
		c.refuse(w, http.StatusForbidden, reason, ErrDestination)
		return
	}
	ctx, stop := p.deadlines(w, r)
	defer stop()
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(ctx, callKey{}, c)))
}

func (p *proxy) health(w http.ResponseWriter) {
	if p.draining.Load() {
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("ok\n"))
}

// admit finds c's target and reports why it may not have it.
func (p *proxy) admit(c *call, r *http.Request) (reason string) {
	if c.target = p.target(r.URL); c.target == nil {
		return "no route"
	}
	if checkPath(c.target) != "" {
		return "path is not clean"
	}
	host, _, ok := authority(c.target.Scheme, c.target.Host)
	if !ok || !c.caller.reaches(host) {
		return "host not allowed for this caller"
	}
	if c.subject, ok = c.caller.subject(r.Header); !ok {
		return "subject not allowed for this caller"
	}
	return ""
}

// target is where u, as a caller sent it, leads; nil: nowhere.
func (p *proxy) target(u *url.URL) *url.URL {
	if u.Scheme != "" || u.Host != "" {
		if !p.forward || u.Scheme != "http" || u.User != nil || u.Opaque != "" {
			return nil
		}
		out := *u
		out.Scheme, out.Host = "https", strings.TrimSuffix(u.Host, ":80")
		return &out
	}
	for _, r := range p.routes {
		rest, ok := strings.CutPrefix(u.EscapedPath(), r.prefix)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		escaped := strings.TrimSuffix(r.base.EscapedPath(), "/") + rest
		path, err := url.PathUnescape(escaped)
		if err != nil {
			return nil
		}
		return &url.URL{Scheme: r.base.Scheme, Host: r.base.Host, Path: path, RawPath: escaped, RawQuery: u.RawQuery}
	}
	return nil
}

// rewriteCall makes the outbound request. ReverseProxy has dropped hop-by-hop
// and forwarding fields.
func rewriteCall(r *httputil.ProxyRequest) {
	c := r.Out.Context().Value(callKey{}).(*call)
	r.Out.URL, r.Out.Host = c.target, ""
	for _, name := range [...]string{authHeader, subjectHeader, proxyAuth} {
		deleteField(r.Out.Header, name)
	}
}

// RoundTrip is the Transport's, for the call's subject.
func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	c := r.Context().Value(callKey{}).(*call)
	resp, err := p.transport.roundTrip(r, c.subject)
	if err == nil {
		c.status = resp.StatusCode
		watch(r.Context(), resp)
	}
	return resp, err
}

// failed answers for an upstream that did not, or was not asked.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	c := r.Context().Value(callKey{}).(*call)
	status, text := http.StatusBadGateway, "upstream failed"
	switch s := sentinel(err); {
	case errors.Is(err, ErrTooLarge):
		status, text = http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, ErrResponse):
		text = ErrResponse.Error()
	case callerFailed(r.Context()):
		status, text = http.StatusRequestTimeout, "request body did not arrive"
		w.Header().Set("Connection", "close")
	case errors.Is(context.Cause(r.Context()), errUpstream):
		status, text, err = http.StatusGatewayTimeout, "upstream timed out", context.DeadlineExceeded
	case s != errOther && !errors.Is(s, context.Canceled) && !errors.Is(s, context.DeadlineExceeded):
		status, text = http.StatusForbidden, err.Error() // ours: it names place and reason
	}
	c.refuse(w, status, text, err)
}

func (c *call) refuse(w http.ResponseWriter, status int, text string, err error) {
	c.status, c.err = status, err
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

func (p *proxy) called(r *http.Request, c *call, started time.Time) {
	e := Event{Kind: "call", Subject: c.subject, Status: c.status, Duration: time.Since(started), Err: sentinel(c.err)}
	if c.caller != nil {
		e.Caller = c.caller.name
	}
	if c.target != nil {
		e.Host = c.target.Host
	}
	p.observe(r.Context(), e)
}

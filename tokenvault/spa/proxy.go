package spa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"path"
	"slices"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Proxy is the Token Vault Proxy. It is safe for concurrent use, and any number
// of instances may share a vault's store and Sessions.
type Proxy struct {
	config   Config
	client   vault.Registration
	hosts    []hosts.Pattern // where the provider's tokens may go
	cross    *crossOrigin
	redactor *redactor
	routes   *http.ServeMux // of *route
	listed   []*route       // the resources among them, in order
	forward  *httputil.ReverseProxy
	server   *discovery
}

var _ http.Handler = (*Proxy)(nil)

// New checks c and returns a Proxy. Errors name the field. It does no I/O.
func New(c Config) (*Proxy, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &Proxy{config: c, server: newDiscovery(&c)}
	var err error
	if p.client, err = c.Vault.Registration(c.Provider); err != nil {
		return nil, fmt.Errorf("spa: Config.Provider: %w", err)
	}
	for _, name := range p.client.Hosts {
		pattern, err := hosts.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("spa: Config.Provider: %w", err)
		}
		p.hosts = append(p.hosts, pattern)
	}
	if p.redactor, err = newRedactor(c.Redact); err != nil {
		return nil, err
	}
	if p.cross, err = newCrossOrigin(c.Origin, c.Origins); err != nil {
		return nil, fmt.Errorf("spa: Config.Origins: %w", err)
	}
	p.forward = p.newForward()
	if err := p.addRoutes(); err != nil {
		return nil, err
	}
	return p, nil
}

// String keeps a proxy from printing its parts.
func (*Proxy) String() string { return "spa.Proxy" }

// GoString keeps %#v as quiet as %v.
func (*Proxy) GoString() string { return "spa.Proxy" }

// route is what a pattern of the route table leads to.
type route struct {
	name    string // for Explain and events
	handle  func(http.ResponseWriter, *http.Request) error
	open    bool // anyone may request it: navigations, static files, the authorization server
	target  *target
	exclude *http.ServeMux
}

// ServeHTTP makes a *route a mux's handler; Proxy calls handle instead.
func (*route) ServeHTTP(w http.ResponseWriter, _ *http.Request) { notListed.write(w) }

// addRoutes fills the route table: the proxy's own addresses and the resources.
func (p *Proxy) addRoutes() error {
	p.routes = http.NewServeMux()
	own := []struct {
		pattern string
		route   *route
	}{
		{"GET /{$}", &route{name: "bridge page", handle: p.bridge, open: true}},
		{"GET /.tokenvault/bridge", &route{name: "bridge page", handle: p.bridge, open: true}},
		{"GET /.tokenvault/{file}", &route{name: "browser part", handle: p.static, open: true}},
		{"GET /.tokenvault/routes", &route{name: "route list", handle: p.routeList, open: true}},
		{"GET /.tokenvault/session", &route{name: "session state", handle: p.has}},
		{"POST /.tokenvault/refresh", &route{name: "refresh", handle: p.refresh}},
		{"POST /.tokenvault/remove", &route{name: "remove tokens", handle: p.remove}},
		{"POST /.tokenvault/backchannel-logout", &route{name: "back-channel logout", handle: p.backchannelLogout, open: true}},
		{"GET /.well-known/openid-configuration", &route{name: "metadata", handle: p.metadata, open: true}},
	}
	for _, e := range []struct {
		method, plain, ping string
		route               *route
	}{
		{"GET", "authorize", "authorize", &route{name: "authorize", handle: p.authorize, open: true}},
		{"POST", "token", "access_token", &route{name: "exchange", handle: p.exchange}},
		{"POST", "revoke", "token/revoke", &route{name: "revoke", handle: p.revoke}},
		{"GET", "userinfo", "userinfo", &route{name: "userinfo", handle: p.userInfo}},
		{"GET", "logout", "connect/endSession", &route{name: "end session", handle: p.endSession, open: true}},
	} {
		own = append(own, struct {
			pattern string
			route   *route
		}{e.method + " /oauth2/" + e.plain, e.route}, struct {
			pattern string
			route   *route
		}{e.method + " /am/oauth2/realms/root/" + e.ping, e.route})
	}
	for _, o := range own {
		if err := handle(p.routes, o.pattern, o.route); err != nil {
			return err
		}
	}
	for i, resource := range p.config.Resources {
		rt, err := p.resourceRoute(resource)
		if err != nil {
			return fmt.Errorf("spa: Config.Resources[%d]%w", i, err)
		}
		if err := handle(p.routes, resource.Pattern, rt); err != nil {
			return fmt.Errorf("spa: Config.Resources[%d].Pattern: %w", i, err)
		}
		p.listed = append(p.listed, rt)
	}
	return nil
}

// handle registers a pattern; the mux panics where it should return an error.
func handle(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	if strings.Contains(pattern, "//") || !strings.Contains(pattern, "/") || strings.IndexByte(pattern, '/') > 0 && pattern[strings.IndexByte(pattern, '/')-1] != ' ' {
		return errors.New("must be a path, with a method before it or none, and no host")
	}
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("%v", e)
		}
	}()
	mux.Handle(pattern, h)
	return nil
}

// decision is what becomes of a request, and why.
type decision struct {
	route *route
	err   error // a problem
}

// decide is the whole judgement that needs no session: it looks at the request
// line and the origin, never at a body.
func (p *Proxy) decide(r *http.Request) decision {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace || r.Header.Get("Upgrade") != "" {
		return decision{err: badMethod}
	}
	if !cleanPath(r) {
		return decision{err: badPath}
	}
	judged := r
	if preflight(r) {
		judged = r.Clone(context.WithoutCancel(r.Context()))
		judged.Method = r.Header.Get("Access-Control-Request-Method")
	}
	h, _ := p.routes.Handler(judged)
	rt, ok := h.(*route) // the mux's own redirects and refusals are no match
	if !ok || rt.excludes(judged) {
		return decision{err: notListed}
	}
	if rt.open || preflight(r) {
		return decision{route: rt}
	}
	if err := p.cross.check(r); err != nil {
		return decision{route: rt, err: err}
	}
	return decision{route: rt}
}

func (rt *route) excludes(r *http.Request) bool {
	if rt.exclude == nil {
		return false
	}
	_, pattern := rt.exclude.Handler(r)
	return pattern != ""
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// cleanPath refuses every path that two parsers could read differently: what
// is matched here must be what the upstream sees.
func cleanPath(r *http.Request) bool {
	escaped := strings.ToLower(r.URL.EscapedPath())
	if r.URL.Opaque != "" || r.URL.User != nil || r.RequestURI != "" && !strings.HasPrefix(r.RequestURI, "/") {
		return false
	}
	for _, bad := range []string{"%2f", "%5c", "%2e", "%00", "%25", "%3b", "\\", "//", ";"} {
		if strings.Contains(escaped, bad) {
			return false
		}
	}
	clean := path.Clean(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "/") && clean != "/" {
		clean += "/"
	}
	return clean == r.URL.Path && !slices.ContainsFunc([]byte(r.URL.Path), func(c byte) bool { return c < ' ' || c == 0x7f || c == '\\' })
}

// ServeHTTP answers a request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := p.decide(r)
	p.cross.allow(w, r)
	err := d.err
	if err == nil && preflight(r) {
		err = p.cross.preflight(w, r)
	} else if err == nil {
		err = d.route.handle(w, r)
	}
	if err != nil {
		problem := problemOf(err)
		p.observe(r.Context(), Event{Kind: "refused", Status: problem.status, Reason: problem.description, Err: sentinel(err)})
		problem.write(w)
	}
}

// Explain says what ServeHTTP does with such a request, and why: for logs and
// for whoever wonders why a call carries no token. It holds nothing of the
// request but its method, and reads no session.
func (p *Proxy) Explain(r *http.Request) string {
	d := p.decide(r)
	switch {
	case d.err != nil && d.route != nil:
		return fmt.Sprintf("%s matches %s, but is refused: %s", r.Method, d.route.name, problemOf(d.err).description)
	case d.err != nil:
		return fmt.Sprintf("%s is refused: %s", r.Method, problemOf(d.err).description)
	case d.route.target != nil:
		return fmt.Sprintf("%s matches %s: the session's token is attached for %s", r.Method, d.route.name, d.route.target.base.Host)
	}
	return fmt.Sprintf("%s matches the proxy's own address: %s", r.Method, d.route.name)
}

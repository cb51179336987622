package relay

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A route is one of Destination.Routes: a mux of its own, because two patterns
// of one destination may overlap in ways that one mux refuses.
type route struct {
	mux          *http.ServeMux
	method, path string // of a literal pattern
	literal      bool
}

type matched struct{}

func (matched) ServeHTTP(http.ResponseWriter, *http.Request) {}

func newRoute(pattern string) (r route, err error) {
	path := pattern
	if method, after, ok := strings.Cut(pattern, " "); ok && method != "" {
		r.method, path = method, strings.TrimLeft(after, " \t")
	}
	if !strings.HasPrefix(path, "/") {
		return r, fmt.Errorf("%q: want an optional method and a path", pattern)
	}
	defer func() {
		if recover() != nil { // http.ServeMux has no other way to refuse a pattern
			r, err = route{}, fmt.Errorf("%q: not a net/http.ServeMux pattern", pattern)
		}
	}()
	r.mux, r.path = http.NewServeMux(), path
	r.literal = isLiteral(path) && r.method != http.MethodConnect && !strings.Contains(r.method, "\t")
	r.mux.Handle(pattern, matched{})
	return r, nil
}

// isLiteral says that a pattern or path is clean and reads the same to everyone:
// no wildcard, nothing encoded.
func isLiteral(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "{}%") &&
		!strings.Contains(path, "//") && !strings.Contains(path, "/.")
}

// allows reports whether method and path are one of d's routes.
func (d *destination) allows(method string, u *url.URL) bool {
	if len(d.routes) == 0 {
		return true
	}
	if u.Path == "" {
		u = &url.URL{Path: "/"}
	}
	if method == "" {
		method = http.MethodGet
	}
	path := u.EscapedPath()
	quick := isLiteral(path) && method != http.MethodConnect
	for i := range d.routes {
		r := &d.routes[i]
		if quick && r.literal {
			if r.is(method, path) {
				return true
			}
		} else if r.asks(method, u) {
			return true
		}
	}
	return false
}

// is answers as the mux would, which allocates, when pattern and path are
// literal.
func (r *route) is(method, path string) bool {
	if r.method != "" && r.method != method && (r.method != http.MethodGet || method != http.MethodHead) {
		return false
	}
	return path == r.path || strings.HasSuffix(r.path, "/") && strings.HasPrefix(path, r.path)
}

// asks asks the mux. It also answers with redirects to the path it would match;
// those are no match.
func (r *route) asks(method string, u *url.URL) bool {
	h, _ := r.mux.Handler(&http.Request{Method: method, URL: u})
	return h == (http.Handler)(matched{})
}

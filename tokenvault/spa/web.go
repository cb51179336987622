package spa

import (
	"bytes"
	"embed"
	"fmt"
	"html"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed web
var web embed.FS

// Static files by who serves them.
var (
	ownScripts = []string{"bridge.js", "worker.js", "client.js"}
	appScripts = []string{"worker.js", "client.js"}
)

// bridge serves the page that an application loads in a frame. Only the
// applications may frame it, and it does nothing when it is not framed.
func (p *Proxy) bridge(w http.ResponseWriter, _ *http.Request) error {
	page, err := web.ReadFile("web/bridge.html")
	if err != nil {
		return err
	}
	apps := strings.Join(p.config.Origins, " ")
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "+
		"require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors "+apps)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(bytes.ReplaceAll(page, []byte("__TOKENVAULT_APPS__"), []byte(html.EscapeString(apps))))
	return nil
}

// static serves the browser part's scripts.
func (p *Proxy) static(w http.ResponseWriter, r *http.Request) error {
	return script(w, ownScripts, path.Base(r.URL.Path), p.config.Origin)
}

// script serves one of the named scripts for the vault at origin. The origin is
// written into it: a script that learnt it from its address could be registered
// with another one by whoever injects code into the application, and would stay.
func script(w http.ResponseWriter, names []string, name, origin string) error {
	if !slices.Contains(names, name) {
		return notListed
	}
	text, err := web.ReadFile(path.Join("web", name))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(bytes.ReplaceAll(text, []byte("__TOKENVAULT_ORIGIN__"), []byte(origin)))
	return nil
}

// listedRoute is one entry of the list that the browser part reroutes by: a URL
// without query that is From and a rest that Path matches goes to To and that
// rest, unless a rule of Except matches too.
type listedRoute struct {
	rule
	From   string `json:"from"`
	To     string `json:"to"` // under this proxy's origin
	Except []rule `json:"except,omitempty"`
}

// rule is a ServeMux pattern for a browser.
type rule struct {
	Method string `json:"method,omitempty"` // empty: all; GET: HEAD too
	Path   string `json:"path"`             // a regular expression
}

// routeList tells the browser part which of the application's calls to send
// here. It is public: it names addresses, and the decision is made again when
// the call arrives.
func (p *Proxy) routeList(w http.ResponseWriter, r *http.Request) error {
	m, err := p.server.endpoints(r.Context())
	if err != nil {
		return serverDown
	}
	list := []listedRoute{}
	for _, e := range []struct{ from, to string }{
		{m.Token, "token"}, {m.Revocation, "revoke"}, {m.UserInfo, "userinfo"},
	} {
		if e.from != "" {
			list = append(list, listedRoute{rule{Path: "^$"}, e.from, p.config.Origin + "/oauth2/" + e.to, nil})
		}
	}
	for i, rt := range p.listed {
		listed := listedRoute{newRule(p.config.Resources[i].Pattern), strings.TrimSuffix(rt.target.base.String(), "/"), p.config.Origin, nil}
		for _, pattern := range p.config.Resources[i].Exclude {
			listed.Except = append(listed.Except, newRule(pattern))
		}
		list = append(list, listed)
	}
	writeJSON(w, map[string]any{"header": headerName, "routes": list})
	return nil
}

var wildcard = regexp.MustCompile(`\{[^{}]*\}`)

// newRule translates a ServeMux pattern, which New has checked, into a regular
// expression that means the same to Go and to JavaScript.
func newRule(pattern string) rule {
	method, pattern, found := strings.Cut(pattern, " ")
	if !found {
		method, pattern = "", method
	}
	pattern = strings.TrimLeft(pattern, " \t")
	var b strings.Builder
	literal := func(s string) { b.WriteString(regexp.QuoteMeta(asInURL(s))) }
	b.WriteByte('^')
	for at := 0; ; {
		next := wildcard.FindStringIndex(pattern[at:])
		if next == nil {
			literal(pattern[at:])
			break
		}
		literal(pattern[at : at+next[0]])
		switch name := pattern[at+next[0] : at+next[1]]; {
		case name == "{$}":
		case strings.HasSuffix(name, "...}"):
			b.WriteString(".*")
		default:
			b.WriteString("[^/]+")
		}
		at += next[1]
	}
	if !strings.HasSuffix(pattern, "/") {
		b.WriteByte('$')
	}
	return rule{method, b.String()}
}

// asInURL is a path as a browser's URL has it (URL standard, path
// percent-encode set).
func asInURL(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?^`{}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// AppScripts serves the service worker and its module from the application's
// own origin, where browsers demand them: mount it at /tokenvault/ there.
// Origin is the proxy's. The worker reroutes the application's unchanged fetch
// calls when they match the list it gets from the proxy. An application with a
// Content-Security-Policy lists the proxy's origin in connect-src.
func AppScripts(origin string) (http.Handler, error) {
	if _, err := parseOrigin(origin); err != nil {
		return nil, fmt.Errorf("spa: AppScripts: origin %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			badMethod.write(w)
			return
		}
		// The worker may control the whole application, and load nothing.
		w.Header().Set("Service-Worker-Allowed", "/")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src http: https:")
		if err := script(w, appScripts, path.Base(r.URL.Path), origin); err != nil {
			problemOf(err).write(w)
		}
	}), nil
}

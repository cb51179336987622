package spa

import (
	"bytes"
	"embed"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed web
var web embed.FS

// scripts are the static files that a browser may ask for.
var scripts = []string{"bridge.js", "worker.js", "client.js"}

// bridge serves the page that an application loads in a frame. Only the
// applications may frame it, and it does nothing when it is not framed.
func (p *Proxy) bridge(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "+strings.Join(p.config.Origins, " "))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	page, err := web.ReadFile("web/bridge.html")
	if err != nil {
		return err
	}
	_, _ = w.Write(page)
	return nil
}

// static serves the browser part's scripts.
func (p *Proxy) static(w http.ResponseWriter, r *http.Request) error {
	return script(w, r.PathValue("file"), p.config.Origin)
}

// script serves one of the scripts for the vault at origin. The origin is
// written into it: a script that learnt it from its address could be registered
// with another one by whoever injects code into the application, and would stay.
func script(w http.ResponseWriter, name, origin string) error {
	if !slices.Contains(scripts, name) {
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

// listedRoute is one entry of the list that the browser part reroutes by.
type listedRoute struct {
	Methods string `json:"method,omitempty"` // empty: all
	From    string `json:"from"`             // URL prefix that the application calls
	To      string `json:"to"`               // where it goes: under this proxy's origin
	Exact   bool   `json:"exact,omitempty"`  // From is a whole URL without query, not a prefix
}

// routeList tells the browser part which of the application's calls to send
// here. It is public: it names addresses, and the decision is made again when
// the call arrives.
func (p *Proxy) routeList(w http.ResponseWriter, r *http.Request) error {
	m, err := p.server.endpoints(r.Context())
	if err != nil {
		return serverDown
	}
	origins := append([]string{p.config.Origin}, p.config.Origins...)
	list := []listedRoute{}
	for _, e := range []struct{ from, to string }{
		{m.Token, "token"}, {m.Revocation, "revoke"}, {m.UserInfo, "userinfo"},
	} {
		if e.from != "" {
			list = append(list, listedRoute{From: e.from, To: p.config.Origin + "/oauth2/" + e.to, Exact: true})
		}
	}
	for i, rt := range p.listed {
		method, pattern, found := strings.Cut(p.config.Resources[i].Pattern, " ")
		if !found {
			method, pattern = "", method
		}
		prefix, wild := cutPattern(pattern)
		base := strings.TrimSuffix(rt.target.base.String(), "/")
		list = append(list, listedRoute{Methods: method, From: base + prefix, To: p.config.Origin + prefix, Exact: !wild})
	}
	writeJSON(w, map[string]any{"origins": origins, "header": headerName, "routes": list})
	return nil
}

// cutPattern returns a pattern's fixed part, and whether more may follow.
func cutPattern(pattern string) (prefix string, more bool) {
	pattern = strings.TrimSpace(pattern)
	if exact, ok := strings.CutSuffix(pattern, "{$}"); ok {
		return exact, false
	}
	if i := strings.IndexByte(pattern, '{'); i >= 0 {
		return pattern[:i], true
	}
	return pattern, strings.HasSuffix(pattern, "/")
}

// AppScripts serves the service worker and its module from the application's
// own origin, where browsers demand them: mount it at /tokenvault/ there.
// Origin is the proxy's. The worker reroutes the application's unchanged fetch
// calls when they match the list it gets from the proxy.
func AppScripts(origin string) (http.Handler, error) {
	if _, err := parseOrigin(origin); err != nil {
		return nil, fmt.Errorf("spa: AppScripts: origin %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			badMethod.write(w)
			return
		}
		// The worker may control the whole application.
		w.Header().Set("Service-Worker-Allowed", "/")
		if err := script(w, name, origin); err != nil {
			problemOf(err).write(w)
		}
	}), nil
}

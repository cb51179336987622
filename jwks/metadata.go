package jwks

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// metadataURL is where RFC 9728 section 3.1 expects the metadata of resource:
// the well-known part goes before the path.
func metadataURL(resource string) (string, error) {
	if resource == "" {
		return "", nil
	}
	u, err := url.Parse(resource)
	if err != nil {
		return "", errURL
	}
	if err := checkURL(resource, isLoopback(u.Hostname())); err != nil {
		return "", err
	}
	if strings.ContainsAny(resource, "\"\\ ") {
		return "", errors.New("holds a character that no URL has")
	}
	rest := u.EscapedPath()
	if rest == "/" {
		rest = ""
	}
	if u.RawQuery != "" {
		rest += "?" + u.RawQuery
	}
	return u.Scheme + "://" + u.Host + wellKnown + rest, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// Metadata serves this resource server's metadata (RFC 9728 section 3.2), to be
// mounted at "/.well-known/oauth-protected-resource" followed by the path of
// Config.Resource. Without Config.Resource it answers 404.
func (v *Verifier) Metadata() http.Handler {
	if v.metadataURL == "" {
		return http.NotFoundHandler()
	}
	doc := struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Methods  []string `json:"bearer_methods_supported"`
		Scopes   []string `json:"scopes_supported,omitempty"`
	}{Resource: v.cfg.Resource, Methods: []string{"header"}}
	for _, i := range v.order {
		doc.Servers = append(doc.Servers, i.URL)
		doc.Scopes = append(doc.Scopes, i.Scopes...)
	}
	slices.Sort(doc.Scopes)
	doc.Scopes = slices.Compact(doc.Scopes)
	body, err := json.Marshal(doc)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case err != nil: // strings always marshal
			reply(w, http.StatusInternalServerError)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			reply(w, http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "max-age=3600")
			_, _ = w.Write(body)
		}
	})
}

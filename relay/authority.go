package relay

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// authority is the host of u as it is checked, and as it is dialled: canonical,
// without the default port of u's scheme. ok is false for what has no canonical
// form.
func authority(scheme, host string) (checked, dialled string, ok bool) {
	canonical, err := hosts.Canonical(host)
	if err != nil {
		return "", "", false
	}
	if scheme != "http" {
		return canonical, canonical, true
	}
	if strings.HasSuffix(host, ":443") { // the canonical form drops it; over http it is no default
		return canonical, canonical + ":443", true
	}
	canonical = strings.TrimSuffix(canonical, ":80")
	return canonical, canonical, true
}

// authority spares the host that a destination names in so many words: the text
// of a pattern is canonical.
func (t *Transport) authority(scheme, host string) (checked, dialled string, ok bool) {
	for _, d := range t.destinations {
		if d.host.String() == host && host[0] != '*' && !strings.HasSuffix(host, ":80") {
			return host, host, true
		}
	}
	return authority(scheme, host)
}

// singleAuthority names what in req could send it elsewhere than to the host
// that was checked.
func singleAuthority(req *http.Request, checked string) string {
	u := req.URL
	switch {
	case u.Opaque != "":
		return "URL is opaque"
	case u.User != nil:
		return "URL holds userinfo"
	case strings.EqualFold(req.Method, http.MethodConnect):
		return "a tunnel cannot be judged"
	}
	if req.Host == "" || req.Host == u.Host {
		return ""
	}
	if host, _, ok := authority(u.Scheme, req.Host); !ok || host != checked {
		return "Host header differs from the URL's host"
	}
	return ""
}

// zoned reports whether u's host is an address with a zone, which no list can
// name and which has no canonical form.
func zoned(u *url.URL) bool { return strings.Contains(u.Host, "%") && strings.HasPrefix(u.Host, "[") }

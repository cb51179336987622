package spa

import (
	"net/http"
	"slices"
	"strings"
)

// headerName is required on every call of a script, whatever the method: a
// page of another origin cannot set it without a preflight, which is refused.
const headerName = "X-Tokenvault"

// crossOrigin decides who may call at all (Fetch standard, CORS protocol).
type crossOrigin struct {
	own     string
	origins []string
	csrf    *http.CrossOriginProtection
}

func newCrossOrigin(own string, origins []string) (*crossOrigin, error) {
	x := &crossOrigin{own: own, origins: origins, csrf: http.NewCrossOriginProtection()}
	for _, o := range origins {
		if err := x.csrf.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// check judges a script's call. A listed origin, or this proxy's own, may call;
// without an Origin header the browser must say same-origin, or say nothing, in
// which case the required header has kept other origins out.
func (x *crossOrigin) check(r *http.Request) error {
	if !x.listed(r) {
		return foreignOrigin
	}
	if err := x.csrf.Check(r); err != nil {
		return foreignOrigin
	}
	if len(r.Header.Values(headerName)) != 1 {
		return missingHeader
	}
	return nil
}

func (x *crossOrigin) listed(r *http.Request) bool {
	switch origin := r.Header.Values("Origin"); len(origin) {
	case 0:
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "" || site == "same-origin"
	case 1:
		return origin[0] == x.own || slices.Contains(x.origins, origin[0])
	}
	return false
}

// allow sets the CORS answer headers for a listed origin, also on errors, so
// that the application can read them. Nothing is ever reflected: what is sent
// back is the configured origin it equals.
func (x *crossOrigin) allow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Vary"] = append(h["Vary"], "Origin", "Cookie")
	if i := slices.Index(x.origins, r.Header.Get("Origin")); i >= 0 && len(r.Header.Values("Origin")) == 1 {
		h.Set("Access-Control-Allow-Origin", x.origins[i])
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers OPTIONS for a method that the caller has found allowed.
func (x *crossOrigin) preflight(w http.ResponseWriter, r *http.Request) error {
	if !x.listed(r) || r.Header.Get("Origin") == "" {
		return foreignOrigin
	}
	headers := r.Header.Get("Access-Control-Request-Headers")
	if len(headers) > 2048 {
		return invalidRequest("too many request headers")
	}
	var names []string
	for name := range strings.SplitSeq(headers, ",") {
		if name = strings.TrimSpace(name); isToken(name) {
			names = append(names, name)
		}
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	h.Set("Access-Control-Allow-Headers", strings.Join(names, ", "))
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// exposed names the answer's own headers, for the application to read.
func exposed(h http.Header) string {
	names := make([]string, 0, len(h))
	for name := range h {
		if !strings.HasPrefix(name, "Access-Control-") && name != "Set-Cookie" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

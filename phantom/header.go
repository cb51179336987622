package phantom

import (
	"context"
	"net/http"
	"net/textproto"
	"strings"
)

// upstream is the request for next: a copy in ctx, with authorization as its only
// Authorization, or none if that is empty.
func (e *Exchanger) upstream(ctx context.Context, r *http.Request, authorization []string) *http.Request {
	inner := r.WithContext(ctx)
	inner.Header = upstreamHeader(r.Header)
	inner.Trailer = nil // fields that pass no check of ours
	if e.cfg.Cookie != "" {
		removeCookie(inner.Header, e.cfg.Cookie)
	}
	if len(authorization) > 0 && authorization[0] != "" {
		inner.Header["Authorization"] = authorization
	}
	return inner
}

// upstreamHeader copies h but for what must not reach the next handler.
func upstreamHeader(h http.Header) http.Header {
	out := make(http.Header, len(h)+1)
	n := 0
	for _, values := range h {
		n += len(values)
	}
	backing := make([]string, 0, n)
	for name, values := range h {
		if isStripped(name) {
			continue
		}
		start := len(backing)
		backing = append(backing, values...)
		out[name] = backing[start:len(backing):len(backing)]
	}
	// What the client declares hop-by-hop ends here. Done by the next hop instead, it
	// could take away the Authorization we set.
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(out, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
	return out
}

// isStripped is about every header of every request, so it first looks at the
// letter that the names in question begin with.
func isStripped(name string) bool {
	if name == "" {
		return true
	}
	switch name[0] {
	case 'A', 'a':
		return strings.EqualFold(name, "Authorization")
	case 'C', 'c', 'K', 'k', 'P', 'p', 'T', 't', 'U', 'u':
		n := len(name)
		return (n <= 10 || n >= 16) && hopByHop[textproto.CanonicalMIMEHeaderKey(name)]
	case 'X', 'x':
		return isTokenHeader(name)
	}
	return false
}

// hopByHop headers are for this hop only (RFC 9110 section 7.6.1).
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// isTokenHeader recognizes the headers by which gateways in use tell an
// application of a token or of who its user is, which here only the JWT does. An
// underscore counts as a hyphen, because it does to CGI-like upstreams.
func isTokenHeader(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	if tokenHeaders[name] {
		return true
	}
	for _, prefix := range []string{"x-auth-request-", "x-amzn-oidc-", "x-goog-iap-", "x-goog-authenticated-", "x-ms-token-", "x-ms-client-principal"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

var tokenHeaders = map[string]bool{
	"x-access-token": true, "x-id-token": true, "x-refresh-token": true, "x-jwt-assertion": true,
	"x-authorization": true, "x-original-authorization": true, "x-forwarded-authorization": true,
	"x-forwarded-access-token": true, "x-forwarded-id-token": true, "x-forwarded-refresh-token": true,
	"x-forwarded-user": true, "x-forwarded-email": true, "x-forwarded-groups": true,
	"x-forwarded-preferred-username": true, "x-userinfo": true,
}

// removeCookie takes the named cookie out of the Cookie header and leaves the
// others as they are.
func removeCookie(h http.Header, name string) {
	var lines []string
	for _, line := range h["Cookie"] {
		var kept []string
		for part := range strings.SplitSeq(line, ";") {
			part = textproto.TrimString(part)
			found, _, _ := strings.Cut(part, "=")
			if part != "" && textproto.TrimString(found) != name {
				kept = append(kept, part)
			}
		}
		if len(kept) > 0 {
			lines = append(lines, strings.Join(kept, "; "))
		}
	}
	if lines == nil {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = lines
}

package spa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// target is where a resource's requests go.
type target struct {
	base   *url.URL
	scopes []string
}

// resourceRoute checks r. Errors name its field.
func (p *Proxy) resourceRoute(r Resource) (*route, error) {
	if err := p.config.checkURL(r.Upstream); err != nil {
		return nil, fmt.Errorf(".Upstream %w", err)
	}
	base, err := url.Parse(r.Upstream)
	if err != nil || base.RawQuery != "" || base.RawPath != "" {
		return nil, errors.New(".Upstream must be a plain base URL")
	}
	if !p.mayReceive(base) {
		return nil, errors.New(".Upstream: its host is not among the provider's Hosts")
	}
	rt := &route{name: "resource " + r.Pattern, target: &target{base: base, scopes: append([]string(nil), r.Scopes...)}}
	if len(r.Exclude) > 0 {
		rt.exclude = http.NewServeMux()
		for i, pattern := range r.Exclude {
			if err := handle(rt.exclude, pattern, rt); err != nil {
				return nil, fmt.Errorf(".Exclude[%d]: %w", i, err)
			}
		}
	}
	rt.handle = func(w http.ResponseWriter, req *http.Request) error { return p.attach(w, req, rt.target, req.URL.Path) }
	return rt, nil
}

// mayReceive reports whether the provider's tokens may go to u's host.
func (p *Proxy) mayReceive(u *url.URL) bool {
	host := u.Host
	if u.Scheme == "http" && u.Port() == "" {
		host += ":80"
	}
	canonical, err := hosts.Canonical(host)
	return err == nil && slices.ContainsFunc(p.hosts, func(h hosts.Pattern) bool { return h.Match(canonical) })
}

// attached is what an attached request carries in its context.
type attached struct {
	ctx     context.Context // of the inbound request
	session *session
	target  *target
	path    string
	err     error // of the round trip, for the error handler
}

type attachedKey struct{}

// attach forwards r to t with the session's token.
func (p *Proxy) attach(w http.ResponseWriter, r *http.Request, t *target, path string) error {
	start := p.config.Now()
	s, _, err := p.load(r)
	switch {
	case err != nil:
		return err
	case s.Removed:
		return noSession
	case !s.hasScopes(t.scopes):
		return missingScope
	}
	a := &attached{session: s, target: t, path: path}
	a.ctx = context.WithValue(r.Context(), attachedKey{}, a)
	status := &statusWriter{ResponseWriter: w}
	defer func() {
		p.observe(r.Context(), Event{Kind: "attach", Host: t.base.Host, Status: status.code, Duration: p.config.Now().Sub(start), Err: sentinel(a.err)})
	}()
	p.forward.ServeHTTP(status, r.WithContext(a.ctx))
	return nil
}

func (p *Proxy) newForward() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      attacher{p},
		ModifyResponse: p.modifyResponse,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			a := r.Context().Value(attachedKey{}).(*attached)
			a.err = err
			if r.Context().Err() == nil {
				problemOf(err).write(w)
			}
		},
		// Its own log lines quote errors of the network.
		ErrorLog:   log.New(io.Discard, "", 0),
		BufferPool: new(buffers),
	}
}

// buffers are what bodies are copied through; a ReverseProxy without them makes
// one for each.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if array, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return array[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[bufferSize]byte)(buffer)) }

// rewrite makes the outgoing request: the listed upstream, the same path and
// query, and none of the headers by which a browser could speak as somebody
// else.
func rewrite(r *httputil.ProxyRequest) {
	a := r.In.Context().Value(attachedKey{}).(*attached)
	r.Out.URL.Path, r.Out.URL.RawPath = a.path, ""
	r.SetURL(a.target.base)
	r.Out.Host = ""
	for name := range r.Out.Header {
		if forbidden(name) {
			delete(r.Out.Header, name)
		}
	}
	// Without an Accept-Encoding of ours the transport asks for gzip and
	// undoes it, so that an echoed token can be seen. A range is of the bytes
	// as they are.
	r.Out.Header.Del("Accept-Encoding")
	if r.Out.Header.Get("Range") != "" {
		r.Out.Header.Set("Accept-Encoding", "identity")
	}
}

// forbidden reports whether a browser's header must not reach an upstream. Some
// servers read an underscore as a hyphen.
func forbidden(name string) bool {
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie", "Forwarded", "Via", "Origin", "Referer", "Host",
		"X-Real-Ip", "True-Client-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
		headerName:
		return true
	}
	for _, prefix := range [...]string{"X-Forwarded-", "Sec-Fetch-", "Access-Control-", headerName + "-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// attacher attaches the session's token, and renews it once when the upstream
// says that it is no good.
type attacher struct{ p *Proxy }

func (t attacher) RoundTrip(r *http.Request) (*http.Response, error) {
	a := r.Context().Value(attachedKey{}).(*attached)
	// Without the ReverseProxy's trace, by which it would pass on an upstream's
	// informational answers (RFC 9110 section 15.2) as they are.
	r = r.WithContext(a.ctx)
	grants, grant, used := t.p.config.Vault, a.session.Grant, ""
	attached := grants.Transport(grant, grant, scrubber{t.p.config.Base, &used})
	res, err := attached.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	if !replayable(r) {
		// The answer goes on as it is; the next request finds a new token.
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), retry)
			defer cancel()
			_ = grants.Refused(ctx, grant, grant, used)
		}()
		return res, nil
	}
	_ = res.Body.Close()
	if err := grants.Refused(r.Context(), grant, grant, used); err != nil {
		return nil, err
	}
	return attached.RoundTrip(r)
}

// replayable: safe (RFC 9110 section 9.2.1) and without a body.
func replayable(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions) &&
		(r.Body == nil || r.Body == http.NoBody)
}

// modifyResponse keeps an upstream from speaking for the vault's origin.
func (p *Proxy) modifyResponse(res *http.Response) error {
	a := res.Request.Context().Value(attachedKey{}).(*attached)
	h := res.Header
	maps.DeleteFunc(h, forOrigin)
	maps.DeleteFunc(res.Trailer, forOrigin) // the announcement; see scrubbed for what follows
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	h.Set("Cache-Control", "no-store")
	if location := h.Get("Location"); location != "" {
		h.Del("Location")
		if own, ok := p.ownAddress(a.target, res.Request.URL, location); ok {
			h.Set("Location", own)
		}
	}
	h.Set("Access-Control-Expose-Headers", exposed(h))
	return nil
}

// forOrigin holds for the fields of an answer that speak for its whole origin.
func forOrigin(name string, _ []string) bool {
	switch name {
	case "Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Service-Worker-Allowed", "Strict-Transport-Security", "Public-Key-Pins",
		"Alt-Svc", "Nel", "Report-To", "Reporting-Endpoints", "Refresh", "Link", "Sourcemap":
		return true
	}
	return strings.HasPrefix(name, "Access-Control-")
}

// ownAddress turns a redirect within the upstream into one within the vault's
// origin. Elsewhere a redirect does not lead: its URL could hold a credential.
func (p *Proxy) ownAddress(t *target, from *url.URL, location string) (string, bool) {
	u, err := from.Parse(location)
	if err != nil || u.User != nil || u.Scheme != t.base.Scheme || u.Host != t.base.Host {
		return "", false
	}
	path, ok := strings.CutPrefix(u.EscapedPath(), strings.TrimSuffix(t.base.EscapedPath(), "/"))
	if !ok || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return "", false
	}
	out := p.config.Origin + path
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return out, true
}

// statusWriter remembers the status for the event. Flush and the rest are
// reached through Unwrap.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 || w.code < 200 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

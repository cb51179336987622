package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// Transport returns a RoundTripper that attaches the grant's access token to
// requests to its provider's hosts, and to no others. An http.Client calls it
// for every hop of a redirect, and every hop is judged anew: what goes to
// another host passes without the token. base nil means http.DefaultTransport.
//
// To a host of the provider, http without InsecureHTTP and a Host header that
// differs from the URL are errors, and nothing is sent.
func (v *Vault) Transport(id, owner string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{v, id, owner, base}
}

type transport struct {
	vault     *Vault
	id, owner string
	base      http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	hop, listed := t.vault.judgeHop(req.URL)
	if !listed {
		return t.base.RoundTrip(req)
	}
	g, p, err := t.vault.fresh(req.Context(), t.id, t.owner)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if !hop.within(p) {
		return t.base.RoundTrip(req)
	}
	if err := hop.check(req, p); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.base.RoundTrip(hop.withBearer(req, g.Access))
	if err != nil {
		return nil, withoutToken(err, g.Access)
	}
	resp.Request = req
	return resp, nil
}

// hop is where one request goes.
type hop struct {
	secure bool
	hosts  []string // canonical; an http URL without port is looked up with and without ":80"
}

// judgeHop reports whether any provider lists the URL's host.
func (v *Vault) judgeHop(u *url.URL) (hop, bool) {
	host, err := hosts.Canonical(u.Host)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return hop{}, false
	}
	h := hop{u.Scheme == "https", []string{host}}
	if !h.secure && u.Port() == "" {
		h.hosts = append(h.hosts, host+":80")
	}
	for _, p := range v.providers {
		if h.within(p) {
			return h, true
		}
	}
	return hop{}, false
}

func (h hop) within(p *provider) bool {
	for _, host := range h.hosts {
		if p.allows(host) {
			return true
		}
	}
	return false
}

// check makes sure that the host judged is the host that will be asked.
func (h hop) check(req *http.Request, p *provider) error {
	if !h.secure && !p.insecureHTTP {
		return errors.New("vault: http to a host of the provider; https, or Provider.InsecureHTTP")
	}
	if req.URL.Opaque != "" || req.URL.User != nil {
		return errors.New("vault: the request's URL holds an opaque part or user information")
	}
	if req.Host == "" || req.Host == req.URL.Host {
		return nil
	}
	if host, err := hosts.Canonical(req.Host); err != nil || host != h.hosts[0] {
		return errors.New("vault: the request's Host differs from its URL")
	}
	return nil
}

// withBearer returns a copy of req that carries the token (RFC 6750 section
// 2.1), under the host's one spelling.
func (h hop) withBearer(req *http.Request, token string) *http.Request {
	out := req.Clone(withoutHeaderTrace(req.Context()))
	if h.secure {
		out.URL.Host, out.Host = h.hosts[0], ""
	}
	for name := range out.Header { // a map key need not be canonical
		if strings.EqualFold(name, "Authorization") {
			delete(out.Header, name)
		}
	}
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	out.Header.Set("Authorization", "Bearer "+token)
	return out
}

// withoutHeaderTrace takes from a caller's trace the one hook that is shown
// the Authorization header.
func withoutHeaderTrace(ctx context.Context) context.Context {
	if t := httptrace.ContextClientTrace(ctx); t == nil || t.WroteHeaderField == nil {
		return ctx
	}
	return quietTrace{ctx}
}

type quietTrace struct{ context.Context }

func (c quietTrace) Value(key any) any {
	value := c.Context.Value(key)
	if t, ok := value.(*httptrace.ClientTrace); ok && t != nil {
		quiet := *t
		quiet.WroteHeaderField = nil
		return &quiet
	}
	return value
}

// withoutToken drops the text of an error that quotes what was sent.
func withoutToken(err error, token string) error {
	if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, token) {
		return errors.New("vault: the request failed, with an error that quotes the access token")
	}
	return err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// hostOf is for events.
func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Host
}

package jwks

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody         = 1 << 20 // bytes, of a JWK set or of metadata
	defaultLifetime = 15 * time.Minute
	discoverAgain   = 24 * time.Hour
)

var (
	errUnreachable = refuse(ErrUnavailable, "the issuer cannot be reached")
	errTimeout     = refuse(ErrUnavailable, "the issuer did not answer in time")
	errRedirect    = refuse(ErrUnavailable, "a redirect leaves https or does not end")
	errStatus      = refuse(ErrUnavailable, "the issuer did not answer 200")
	errBody        = refuse(ErrUnavailable, "the answer broke off or is over 1 MiB")
	errSetForm     = refuse(ErrUnavailable, "the answer is no JWK set")
	errMetadata    = refuse(ErrUnavailable, "no metadata with a usable jwks_uri was found")
	errOtherIssuer = refuse(ErrUnavailable, "the metadata names another issuer")
)

// fetcher gets the JWK set of one issuer. One goroutine uses it at a time.
type fetcher struct {
	client   *http.Client
	issuer   string
	insecure bool // http is allowed
	algs     []*algorithm
	now      func() time.Time

	url        string // of the JWK set; empty until it is discovered
	discovered time.Time
	fixed      bool // url is configured
}

// newClient is the default client. It keeps no connection: fetches are minutes
// apart.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSHandshakeTimeout:    fetchTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
	}}
}

// guardRedirects returns a copy of c that does not follow a redirect to a URL
// that could not be configured either.
func guardRedirects(c *http.Client, insecure bool) *http.Client {
	guarded, before := *c, c.CheckRedirect
	guarded.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if checkURL(req.URL.String(), insecure) != nil || len(via) >= 5 {
			return errRedirect
		}
		if before != nil {
			return before(req, via)
		}
		return nil
	}
	return &guarded
}

var (
	errURL   = errors.New("not an absolute URL with a host and without user or fragment")
	errPlain = errors.New("not https (InsecureHTTP allows http)")
)

func checkURL(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return errURL
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !insecure) {
		return errPlain
	}
	return nil
}

// fetch brings the issuer's set. After a failure the address is discovered anew.
func (f *fetcher) fetch(ctx context.Context) (got fetched, err error) {
	defer func() {
		if err != nil && !f.fixed {
			f.url = ""
		}
	}()
	got.host = hostOf(f.issuer)
	if !f.fixed && (f.url == "" || f.now().Sub(f.discovered) > discoverAgain) {
		if f.url, err = f.discover(ctx); err != nil {
			return got, err
		}
		f.discovered = f.now()
	}
	got.host = hostOf(f.url)
	body, h, err := f.get(ctx, f.url, "application/jwk-set+json, application/json")
	if err != nil {
		return got, err
	}
	if got.set, err = parseSet(body, f.algs); err != nil {
		return got, errSetForm
	}
	got.lifetime = lifetime(h)
	return got, nil
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// discover finds jwks_uri. RFC 8414 section 3 puts the well-known part before
// the issuer's path, OpenID Connect Discovery section 4 behind it.
func (f *fetcher) discover(ctx context.Context) (string, error) {
	u, err := url.Parse(f.issuer)
	if err != nil {
		return "", errMetadata
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	base := u.Scheme + "://" + u.Host
	var last error
	for _, at := range []string{
		base + "/.well-known/oauth-authorization-server" + path,
		base + path + "/.well-known/openid-configuration",
	} {
		body, _, err := f.get(ctx, at, "application/json")
		if err == nil {
			var address string
			if address, err = f.readMetadata(string(body)); err == nil {
				return address, nil
			}
		}
		last = err
	}
	return "", last
}

// readMetadata insists that the document speaks for the configured issuer,
// character by character (RFC 8414 section 3.3).
func (f *fetcher) readMetadata(doc string) (string, error) {
	var issuer, address string
	ok := members(doc, func(name, raw string) {
		switch name {
		case "issuer":
			issuer, _ = text(raw)
		case "jwks_uri":
			address, _ = text(raw)
		}
	})
	if !ok || checkURL(address, f.insecure) != nil {
		return "", errMetadata
	}
	if issuer != f.issuer {
		return "", errOtherIssuer
	}
	return address, nil
}

func (f *fetcher) get(ctx context.Context, address, accept string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, errUnreachable
	}
	req.Header.Set("Accept", accept)
	res, err := f.client.Do(req)
	switch {
	case errors.Is(err, errRedirect):
		return nil, nil, errRedirect
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil, errTimeout
	case err != nil: // it would quote the URL
		return nil, nil, errUnreachable
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, nil, errStatus
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, nil, errBody
	}
	return body, res.Header, nil
}

// lifetime reads Cache-Control and Age (RFC 9111 section 4.2).
func lifetime(h http.Header) time.Duration {
	life := defaultLifetime
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				return 0
			case "max-age":
				life = seconds(value) - seconds(h.Get("Age"))
			}
		}
	}
	return life
}

// seconds reads a delta-seconds; what is none counts as 0, the cautious side.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(strings.Trim(s, `"`), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

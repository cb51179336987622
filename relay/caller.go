package relay

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// A Caller may use the sidecar.
type Caller struct {
	// Name appears in events, and is the user name when the bearer comes as Basic.
	Name string
	// BearerSHA256 is the SHA-256 of the caller's bearer secret, which should be
	// 16 random bytes or more. It comes in Proxy-Authorization (Bearer, or as the
	// password of Basic) or in X-Tokenvault-Auth.
	BearerSHA256 []byte
	// CertSHA256 is the SHA-256 of the client certificate (DER) the caller
	// presents; the server's TLS configuration must request one. With BearerSHA256
	// set too, the caller must present both.
	CertSHA256 []byte
	// Hosts the caller may reach, by the rule of Destination.Host.
	Hosts []string
	// Subjects on whose behalf the caller may make requests. One is every
	// request's; of several, and of "*" (any), the request names one in
	// X-Tokenvault-Subject. Empty: requests have no subject.
	Subjects []string
}

// Header fields by which callers speak to the sidecar. They never leave it.
const (
	authHeader    = "X-Tokenvault-Auth"
	subjectHeader = "X-Tokenvault-Subject"
	proxyAuth     = "Proxy-Authorization"
)

type caller struct {
	name         string
	bearer, cert []byte
	hosts        []hosts.Pattern
	subjects     []string
}

func newCaller(c Caller) (*caller, error) {
	out := &caller{name: c.Name, bearer: bytes.Clone(c.BearerSHA256), cert: bytes.Clone(c.CertSHA256), subjects: slices.Clone(c.Subjects)}
	switch {
	case c.Name == "":
		return nil, in("Name", errMissing)
	case len(c.BearerSHA256) == 0 && len(c.CertSHA256) == 0:
		return nil, in("BearerSHA256", errors.New("neither it nor CertSHA256 is set"))
	case len(c.BearerSHA256) != 0 && len(c.BearerSHA256) != sha256.Size:
		return nil, in("BearerSHA256", errSHA256)
	case len(c.CertSHA256) != 0 && len(c.CertSHA256) != sha256.Size:
		return nil, in("CertSHA256", errSHA256)
	case len(c.Hosts) == 0:
		return nil, in("Hosts", errNone)
	case slices.Contains(c.Subjects, ""):
		return nil, in("Subjects", errors.New("an empty one"))
	}
	for i, h := range c.Hosts {
		p, err := hosts.Parse(h)
		if err != nil {
			return nil, element("Hosts", i, fmt.Errorf("%q: %w", h, err))
		}
		out.hosts = append(out.hosts, p)
	}
	return out, nil
}

func (c *caller) reaches(host string) bool {
	return slices.ContainsFunc(c.hosts, func(p hosts.Pattern) bool { return p.Match(host) })
}

// subject is the one that h names, if c may act for it.
func (c *caller) subject(h http.Header) (string, bool) {
	named := h.Values(subjectHeader)
	switch {
	case len(named) == 0 && len(c.subjects) == 1 && c.subjects[0] != "*":
		return c.subjects[0], true
	case len(named) == 0:
		return "", len(c.subjects) == 0
	case len(named) > 1 || named[0] == "" || named[0] == "*":
		return "", false
	}
	return named[0], slices.Contains(c.subjects, named[0]) || slices.Contains(c.subjects, "*")
}

// authenticate finds the caller of r. Every caller is compared with, in
// constant time, so that timing tells nothing about any.
func authenticate(callers []*caller, r *http.Request) *caller {
	user, secret, ok := credentials(r.Header)
	if !ok {
		return nil
	}
	bearer := sha256.Sum256([]byte(secret))
	var cert [sha256.Size]byte
	hasCert := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
	if hasCert {
		cert = sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	}
	var found *caller
	for _, c := range callers {
		good := 1
		if len(c.bearer) > 0 {
			good &= subtle.ConstantTimeCompare(c.bearer, bearer[:])
		}
		if len(c.cert) > 0 {
			good &= subtle.ConstantTimeCompare(c.cert, cert[:])
		}
		if len(c.bearer) > 0 && secret == "" || len(c.cert) > 0 && !hasCert || user != "" && user != c.name {
			good = 0
		}
		if good == 1 {
			found = c
		}
	}
	return found
}

// credentials reads the one field in which a caller presents its secret. ok is
// false when there are several, or one that does not parse.
func credentials(h http.Header) (user, secret string, ok bool) {
	proxy, own := h.Values(proxyAuth), h.Values(authHeader)
	if len(proxy)+len(own) > 1 {
		return "", "", false
	}
	if len(own) == 1 {
		secret, bearer := cutScheme(own[0], "Bearer")
		if !bearer {
			secret = own[0]
		}
		return "", secret, secret != ""
	}
	if len(proxy) == 0 {
		return "", "", true
	}
	if secret, ok := cutScheme(proxy[0], "Bearer"); ok {
		return "", secret, secret != ""
	}
	encoded, ok := cutScheme(proxy[0], "Basic")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return "", "", false
	}
	user, secret, ok = strings.Cut(string(raw), ":")
	return user, secret, ok && user != "" && secret != ""
}

func cutScheme(v, scheme string) (rest string, ok bool) {
	got, rest, ok := strings.Cut(v, " ")
	return strings.TrimLeft(rest, " "), ok && strings.EqualFold(got, scheme)
}

package relay

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// A Destination is a third party that may receive plaintext, and how.
type Destination struct {
	// Host is "api.example.com" or "*.example.com" (one or more labels, never the
	// bare domain), with ":port" unless it is the scheme's own.
	Host string
	// Routes are net/http.ServeMux patterns without a host and with an optional
	// method: "POST /oauth/token", "/v1/". Empty: every method and path.
	Routes []string
	// Open lists the places where sealed values are opened. Empty: the
	// Authorization header alone, each half of Basic included.
	//
	//	header:X-Api-Key  cookie:sid  query:api_key  path  form:client_secret
	//	json:$.password (any JSONPath)  multipart:field
	//
	// A sealed value must be the whole of its place: a header's value (for
	// Authorization and Proxy-Authorization what follows the scheme), one path
	// segment, one JSON string. "*" names every name of its kind.
	Open []string
	// Seal lists the fields of an answer that are sealed before the caller sees
	// them. With any set, a 2xx answer that cannot be edited is ErrResponse.
	Seal []Field
	// Require makes a 2xx answer in which no field of Seal is present ErrResponse.
	Require bool
	// RequireSubject refuses values that are sealed without a subject.
	RequireSubject bool
	// AllowPublic accepts values that were sealed with a public key: anyone who
	// has it can make them, with any label.
	AllowPublic bool
	// InsecureHTTP lets requests go out over http://.
	InsecureHTTP bool
	// InsecureEcho turns echo scrubbing off.
	InsecureEcho bool
	// InsecureStream opens values in bodies larger than MaxBody on the way: when
	// one is refused, what preceded it has been sent.
	InsecureStream bool
}

// A Field of an answer that is sealed.
type Field struct {
	// At is a JSONPath ("$.accessToken"; a form-encoded answer counts as a flat
	// object) or "header:Name".
	At string
	// Hosts is the label's: who may receive the plaintext. Default: the authority
	// that answered.
	Hosts []string
	// TTL is the label's expiry, from now. Zero: none.
	TTL time.Duration
}

// A destination is a Destination, checked.
type destination struct {
	Destination
	host   hosts.Pattern
	routes []route
	open   *places
	seal   *sealing
}

func newDestination(d Destination, maxBody int64) (*destination, error) {
	pattern, err := hosts.Parse(d.Host)
	if err == nil && pattern.String() == hosts.Any {
		err = errors.New("a destination names its hosts")
	}
	if err != nil {
		return nil, in("Host", fmt.Errorf("%q: %w", d.Host, err))
	}
	out := &destination{Destination: d, host: pattern}
	for i, r := range d.Routes {
		checked, err := newRoute(r)
		if err != nil {
			return nil, element("Routes", i, err)
		}
		out.routes = append(out.routes, checked)
	}
	if out.open, err = parsePlaces(d.Open, maxBody); err != nil {
		return nil, err
	}
	if out.seal, err = newSealing(d, maxBody); err != nil {
		return nil, err
	}
	return out, nil
}

// checkPath refuses the spellings of a path that a route and the upstream could
// read differently.
func checkPath(u *url.URL) string {
	p := u.EscapedPath()
	if p == "" {
		return ""
	}
	if p[0] != '/' {
		return "path is not absolute"
	}
	if clean := path.Clean(p); clean != p && clean+"/" != p {
		return "path is not clean"
	}
	if !strings.ContainsAny(p, `%\;`) {
		return ""
	}
	if u.RawPath != "" && u.RawPath != p {
		return "path and its encoding differ"
	}
	lower := strings.ToLower(p)
	for range 2 { // an upstream that decodes twice must not see more than one that decodes once
		if strings.Contains(lower, `\`) || strings.Contains(lower, "%5c") ||
			strings.Contains(lower, "%2f") || strings.Contains(lower, "%2e") {
			return "path holds a backslash or an encoded slash or dot"
		}
		lower = strings.ReplaceAll(lower, "%25", "%")
	}
	for segment := range strings.SplitSeq(p, "/") {
		name, _, ok := strings.Cut(segment, ";") // path parameters: "..;" is ".." to some servers
		if ok && (name == "" || name == "." || name == "..") {
			return "path is not clean"
		}
	}
	return ""
}

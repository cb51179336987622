package redact

import (
	"net/http"
	"net/textproto"
	"strings"
)

// locations are the fields whose value is a URL (RFC 9110).
var locations = map[string]bool{"Location": true, "Content-Location": true, "Referer": true}

// Header returns a copy of h with the values of Config.Headers masked, and what
// Text and URL find in the others. nil stays nil.
func (r *Redactor) Header(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	out := make(http.Header, len(h))
	for name, values := range h {
		out[name] = r.headerValues(name, values)
	}
	return out
}

func (r *Redactor) headerValues(name string, values []string) []string {
	if values == nil {
		return nil
	}
	canonical := textproto.CanonicalMIMEHeaderKey(strings.TrimPrefix(name, http.TrailerPrefix))
	if r.headers[canonical] {
		return r.hideAll(values)
	}
	clean := r.Text
	if locations[canonical] {
		clean = r.urlString
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = clean(v)
	}
	return out
}

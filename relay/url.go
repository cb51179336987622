package relay

import (
	"net/url"
	"strings"
)

// rewriteURL opens path segments and query parameters of u. The path is judged
// again afterwards: a plaintext must not lead to another route.
func (x *exchange) rewriteURL(u *url.URL) error {
	if err := x.rewritePath(u); err != nil {
		return err
	}
	if u.RawQuery == "" || !mayHold(u.RawQuery) {
		return nil
	}
	e := bodyEdit{x: x}
	query, err := e.pairs("query", u.RawQuery, &x.dest.open.query)
	if err != nil {
		return err
	}
	u.RawQuery = query
	return nil
}

func (x *exchange) rewritePath(u *url.URL) error {
	escaped := u.EscapedPath()
	if !mayHold(escaped) {
		return nil
	}
	segments := strings.Split(escaped, "/")
	opened := false
	for i, segment := range segments {
		text, err := url.PathUnescape(segment)
		if err != nil {
			return refuse(ErrDestination, "path", "not percent-encoded")
		}
		if !x.dest.open.path || !candidate(text) {
			if holds(text) {
				return refuse(ErrPlace, "path", "")
			}
			continue
		}
		plain, _, err := x.open("path", text)
		if err != nil {
			return err
		}
		s, reason := segmentText(plain)
		if reason != "" {
			return refuse(ErrPlace, "path", reason)
		}
		segments[i], opened = s, true
	}
	if !opened {
		return nil
	}
	return x.adoptPath(u, strings.Join(segments, "/"))
}

func (x *exchange) adoptPath(u *url.URL, escaped string) error {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return refuse(ErrPlace, "path", "plaintext is no path segment")
	}
	u.Path, u.RawPath = path, escaped
	if reason := checkPath(u); reason != "" {
		return refuse(ErrPlace, "path", reason)
	}
	if x.t.destination(x.host, x.req.Method, u) != x.dest {
		return refuse(ErrDestination, "path", "the opened path is another route's")
	}
	return nil
}

// mayHold is a quick no: without the prefix, or an escape that could spell it,
// there is no sealed value in s.
func mayHold(s string) bool {
	return strings.Contains(s, "tv1.") || strings.Contains(s, "%")
}

// pairs opens values of a form-encoded text: a query or a form body. What is
// not opened keeps its spelling.
func (e *bodyEdit) pairs(kind, raw string, open *names) (string, error) {
	var b strings.Builder
	for i, pair := range strings.Split(raw, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		text, err := e.pair(kind, pair, open)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func (e *bodyEdit) pair(kind, pair string, open *names) (string, error) {
	if !mayHold(pair) {
		return pair, nil
	}
	rawName, rawValue, _ := strings.Cut(pair, "=")
	name, nameErr := url.QueryUnescape(rawName)
	value, valueErr := url.QueryUnescape(rawValue)
	if nameErr != nil || valueErr != nil {
		if holds(pair) {
			return "", refuse(ErrPlace, kind, "not percent-encoded")
		}
		return pair, nil
	}
	place := shown(kind, name)
	if holds(name) || !open.has(name) || !candidate(value) {
		if holds(name) || holds(value) {
			return "", refuse(ErrPlace, place, "")
		}
		return pair, nil
	}
	plain, _, err := e.x.open(place, value)
	if err != nil {
		return "", err
	}
	e.opened++
	return rawName + "=" + url.QueryEscape(plain), nil
}

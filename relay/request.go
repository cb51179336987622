package relay

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/echo"
	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// An exchange is one request, its judgement and its answer.
type exchange struct {
	t       *Transport
	req     *http.Request // the caller's; never altered
	subject string
	start   time.Time
	body    *onceBody // the caller's

	host string       // the authority that was checked and is dialled
	dest *destination // nil: an unlisted host
	out  *http.Request
	own  bool // out.Header is ours to alter

	mu       sync.Mutex // a body that is opened on the way is opened by Base's goroutine
	values   int
	public   int
	revealed []echo.Value // plaintexts that this request sends, and what the caller wrote in their place
	events   []Event
	sending  bool           // what is opened now is opened on the way
	changed  bool           // the request's body
	scrub    *echo.Scrubber // of the first scrubs values revealed
	scrubs   int
	formAuth bool // RFC 6749 section 2.3.1 applies to Basic
}

// judge decides on the whole request and returns what is sent in its stead.
func (x *exchange) judge() (*http.Request, error) {
	u := x.req.URL
	if u == nil {
		return nil, refuse(ErrAuthority, "", "request has no URL")
	}
	host, dialled, ok := x.t.authority(u.Scheme, u.Host)
	if !ok && !zoned(u) {
		return nil, refuse(ErrAuthority, "", "host has no canonical form")
	}
	x.host = host
	if !ok || !x.t.listed(host) {
		return x.unlisted()
	}
	if reason := singleAuthority(x.req, host); reason != "" {
		return nil, refuse(ErrAuthority, "", reason)
	}
	if reason := checkPath(u); reason != "" {
		return nil, refuse(ErrDestination, "path", reason)
	}
	d := x.t.destination(host, x.req.Method, u)
	switch {
	case d == nil:
		return nil, refuse(ErrDestination, "", "no route matches")
	case u.Scheme != "https" && (u.Scheme != "http" || !d.InsecureHTTP):
		return nil, refuse(ErrInsecure, "", "")
	}
	x.dest = d
	return x.rewrite(dialled)
}

// An outgoing request, with what nearly all of them need, is one allocation.
type outgoing struct {
	http.Request
	url   url.URL
	value [1]echo.Value
}

// prepare begins with the caller's request, at the host that is dialled.
func (x *exchange) prepare(dialled string) {
	o := &outgoing{Request: *x.req.WithContext(x.context()), url: *x.req.URL}
	o.Host = ""
	o.url.Host = dialled
	o.URL = &o.url
	x.out, x.revealed = &o.Request, o.value[:0]
}

// rewrite makes the request that is sent. The body comes first: it tells how
// Basic is encoded.
func (x *exchange) rewrite(dialled string) (*http.Request, error) {
	x.prepare(dialled)
	if err := x.rewriteBody(); err != nil {
		return nil, err
	}
	if err := x.rewriteHeader(); err != nil {
		return nil, err
	}
	if err := x.rewriteURL(x.out.URL); err != nil {
		return nil, err
	}
	x.negotiate()
	return x.out, nil
}

// header returns out's header for alteration.
func (x *exchange) header() http.Header {
	if !x.own {
		x.out.Header, x.own = x.req.Header.Clone(), true
	}
	return x.out.Header
}

// unlisted passes the request on as it is, unless something sealed is aboard.
func (x *exchange) unlisted() (*http.Request, error) {
	place := x.aboard()
	out := x.req
	if place == "" && x.body != nil {
		prefix, whole, err := x.readBody()
		if err != nil {
			return nil, err
		}
		if holdsBytes(prefix) {
			place = "body"
		}
		out = x.req.WithContext(x.req.Context())
		out.Body = x.replay(prefix, whole)
		if whole && holdsTrailer(x.req.Trailer) {
			place = "trailer"
		}
	}
	if place == "" {
		return out, nil
	}
	if singleAuthority(x.req, x.host) != "" || x.host == "" {
		return nil, refuse(ErrAuthority, place, "")
	}
	return nil, refuse(ErrDestination, place, "host is not listed")
}

// aboard names the place of a sealed value in the request's head, if any.
func (x *exchange) aboard() string {
	r := x.req
	if holds(r.Method) || holds(r.Host) {
		return "method"
	}
	if urlHolds(r.URL) {
		return "url"
	}
	for name, values := range r.Header {
		if holds(name) {
			return "header"
		}
		for _, v := range values {
			if holds(v) || basicHolds(v) {
				return "header:" + name
			}
		}
	}
	if holdsTrailer(r.Trailer) {
		return "trailer"
	}
	return ""
}

func urlHolds(u *url.URL) bool {
	if holds(u.Path) || holds(u.RawPath) || holds(u.RawQuery) || holds(u.Opaque) || holds(u.Host) {
		return true
	}
	if q, err := url.QueryUnescape(u.RawQuery); err == nil && holds(q) {
		return true
	}
	if o, err := url.PathUnescape(u.Opaque); err == nil && holds(o) {
		return true
	}
	if u.User == nil {
		return false
	}
	password, _ := u.User.Password()
	return holds(u.User.Username()) || holds(password)
}

func holdsTrailer(h http.Header) bool {
	for name, values := range h {
		if holds(name) {
			return true
		}
		for _, v := range values {
			if holds(v) {
				return true
			}
		}
	}
	return false
}

// open reveals a sealed value to the destination, if its label and the
// destination agree.
func (x *exchange) open(place, sealed string) (plain string, isJSON bool, err error) {
	return x.openBehind(place, "", sealed)
}

// openBehind is open with the plaintext behind before, in one string.
func (x *exchange) openBehind(place, before, sealed string) (text string, isJSON bool, err error) {
	if err := x.count(sealed); err != nil {
		return "", false, refuse(err, place, "too many sealed values")
	}
	opened, label, err := x.t.sealer.Open(x.req.Context(), sealed, tokenvault.Use{
		Host: x.host, Subject: x.subject, AllowPublic: x.dest.AllowPublic, Now: x.t.now(),
	})
	if err == nil && x.dest.RequireSubject && label.Subject == "" {
		err = tokenvault.ErrLabel
	}
	if err != nil {
		return "", false, &placeError{place, withoutValue(err)}
	}
	var joined strings.Builder // a concatenation would copy the plaintext twice
	joined.Grow(len(before) + len(opened))
	joined.WriteString(before)
	joined.Write(opened)
	text = joined.String()
	x.reveal(echo.Value{Plain: text[len(before):], Replace: sealed, JSON: label.JSON})
	if x.t.observe != nil {
		x.opened(place, sealed, label.Subject)
	}
	return text, label.JSON, nil
}

func (x *exchange) reveal(r echo.Value) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.revealed = append(x.revealed, r)
}

// opened reports a revealed value once the whole request is judged, or at once
// when it is on its way already.
func (x *exchange) opened(place, sealed, subject string) {
	h, _ := tokenvault.Inspect(sealed)
	e := Event{Kind: "open", Place: place, KeyID: h.KeyID, Subject: subject}
	x.mu.Lock()
	sending := x.sending
	if !sending {
		x.events = append(x.events, e)
	}
	x.mu.Unlock()
	if sending {
		x.observe(e)
	}
}

// count limits how many values one request may have opened.
func (x *exchange) count(sealed string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.values++; x.values > x.t.maxValues {
		return ErrTooLarge
	}
	if !x.dest.AllowPublic {
		return nil // a value of the public suite is refused before its costly part
	}
	if h, err := tokenvault.Inspect(sealed); err == nil && h.Algorithm == publicSuite {
		if x.public++; x.public > maxPublic {
			return ErrTooLarge
		}
	}
	return nil
}

const publicSuite = "ECDH-ES+A256KW"

// withoutValue keeps a foreign Sealer's error from quoting what it was given.
func withoutValue(err error) error {
	if s := sentinel(err); s != errOther && holdsPrefix(err.Error()) {
		return s
	}
	if holdsPrefix(err.Error()) {
		return errors.New("sealer failed")
	}
	return err
}

func holdsPrefix(s string) bool {
	start, _ := wire.Find([]byte(s))
	return start >= 0
}

// report tells Observe what is about to be revealed.
func (x *exchange) report() {
	x.mu.Lock()
	x.sending = true
	events := x.events
	x.mu.Unlock()
	for _, e := range events {
		x.observe(e)
	}
}

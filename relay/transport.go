package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// Config configures a Transport. Sealer and Destinations are required.
type Config struct {
	// Sealer opens and seals; a *tokenvault.Keyring.
	Sealer tokenvault.Sealer
	// Destinations may receive plaintext. The first that matches a request
	// decides.
	Destinations []Destination
	// Base makes the requests. Nil: http.DefaultTransport.
	Base http.RoundTripper
	// MaxBody is how many bytes of a request's body are judged whole before
	// anything is sent, and of an answer to be sealed before it is handed on.
	// Default 1 MiB.
	MaxBody int64
	// MaxValues is how many sealed values one request may hold. Default 1000; of
	// those sealed with a public key at most 32.
	MaxValues int
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Observe is told, before and after the request is made and on the goroutine
	// that makes it, of each value opened, sealed or refused. Nil costs nothing.
	Observe func(context.Context, Event)
}

const (
	defaultMaxBody   = 1 << 20
	defaultMaxValues = 1000
	maxPublic        = 32 // an ECDH agreement each: costly for the relay, free for who sends them
)

// A Transport opens sealed values in requests to its destinations and seals
// fields of what they answer. It is safe for concurrent use.
type Transport struct {
	sealer       tokenvault.Sealer
	destinations []*destination
	base         http.RoundTripper
	maxBody      int64
	maxValues    int
	now          func() time.Time
	observe      observer
}

// New checks c and returns its Transport. It does no I/O. Errors name the field
// of c, with its index.
func New(c Config) (*Transport, error) {
	t := &Transport{sealer: c.Sealer, base: c.Base, maxBody: c.MaxBody, maxValues: c.MaxValues, now: c.Now, observe: c.Observe}
	switch {
	case c.Sealer == nil:
		return nil, errors.New("relay: Config.Sealer: missing")
	case len(c.Destinations) == 0:
		return nil, errors.New("relay: Config.Destinations: none")
	case c.MaxBody < 0:
		return nil, errors.New("relay: Config.MaxBody: negative")
	case c.MaxValues < 0:
		return nil, errors.New("relay: Config.MaxValues: negative")
	}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if t.maxBody == 0 {
		t.maxBody = defaultMaxBody
	}
	if t.maxValues == 0 {
		t.maxValues = defaultMaxValues
	}
	if t.now == nil {
		t.now = time.Now
	}
	for i, d := range c.Destinations {
		checked, err := newDestination(d, t.maxBody)
		if err != nil {
			return nil, fmt.Errorf("relay: Config.Destinations[%d].%w", i, err)
		}
		t.destinations = append(t.destinations, checked)
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper. When it refuses a request, nothing
// has been sent and the body is closed; the error wraps one of this package's
// Err variables or of tokenvault's. Errors of Config.Base come without the
// credentials and URLs that they quote.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, subjectOf(req.Context()))
}

// CloseIdleConnections closes Base's, as http.Client.CloseIdleConnections asks.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *Transport) roundTrip(req *http.Request, subject string) (*http.Response, error) {
	x := &exchange{t: t, req: req, subject: subject, body: newOnceBody(req.Body)}
	if t.observe != nil {
		x.start = time.Now()
	}
	out, err := x.judge()
	if err != nil {
		x.body.Close()
		return nil, x.refused(err)
	}
	x.report()
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		err = x.rewriteError(err)
		x.sent(0, err)
		return nil, err
	}
	if x.dest == nil {
		resp.Request = req
		return resp, nil
	}
	if err := x.answer(resp); err != nil {
		return nil, x.refused(err)
	}
	x.sent(resp.StatusCode, nil)
	return resp, nil
}

// sent reports the end of the round trip.
func (x *exchange) sent(status int, err error) {
	if x.t.observe == nil || x.dest == nil {
		return
	}
	x.observe(Event{Kind: "send", Status: status, Duration: time.Since(x.start), Err: sentinel(err)})
}

// listed reports whether any destination has host, whatever its routes.
func (t *Transport) listed(host string) bool {
	for _, d := range t.destinations {
		if d.host.Match(host) {
			return true
		}
	}
	return false
}

// destination is the first whose host, method and path match.
func (t *Transport) destination(host, method string, u *url.URL) *destination {
	for _, d := range t.destinations {
		if d.host.Match(host) && d.allows(method, u) {
			return d
		}
	}
	return nil
}

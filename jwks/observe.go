package jwks

import (
	"context"
	"time"
)

// The kinds of [Event].
const (
	EventVerify = "verify" // a token was judged; Err says how
	EventFetch  = "fetch"  // an issuer's keys were fetched, or not; Err is then ErrUnavailable
	EventScope  = "scope"  // Require refused a valid token; Err is ErrScope
)

// An Event is one decision or fetch, for metrics, tracing and audit. It never
// carries a token or a key.
type Event struct {
	Kind     string        // EventVerify, EventFetch or EventScope
	Issuer   string        // the configured issuer; empty while it is unknown
	Host     string        // EventFetch: the host that was asked
	Duration time.Duration // of the decision or the fetch
	Cached   bool          // EventVerify: the token had been verified before
	Keys     int           // EventFetch: keys in use
	Skipped  int           // EventFetch: keys not understood, broken or not for signatures
	Detail   string        // EventFetch: a fixed phrase for what went wrong
	Err      error         // nil or one of the package's errors
}

type observer func(context.Context, Event)

func (o observer) verified(ctx context.Context, r verdict, err error, d time.Duration) {
	e := Event{Kind: EventVerify, Duration: d, Cached: r.cached, Err: sentinel(err)}
	if r.issuer != nil {
		e.Issuer = r.issuer.URL
	}
	o(ctx, e)
}

// fetched returns what reports the fetches of one issuer.
func (o observer) fetched(issuer string) func(fetched, error, time.Duration) {
	return func(got fetched, err error, d time.Duration) {
		e := Event{Kind: EventFetch, Issuer: issuer, Host: got.host, Duration: d, Err: sentinel(err)}
		if got.set != nil {
			e.Keys, e.Skipped = got.set.usable, len(got.set.skipped)
		}
		if err != nil {
			e.Detail = err.Error() // all of them are fixed phrases
		}
		o(context.Background(), e)
	}
}

package relay

import (
	"context"
	"time"
)

// An Event is one line of an audit log. It never holds a value.
type Event struct {
	// Kind is "open" (a value was revealed to Host), "refuse" (nothing was sent,
	// or an answer was withheld), "seal" (a field of an answer was sealed), "send"
	// (the round trip is over) or, from the sidecar, "call".
	Kind     string
	Host     string        // the authority of the request
	Place    string        // "header:Authorization", "json:$.password", …
	KeyID    string        // of the value that was opened or sealed
	Subject  string        // whose value, or whose request
	Caller   string        // the sidecar's caller
	Status   int           // of the answer, for "send" and "call"
	Duration time.Duration // of the round trip, for "send" and "call"
	Err      error         // a sentinel of this package, tokenvault or context
}

func (x *exchange) observe(e Event) {
	if x.t.observe == nil {
		return
	}
	e.Host = x.host
	if e.Subject == "" {
		e.Subject = x.subject
	}
	x.t.observe(x.req.Context(), e)
}

// refused reports err, once, on its way to the caller.
func (x *exchange) refused(err error) error {
	if x.t.observe != nil {
		x.observe(Event{Kind: "refuse", Place: placeOf(err), Err: sentinel(err)})
	}
	return err
}

func placeOf(err error) string {
	for e := err; e != nil; {
		if p, ok := e.(*placeError); ok {
			return p.place
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			return ""
		}
		e = u.Unwrap()
	}
	return ""
}

// Observer is called synchronously; see Config.Observe.
type observer = func(context.Context, Event)

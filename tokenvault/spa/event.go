package spa

import (
	"context"
	"time"
)

// Event is something worth counting or auditing. It carries no credential, no
// session id and no upstream body.
type Event struct {
	// Kind is one of "exchange", "attach", "refresh", "logout",
	// "backchannel-logout", "refused".
	Kind     string
	Host     string        // the upstream's, for "attach"
	Status   int           // as answered to the browser; 0 when it went away
	Duration time.Duration // of the whole request
	Reason   string        // for "refused": which rule, as Explain words it
	Err      error         // a sentinel of this package or of vault; nil: none
}

func (p *Proxy) observe(ctx context.Context, e Event) {
	if p.config.Observe != nil {
		p.config.Observe(ctx, e)
	}
}

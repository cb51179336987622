package vault

import (
	"context"
	"time"
)

// Event is what Config.Observe is told, for metrics, tracing and audit. It
// never carries a token. Kinds:
//
//	refresh     one attempt to renew a grant, with its outcome in Err
//	exchange    one authorization code redeemed, or not
//	revoke      one revocation at the authorization server, or the failure of it
//	scopes      the server granted a scope that was not requested
//	unsaved     a new token could not be saved yet and waits in memory
//	saved       such a token has been saved, or another generation has replaced it
//	revived     a late success brought back a grant that had been declared dead
//	unreadable  List met a grant that cannot be opened
type Event struct {
	Kind       string
	ID         string // of the grant
	Provider   string // its name
	Host       string // that was asked; empty when none was
	Generation int64  // of the grant as it was before
	Duration   time.Duration
	Err        error // a sentinel of this package, of tokenvault or of context, never wrapped
}

// observe tells Config.Observe, with Err reduced to its sentinel.
func (v *Vault) observe(ctx context.Context, e Event) {
	if v.events == nil {
		return
	}
	e.Err = sentinel(e.Err)
	v.events(ctx, e)
}

package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"
)

// The refresh of one generation, to be read beside RFC 6749 section 6 and the
// promise in the package comment:
//
//	look at the row      nextStep: use, wait, pause or take
//	take the lease       a swap, which proves that the store can be written
//	ask once             endpoint.go, with the outcome judged in answer.go
//	granted              save the next generation; rotation.go
//	invalidGrant         bury: dead, if still the holder of the same generation
//	refused              release, with a not-before that the fleet shares
//	unanswered           leave lease and intent: the next holder asks again

// step is what a row says to do about a generation that is no longer wanted.
type step int

const (
	use   step = iota // a later generation is there
	wait              // another holder is refreshing
	pause             // a failure's not-before has not passed
	take              // acquire the lease
)

// nextStep judges an active row by the store's clock.
func nextStep(row Row, stale int64) step {
	switch {
	case row.Generation > stale:
		return use
	case row.Holder != "" && row.LeaseUntil.After(row.Now):
		return wait
	case row.NotBefore.After(row.Now):
		return pause
	}
	return take
}

// refresh returns the grant in a generation after stale. ctx only lends its
// values. Every look at the row begins anew, also the last one, when time is up:
// a waiter never acts on what it saw before it waited.
func (v *Vault) refresh(ctx context.Context, id, owner string, stale int64) (*grant, error) {
	ctx, cancel := v.detached(ctx, 2*v.timing.Lease())
	defer cancel()
	for {
		began := time.Now()
		h, err := v.loadSoon(ctx, id, owner)
		if err != nil {
			return nil, err
		}
		todo := nextStep(h.row, stale)
		switch {
		case todo == use || h.grant.Generation > stale:
			return h.grant, nil
		case h.unsaved:
			return nil, unavailable("a new token waits to be saved", 0, nil)
		case !h.refreshable():
			return nil, fmt.Errorf("%w: there is no refresh token", ErrReauthorize)
		case todo == pause:
			return nil, unavailable("the authorization server is left alone after a failure", h.row.NotBefore.Sub(h.row.Now), nil)
		case ctx.Err() != nil:
			return nil, unavailable("another refresh is under way", h.row.LeaseUntil.Sub(h.row.Now), ctx.Err())
		case todo == wait:
			sleep(ctx, between(v.timing.PollMin, v.timing.PollMax))
		case todo == take:
			if g, err := v.attempt(ctx, began, h); !errors.Is(err, errLookAgain) {
				return g, err
			}
		}
	}
}

func (v *Vault) loadSoon(ctx context.Context, id, owner string) (held, error) {
	ctx, cancel := v.detached(ctx, v.timing.Save)
	defer cancel()
	return v.load(ctx, id, owner)
}

// attempt is one holder's work on one generation.
type attempt struct {
	held                 // row as it stands with the lease
	before Row           // as it was before
	began  time.Time     // before the row was read
	pause  time.Duration // before the next attempt, should this one fail
}

// errLookAgain means that someone else has written the row, which must tell
// what comes next.
var errLookAgain = fmt.Errorf("%w: the lease is lost", ErrUnavailable)

// attempt acquires the lease, asks once and settles what came of it.
func (v *Vault) attempt(ctx context.Context, began time.Time, h held) (*grant, error) {
	a := &attempt{held: h, before: h.row, began: began, pause: v.pauseAfter(h.row)}
	asking, cancel := context.WithDeadline(ctx, began.Add(v.timing.HTTP))
	defer cancel()
	if ok, err := v.acquire(asking, a); err != nil {
		return nil, v.unlessOvertaken(ctx, a, storeFailed("acquire the lease", err))
	} else if !ok {
		return nil, errLookAgain
	}
	o := v.ask(asking, a)
	saving, cancel := v.detached(ctx, v.timing.Save)
	defer cancel()
	g, err := v.settle(saving, a, o)
	if errors.Is(err, ErrUnavailable) {
		err = v.unlessOvertaken(ctx, a, err)
	}
	v.observe(ctx, Event{
		Kind: "refresh", ID: a.grant.ID, Provider: a.provider.name, Host: hostOf(a.provider.tokenURL),
		Generation: a.grant.Generation, Duration: time.Since(began), Err: err,
	})
	return g, err
}

// unlessOvertaken is failed, unless the row is no longer as a left it: a holder
// that was stopped for a while owes its callers what another has done meanwhile.
func (v *Vault) unlessOvertaken(ctx context.Context, a *attempt, failed error) error {
	ctx, cancel := v.detached(ctx, v.timing.Save)
	defer cancel()
	row, err := v.store.Get(ctx, a.row.ID)
	if err == nil && (row.Generation != a.row.Generation || row.State != Active || row.Holder != "" && row.Holder != a.row.Holder) {
		return errLookAgain
	}
	return failed
}

// acquire writes holder, lease and intent. After an unanswered attempt it also
// writes the pause that follows should this one stay unanswered too: no one may
// be left to write it then.
func (v *Vault) acquire(ctx context.Context, a *attempt) (bool, error) {
	row := a.before
	row.Holder, row.LeaseUntil = rand.Text(), row.Now.Add(v.timing.Lease())
	if row.Intent.IsZero() {
		row.Intent = row.Now
	} else {
		row.NotBefore = row.LeaseUntil.Add(a.pause)
	}
	ok, err := v.store.Swap(ctx, row)
	row.Revision++
	a.row = row
	return ok, err
}

// pauseAfter doubles the last pause, which stands in the row as the time from
// the end of the last lease to not-before.
func (v *Vault) pauseAfter(row Row) time.Duration {
	last := time.Duration(0)
	if !row.NotBefore.IsZero() {
		last = row.NotBefore.Sub(row.LeaseUntil)
	}
	d := min(max(2*last, v.timing.BackOffMin), v.timing.BackOffMax)
	return between(d, d+d/2)
}

// ask sends the refresh request (RFC 6749 section 6), or that for a
// client-credentials token (section 4.4), once.
func (v *Vault) ask(ctx context.Context, a *attempt) outcome {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.grant.Refresh}}
	if a.provider.clientCredentials {
		form = url.Values{"grant_type": {"client_credentials"}}
		if len(a.provider.scopes) > 0 {
			form.Set("scope", strings.Join(a.provider.scopes, " "))
		}
	}
	r, failed := a.provider.post(ctx, a.provider.tokenURL, form)
	o := judge(r, failed, v.now())
	if o.verdict == invalidGrant && a.provider.clientCredentials {
		o.verdict = refused // there is no grant that could be invalid
	}
	return o
}

func (v *Vault) settle(ctx context.Context, a *attempt, o outcome) (*grant, error) {
	switch o.verdict {
	case granted:
		n := a.grant.next(o.answer, v.now().Add(-time.Since(a.began)), a.provider)
		v.noteScopes(ctx, n, a.provider)
		return v.keep(ctx, &rotation{row: a.row, grant: n, provider: a.provider})
	case invalidGrant:
		return v.bury(ctx, a)
	case refused:
		pause := max(a.pause, between(o.after, o.after+o.after/10))
		v.release(ctx, a, pause)
		return nil, o.err(pause)
	default:
		until := a.row.LeaseUntil
		if a.row.NotBefore.After(until) {
			until = a.row.NotBefore
		}
		return nil, o.err(until.Sub(a.storeNow()))
	}
}

// storeNow is the store's clock, as far as it can be told without asking.
func (a *attempt) storeNow() time.Time { return a.before.Now.Add(time.Since(a.began)) }

// bury declares the grant dead, unless another generation has come or the
// lease has gone to someone who may be about to save one.
func (v *Vault) bury(ctx context.Context, a *attempt) (*grant, error) {
	for {
		row, err := v.store.Get(ctx, a.row.ID)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, errNoRow
		case err != nil:
			return nil, storeFailed("read the grant after invalid_grant", err)
		case row.Generation != a.row.Generation || row.Holder != a.row.Holder:
			return nil, errLookAgain
		case row.State == Revoked:
			return nil, v.finishRevoke(ctx, row, a.grant, a.provider)
		}
		row.State, row.Holder = Dead, ""
		row.LeaseUntil, row.Intent, row.NotBefore = time.Time{}, time.Time{}, time.Time{}
		ok, err := v.store.Swap(ctx, row)
		if err != nil {
			return nil, storeFailed("write after invalid_grant", err)
		}
		if ok {
			return nil, fmt.Errorf("%w: the authorization server answered invalid_grant", ErrReauthorize)
		}
	}
}

// release gives the lease back with a not-before, as long as it is ours to
// give. Failing is harmless: the lease lapses.
func (v *Vault) release(ctx context.Context, a *attempt, pause time.Duration) {
	for row := a.row; row.Holder == a.row.Holder && row.Generation == a.row.Generation; {
		if row.State == Revoked {
			_ = v.finishRevoke(ctx, row, a.grant, a.provider)
			return
		}
		row.Holder, row.Intent = "", a.before.Intent
		row.LeaseUntil = a.storeNow()
		row.NotBefore = row.LeaseUntil.Add(pause)
		ok, err := v.store.Swap(ctx, row)
		if ok || err != nil {
			return
		}
		if row, err = v.store.Get(ctx, a.row.ID); err != nil {
			return
		}
	}
}

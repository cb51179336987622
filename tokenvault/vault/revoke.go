package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"
)

// Revoke makes the grant unusable at once for the whole fleet, and then revokes
// its refresh and access token at the authorization server (RFC 7009). While a
// refresh is in flight it returns ErrRevokePending: its holder revokes what it
// is given. When the server cannot be asked it returns ErrUnavailable; the
// grant stays revoked here, and calling Revoke again completes it. Revoking
// what is revoked completely does nothing.
func (v *Vault) Revoke(ctx context.Context, id, owner string) error {
	if err := v.begin(); err != nil {
		return err
	}
	defer v.work.Done()
	row, err := v.entomb(ctx, id, owner)
	if err != nil {
		return err
	}
	if row.Holder != "" && row.LeaseUntil.After(row.Now) || v.waiting(id) != nil {
		return &retryError{ErrRevokePending, "a refresh is in flight", row.LeaseUntil.Sub(row.Now), nil}
	}
	g, err := v.open(ctx, row)
	if err != nil {
		return err
	}
	p, err := v.provider(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, v.timing.HTTP)
	defer cancel()
	return v.revokeAtServer(ctx, row, g, p)
}

// owned returns the row if it is owner's.
func (v *Vault) owned(ctx context.Context, id, owner string) (Row, error) {
	if err := checkKey(id, owner); err != nil {
		return Row{}, err
	}
	row, err := v.store.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Row{}, errNoRow
	case err != nil:
		return Row{}, storeFailed("read the grant", err)
	case row.Owner != owner:
		return Row{}, errOwner
	}
	return row, nil
}

// entomb writes the tombstone, which leaves the lease: its holder must still
// know itself.
func (v *Vault) entomb(ctx context.Context, id, owner string) (Row, error) {
	for {
		row, err := v.owned(ctx, id, owner)
		if err != nil || row.State == Revoked {
			return row, err
		}
		row.State = Revoked
		ok, err := v.store.Swap(ctx, row)
		if err != nil {
			return Row{}, storeFailed("write the revocation", err)
		}
		if ok {
			row.Revision++
			return row, nil
		}
	}
}

// finishRevoke is how a refresh ends whose grant was revoked meanwhile.
func (v *Vault) finishRevoke(ctx context.Context, row Row, g *grant, p *provider) error {
	_ = v.revokeAtServer(ctx, row, g, p) // its failure is an event, and Revoke can be called again
	return fmt.Errorf("%w: the grant was revoked", ErrReauthorize)
}

// revokeAtServer revokes the tokens of g and, once that is done, wipes them
// from the tombstone row.
func (v *Vault) revokeAtServer(ctx context.Context, row Row, g *grant, p *provider) error {
	if !g.hasTokens() {
		return nil
	}
	if err := v.revokeTokens(ctx, g, p); err != nil {
		return err
	}
	blob, err := v.seal(ctx, g.withoutTokens())
	if err != nil {
		return err
	}
	row.Blob, row.Holder = blob, ""
	row.LeaseUntil, row.Intent, row.NotBefore = time.Time{}, time.Time{}, time.Time{}
	// A lost swap leaves tokens that are of no use any more.
	if _, err := v.store.Swap(ctx, row); err != nil {
		return storeFailed("write the completed revocation", err)
	}
	return nil
}

// revokeTokens asks the server to revoke the refresh token and then, whatever
// came of it, the access token.
func (v *Vault) revokeTokens(ctx context.Context, g *grant, p *provider) error {
	if p.revocationURL == "" {
		return nil
	}
	began := time.Now()
	err := v.revokeToken(ctx, p, "refresh_token", g.Refresh)
	if errAccess := v.revokeToken(ctx, p, "access_token", g.Access); err == nil {
		err = errAccess
	}
	v.observe(ctx, Event{
		Kind: "revoke", ID: g.ID, Provider: p.name, Host: hostOf(p.revocationURL),
		Generation: g.Generation, Duration: time.Since(began), Err: err,
	})
	return err
}

// revokeToken makes one request of RFC 7009 section 2.1. A token that the
// server does not know is answered with 200.
func (v *Vault) revokeToken(ctx context.Context, p *provider, kind, token string) error {
	if token == "" {
		return nil
	}
	r, failed := p.post(ctx, p.revocationURL, url.Values{"token": {token}, "token_type_hint": {kind}})
	switch {
	case failed != nil:
		return unavailable(failed.reason, 0, failed.cause)
	case r.status >= 200 && r.status < 300:
		return nil
	}
	o := judge(r, nil, v.now())
	if a, ok := parseAnswer(r); ok && a.Error == "unsupported_token_type" && kind == "access_token" {
		return nil // section 2.2.1: it lives out its time
	}
	return o.err(o.after)
}

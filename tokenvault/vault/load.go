package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// held is a grant that may be used, with the row it came from.
type held struct {
	row      Row
	grant    *grant
	provider *provider
	unsaved  bool // grant is newer than row: its saving is under way in this process
}

// fresh returns a grant whose access token is good to use now.
func (v *Vault) fresh(ctx context.Context, id, owner string) (*grant, *provider, error) {
	h, err := v.load(ctx, id, owner)
	if err != nil {
		return nil, nil, err
	}
	g, now := h.grant, v.now()
	switch {
	case g.expiredAt(now):
		if g, err = v.renewed(ctx, id, owner, g.Generation); err != nil {
			return nil, nil, err
		}
	case g.dueAt(now, v.refreshBefore) && !h.unsaved && h.refreshable() && nextStep(h.row, g.Generation) == take:
		_, _ = v.join(ctx, id, owner, g.Generation) // behind the caller; a vault that is closed only reads
	}
	if err := h.provider.accepts(g); err != nil {
		return nil, nil, err
	}
	return g, h.provider, nil
}

func (h held) refreshable() bool { return h.grant.Refresh != "" || h.provider.clientCredentials }

// accepts judges what the server granted, each time it is used: a refresh
// answer that must not be used is saved all the same, because the refresh token
// it replaces is gone.
func (p *provider) accepts(g *grant) error {
	switch {
	case g.TokenType != "" && !strings.EqualFold(g.TokenType, "bearer"): // RFC 6749 section 7.1
		return errors.New("vault: the access token is not of type Bearer")
	case !visible(g.Access): // section A.12, less the space
		return errors.New("vault: the access token holds what no header may")
	case p.strictScopes && g.excess(p):
		return errors.New("vault: the grant holds scopes that were not requested")
	}
	return nil
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// load reads the grant anew: a cached one would outlive its revocation.
func (v *Vault) load(ctx context.Context, id, owner string) (held, error) {
	if err := checkKey(id, owner); err != nil {
		return held{}, err
	}
	waiting := v.waiting(id) // before the row, so that what is saved meanwhile is seen in the row
	row, err := v.store.Get(ctx, id)
	if p := v.providers[id]; errors.Is(err, fs.ErrNotExist) && p != nil && p.clientCredentials {
		row, err = v.createRow(ctx, newGrant(id, owner, p), p)
	}
	switch {
	case err != nil && waiting != nil && waiting.grant.Owner == owner:
		return held{waiting.row, waiting.grant, waiting.provider, true}, nil
	case errors.Is(err, fs.ErrNotExist):
		return held{}, errNoRow
	case err != nil:
		return held{}, storeFailed("read the grant", err)
	case row.Owner != owner:
		return held{}, errOwner
	case row.State != Revoked && waiting != nil && waiting.grant.Generation > row.Generation:
		return held{row, waiting.grant, waiting.provider, true}, nil
	}
	return v.usable(ctx, row)
}

// usable opens an active row.
func (v *Vault) usable(ctx context.Context, row Row) (held, error) {
	switch row.State {
	case Active:
	case Dead, Revoked:
		return held{}, fmt.Errorf("%w: the grant is %s", ErrReauthorize, row.State)
	default:
		return held{}, errors.New("vault: the row's state was written by a newer version of this package")
	}
	g, err := v.open(ctx, row)
	if err != nil {
		return held{}, err
	}
	p, err := v.provider(g)
	if err != nil {
		return held{}, err
	}
	if !p.clientCredentials && !g.Expires.IsZero() && !v.now().Before(g.Expires) {
		return held{}, fmt.Errorf("%w: the grant is past its lifetime", ErrReauthorize)
	}
	return held{row: row, grant: g, provider: p}, nil
}

// createRow makes the row of a client-credentials grant, which holds no token
// yet. Whoever made it first, the row there is returned.
func (v *Vault) createRow(ctx context.Context, g *grant, p *provider) (Row, error) {
	g.extend(v.now(), 0, p.lifetime)
	blob, err := v.seal(ctx, g)
	if err != nil {
		return Row{}, err
	}
	if _, err := v.store.Swap(ctx, g.row(Row{}, Active, blob)); err != nil {
		return Row{}, err
	}
	return v.store.Get(ctx, g.ID)
}

package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// rotation is a new generation on its way into the store. Until it is there,
// this process alone knows its tokens.
type rotation struct {
	row      Row    // what it is to replace, as last seen
	grant    *grant // the new one
	provider *provider
	blob     string // grant, once sealed
}

// keep saves r. If the store cannot be written in time, r stays in memory,
// serves this process and is tried again until it is saved or Close gives up.
func (v *Vault) keep(ctx context.Context, r *rotation) (*grant, error) {
	g, err := v.save(ctx, r)
	for n := range 3 {
		if !errors.Is(err, errUnsaved) || !sleep(ctx, between(0, 50*time.Millisecond<<n)) {
			break
		}
		g, err = v.save(ctx, r)
	}
	if !errors.Is(err, errUnsaved) {
		return g, err
	}
	v.mu.Lock()
	v.unsaved[r.grant.ID] = r
	v.work.Add(1) // the flight's own count keeps this from being the first
	v.mu.Unlock()
	v.observe(ctx, Event{Kind: "unsaved", ID: r.grant.ID, Provider: r.provider.name, Generation: r.row.Generation, Err: err})
	go v.keepTrying(context.WithoutCancel(ctx), &rotation{r.row, r.grant, r.provider, r.blob})
	return r.grant, nil
}

// keepTrying works on a copy: load reads the one in v.unsaved.
func (v *Vault) keepTrying(ctx context.Context, r *rotation) {
	defer v.work.Done()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if !sleep(v.root, between(pause/2, pause)) {
			return
		}
		try, cancel := v.detached(ctx, v.timing.Save)
		_, err := v.save(try, r)
		cancel()
		if errors.Is(err, errUnsaved) {
			continue
		}
		v.mu.Lock()
		delete(v.unsaved, r.grant.ID)
		v.mu.Unlock()
		v.observe(ctx, Event{Kind: "saved", ID: r.grant.ID, Provider: r.provider.name, Generation: r.grant.Generation, Err: err})
		return
	}
}

// waiting returns the rotation of the row id that has not been saved.
func (v *Vault) waiting(id string) *rotation {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.unsaved[id]
}

func (v *Vault) countUnsaved() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.unsaved)
}

// errUnsaved means that save must be tried again.
var errUnsaved = fmt.Errorf("%w: a new token could not be saved", ErrUnavailable)

// save writes r over its row. A lost swap decides nothing: the same generation
// is still ours to replace, whoever holds the lease by now, because the tokens
// in hand are later than those in the row.
func (v *Vault) save(ctx context.Context, r *rotation) (*grant, error) {
	if r.blob == "" {
		blob, err := v.seal(ctx, r.grant)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnsaved, err)
		}
		r.blob = blob
	}
	for {
		state := Active
		if r.row.State == Revoked {
			state = Revoked // with the new tokens, so that they can be revoked later too
		}
		ok, errSwap := v.store.Swap(ctx, r.grant.row(r.row, state, r.blob))
		if ok {
			return v.saved(ctx, r, state)
		}
		row, err := v.store.Get(ctx, r.grant.ID)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			row = Row{Generation: r.grant.Generation - 1}
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errUnsaved, err)
		case row.Blob == r.blob: // it was written, though Swap could not tell
			r.row = row
			r.row.Revision--
			return v.saved(ctx, r, row.State)
		case row.Owner != r.grant.Owner:
			return nil, errOwner
		case row.Generation != r.grant.Generation-1:
			h, err := v.usable(ctx, row)
			return h.grant, err
		}
		r.row = row
		if errSwap != nil {
			return nil, fmt.Errorf("%w: %w", errUnsaved, errSwap)
		}
	}
}

// saved finishes a save that was written with the given state.
func (v *Vault) saved(ctx context.Context, r *rotation, state State) (*grant, error) {
	if state == Revoked {
		row := r.grant.row(r.row, Revoked, r.blob)
		row.Revision++
		return nil, v.finishRevoke(ctx, row, r.grant, r.provider)
	}
	if r.row.State == Dead {
		v.observe(ctx, Event{Kind: "revived", ID: r.grant.ID, Provider: r.provider.name, Generation: r.grant.Generation - 1})
	}
	return r.grant, nil
}

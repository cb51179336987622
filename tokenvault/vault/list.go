package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

// Entry is what List tells of a grant.
type Entry struct {
	ID            string
	Provider      string    // its name; empty for a grant that cannot be opened
	Scopes        []string  // granted; nil for a grant that cannot be opened
	AccessExpires time.Time // of the access token; zero: the server did not say
	Expires       time.Time // of the grant: the store may remove the row after it
	State         State     // Active, Dead or Revoked
}

const pageSize = 500

// List returns the grants of owner in ascending order of their ids, dead and
// revoked ones included, and never a token. A grant that cannot be opened, with
// a retired key for instance, does not keep the others from being listed: it
// comes without Provider and Scopes, and as an Event. A store that fails is
// ErrUnavailable.
func (v *Vault) List(ctx context.Context, owner string) ([]Entry, error) {
	if owner == "" || !validName(owner) {
		return nil, errors.New("vault: owner: empty, longer than 512 bytes, or not UTF-8 without NUL")
	}
	var entries []Entry
	err := v.pages(ctx, owner, func(rows []Row) error {
		for _, row := range rows {
			entries = append(entries, v.entry(ctx, row))
		}
		return nil
	})
	return entries, err
}

func (v *Vault) entry(ctx context.Context, row Row) Entry {
	e := Entry{ID: row.ID, AccessExpires: row.AccessExpires, Expires: row.Expires, State: row.State}
	g, err := v.open(ctx, row)
	if err != nil {
		v.observe(ctx, Event{Kind: "unreadable", ID: row.ID, Generation: row.Generation, Err: err})
		return e
	}
	e.Provider, e.Scopes = g.Provider, g.Scopes
	return e
}

// pages calls f with every page of owner's rows.
func (v *Vault) pages(ctx context.Context, owner string, f func([]Row) error) error {
	for after := ""; ; {
		rows, err := v.store.List(ctx, owner, after, pageSize)
		if err != nil {
			return storeFailed("list the grants", err)
		}
		if err := f(rows); err != nil || len(rows) < pageSize {
			return err
		}
		after = rows[len(rows)-1].ID
	}
}

// resealers is how many rows Reseal writes at a time.
const resealers = 8

// Reseal seals every grant of the store anew under the Sealer's first key. It
// is for after a key rotation: when it has returned nil the old key can be
// dropped. It may run while grants are refreshed, leaves their generation and
// lease alone, and goes over what is done already when it is called again after
// an interruption. progress, which may be nil, is called after each page. A row
// that cannot be resealed does not stop the others; the error counts such rows
// and wraps the first one's, of package tokenvault. A store that fails is
// ErrUnavailable.
func (v *Vault) Reseal(ctx context.Context, progress func(done, total int)) error {
	total := 0
	if progress != nil {
		err := v.pages(ctx, "", func(rows []Row) error { total += len(rows); return nil })
		if err != nil {
			return err
		}
	}
	var left resealErrors
	done := 0
	err := v.pages(ctx, "", func(rows []Row) error {
		if err := v.resealPage(ctx, rows, &left); err != nil {
			return err
		}
		done += len(rows)
		if progress != nil {
			progress(done, max(done, total))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return left.err(done)
}

// resealErrors counts rows that could not be resealed.
type resealErrors struct {
	mu    sync.Mutex
	n     int
	first error
}

func (e *resealErrors) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n++; e.first == nil {
		e.first = err
	}
}

func (e *resealErrors) err(total int) error {
	if e.n == 0 {
		return nil
	}
	return fmt.Errorf("vault: %d of %d grants could not be resealed; the first: %w", e.n, total, e.first)
}

// resealPage returns the first failure of the store, which ends the work.
func (v *Vault) resealPage(ctx context.Context, rows []Row, left *resealErrors) error {
	var wg sync.WaitGroup
	var at atomic.Int64
	failed := make([]error, min(resealers, len(rows)))
	for n := range failed {
		wg.Go(func() {
			for failed[n] == nil {
				i := int(at.Add(1)) - 1
				if i >= len(rows) {
					return
				}
				failed[n] = v.resealRow(ctx, rows[i], left)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// resealRow returns the failure of the store. A lost swap means that a refresh
// wrote the row, whose tokens must win: the row is read again.
func (v *Vault) resealRow(ctx context.Context, row Row, left *resealErrors) error {
	for {
		blob, changed, err := v.sealer.Reseal(ctx, row.Blob)
		if err != nil {
			left.add(fmt.Errorf("vault: reseal: %w", err))
			return nil
		}
		if !changed {
			return nil
		}
		row.Blob = blob
		ok, err := v.store.Swap(ctx, row)
		if err == nil && ok {
			return nil
		}
		if err == nil {
			row, err = v.store.Get(ctx, row.ID)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return storeFailed("reseal", err)
		}
	}
}

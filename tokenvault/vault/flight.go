package vault

import (
	"context"
	"crypto/rand"
	"math/big"
	"time"
)

// flight is the one refresh of a row that this process makes at a time.
type flight struct {
	done  chan struct{}
	grant *grant // once done, unless err
	err   error
}

// renewed waits for a generation after stale, on the caller's own ctx.
func (v *Vault) renewed(ctx context.Context, id, owner string, stale int64) (*grant, error) {
	for {
		f, err := v.join(ctx, id, owner, stale)
		if err != nil {
			return nil, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, unavailable("the caller's time was up before the refresh ended", 0, ctx.Err())
		}
		// A flight that had already saved stale when it was joined satisfies
		// only those who came before.
		if f.err != nil || f.grant.Generation > stale {
			return f.grant, f.err
		}
	}
}

// join returns the flight of the row id, which it starts if there is none.
func (v *Vault) join(ctx context.Context, id, owner string, stale int64) (*flight, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f := v.flights[id]; f != nil {
		return f, nil
	}
	if v.closed {
		return nil, unavailable("the vault is closed", 0, errClosed)
	}
	f := &flight{done: make(chan struct{})}
	v.flights[id] = f
	v.work.Add(1)
	go func() {
		defer v.work.Done()
		f.grant, f.err = v.refresh(ctx, id, owner, stale)
		v.mu.Lock()
		delete(v.flights, id)
		v.mu.Unlock()
		close(f.done)
	}()
	return f, nil
}

// sleep waits for d and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// between returns a random duration from low to high.
func between(low, high time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(max(high-low, 0))+1))
	if err != nil {
		return high
	}
	return low + time.Duration(n.Int64())
}

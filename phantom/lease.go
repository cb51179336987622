package phantom

import (
	"context"
	"time"
)

// A lease is this process's right to be the one in the fleet that asks about a
// token. It is advisory: if the cache fails or the holder takes too long, the
// others ask as well.
type lease struct {
	tier  *sharedTier
	keys  *sharedKeys // nil when the shared tier is out of use for this exchange
	token string
	lock  string    // name of the lock we hold, or empty
	until time.Time // after which the lock may be another's
}

// Polling intervals while another process asks.
const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 50 * time.Millisecond
)

// acquire returns either an answer from the shared tier or a lease. It waits for
// another process's answer at most half of Timeout.
func (s *sharedTier) acquire(ctx context.Context, token string, newerThan int64) (*record, *lease) {
	none := &lease{tier: s, token: token}
	keys, err := s.names(ctx)
	if err != nil {
		return nil, none // asking the server will fail in the same way, and say so
	}
	patience := time.NewTimer(s.cfg.Timeout / 2)
	defer patience.Stop()
	lock := keys.lock.name(lockPrefix, token)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		found, err := s.find(ctx, keys, token, newerThan)
		if found != nil || err != nil {
			return found, none
		}
		until := time.Now().Add(s.cfg.Timeout)
		locked, err := s.add(ctx, lock, s.cfg.Timeout)
		if err != nil {
			return nil, none
		}
		if locked {
			return s.recheck(ctx, &lease{tier: s, keys: keys, token: token, lock: lock, until: until}, newerThan)
		}
		select {
		case <-time.After(pause):
		case <-patience.C:
			return nil, &lease{tier: s, keys: keys, token: token}
		case <-ctx.Done():
			return nil, none
		}
	}
}

// recheck looks again now that we hold the lock: its last holder may have stored
// an answer between our look and its release.
func (s *sharedTier) recheck(ctx context.Context, l *lease, newerThan int64) (*record, *lease) {
	found, err := s.find(ctx, l.keys, l.token, newerThan)
	if found != nil {
		l.release(ctx)
		return found, l
	}
	if err != nil {
		l.keys = nil
	}
	return nil, l
}

// put stores the answer for the others. Once the cache has failed, this exchange
// leaves it alone.
func (l *lease) put(ctx context.Context, e *entry) {
	if l.keys != nil && l.tier.put(ctx, l.keys, l.token, e) != nil {
		l.keys = nil
	}
}

// drop removes what put stored.
func (l *lease) drop(ctx context.Context) {
	if l.keys != nil {
		_ = l.tier.set(ctx, l.keys.answer.name(answerPrefix, l.token), nil, 0)
	}
}

// release gives the lock back unless it has run out and may be another's.
func (l *lease) release(ctx context.Context) {
	if l.lock != "" && l.keys != nil && time.Now().Before(l.until) {
		_ = l.tier.set(context.WithoutCancel(ctx), l.lock, nil, 0)
	}
	l.lock = ""
}

package jwks

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout  = 5 * time.Second        // one fetch, discovery included
	patience      = 100 * time.Millisecond // see snapshot and doc.go, "frozen processes"
	firstRetry    = 500 * time.Millisecond // after a failure; doubles, with jitter
	lastRetry     = time.Minute
	maxMissedKids = 1024
)

var (
	errUnfit   = refuse(ErrUnknownKey, "no key of this kid is for this algorithm, or without kid not just one")
	errLookup  = refuse(ErrUnknownKey, "not in the issuer's current set")
	errBackoff = refuse(ErrUnavailable, "the last fetch failed")
	errBusy    = refuse(ErrUnavailable, "too many unknown keys lately to look this one up")
	errClosed  = refuse(ErrUnavailable, "the verifier is closed")
	errEmpty   = refuse(ErrUnavailable, "the set has no usable key")
)

// source keeps the keys of one issuer. Verifications read an atomic snapshot;
// the lock is for those who must start or join a fetch.
type source struct {
	fetch  func(context.Context) (fetched, error) // nil: the keys are static
	fresh  Refresh
	now    func() time.Time
	report func(fetched, error, time.Duration) // nil: nobody listens

	ctx    context.Context // of all fetches; ends with cancel
	cancel context.CancelFunc
	flying sync.WaitGroup
	seed   maphash.Seed

	current atomic.Pointer[snapshot]
	due     atomic.Int64           // when to renew, in Unix milliseconds; while that happens, never
	flight  atomic.Pointer[flight] // the one fetch in progress; changed under mu

	mu        sync.Mutex
	flights   uint64 // how many there have been
	failures  int    // in a row
	retry     time.Time
	allowance time.Time            // see allow
	missed    map[uint64]time.Time // kids looked up in vain, until when to believe it
	timer     *time.Timer
	closed    bool
}

// snapshot is a set and how long it is good. From renew on it is renewed in the
// background; from expire on a verification waits for a renewal that has just
// begun, but not long and not if the one before failed; from stale on it is
// not used.
type snapshot struct {
	set                  *keySet
	generation           uint64 // the same as long as the set is
	renew, expire, stale time.Time
}

// fetched is what one fetch has brought.
type fetched struct {
	set      *keySet
	lifetime time.Duration
	host     string
}

// flight is one fetch, shared by all who wait for it.
type flight struct {
	begun   time.Time
	healthy bool            // the fetch before it did not fail
	young   context.Context // ends after patience
	done    chan struct{}
	err     error // valid when done
}

func newSource(fresh Refresh, now func() time.Time) *source {
	s := &source{fresh: fresh, now: now, seed: maphash.MakeSeed(), missed: map[uint64]time.Time{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// pin makes set the source's only answer, for ever.
func (s *source) pin(set *keySet) {
	never := time.Unix(math.MaxInt32*1000, 0)
	s.current.Store(&snapshot{set: set, renew: never, expire: never, stale: never})
	s.due.Store(math.MaxInt64)
}

// keys returns the keys to verify with at the time now; nil if there are none.
func (s *source) keys(ctx context.Context, now time.Time) *snapshot {
	snap := s.current.Load()
	if snap == nil {
		return nil
	}
	if now.UnixMilli() >= s.due.Load() {
		s.renewNow(now)
	}
	if !now.Before(snap.expire) {
		s.bePatient(ctx)
		snap = s.current.Load()
	}
	if !now.Before(snap.stale) {
		return nil
	}
	return snap
}

func (s *source) renewNow(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight.Load() == nil && !s.closed && now.UnixMilli() >= s.due.Load() {
		s.start(now)
	}
}

// bePatient gives a renewal that began after the keys had expired the chance to
// remove one. In an outage nobody waits.
func (s *source) bePatient(ctx context.Context) {
	f := s.flight.Load()
	if f == nil || !f.healthy {
		return
	}
	select {
	case <-f.done:
	case <-f.young.Done():
	case <-ctx.Done():
	}
}

// A query finds the keys for one token in a set; known as in keySet.find.
type query func(*keySet) (keys []crypto.PublicKey, known bool)

// lookup returns the keys that q wants, fetching the set if it must: when there
// is none, or when it does not know the kid that name stands for.
func (s *source) lookup(ctx context.Context, name string, q query) ([]crypto.PublicKey, *snapshot, error) {
	if snap := s.keys(ctx, s.now()); snap != nil {
		keys, known := q(snap.set)
		switch {
		case len(keys) > 0:
			return keys, snap, nil
		case known:
			return nil, nil, errUnfit
		case s.fetch == nil:
			return nil, nil, errLookup
		}
	}
	id := maphash.String(s.seed, name)
	s.mu.Lock()
	arrival := s.flights
	s.mu.Unlock()
	for {
		f, keys, snap, err := s.join(id, q, arrival)
		if f == nil {
			return keys, snap, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, nil, &unavailable{cause: context.Cause(ctx)}
		}
		if f.err != nil {
			return nil, nil, f.err
		}
	}
}

// join answers the query from the current set, or returns the flight that will
// bring the answer. Only a fetch that began after the query's arrival proves
// that a kid is unknown.
func (s *source) join(id uint64, q query, arrival uint64) (*flight, []crypto.PublicKey, *snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	snap := s.current.Load()
	usable := snap != nil && now.Before(snap.stale)
	if usable {
		keys, known := q(snap.set)
		if len(keys) > 0 {
			return nil, keys, snap, nil
		}
		if known {
			return nil, nil, nil, errUnfit
		}
		if now.Before(s.missed[id]) {
			return nil, nil, nil, errLookup
		}
	}
	if f := s.flight.Load(); f != nil {
		return f, nil, nil, nil
	}
	switch {
	case s.closed:
		return nil, nil, nil, &unavailable{cause: errClosed}
	case now.Before(s.retry):
		return nil, nil, nil, &unavailable{after: s.retry.Sub(now), cause: errBackoff}
	case usable && s.flights > arrival:
		s.miss(id, now)
		return nil, nil, nil, errLookup
	case usable:
		if wait := s.allow(now); wait > 0 {
			return nil, nil, nil, &unavailable{after: wait, cause: errBusy}
		}
	}
	return s.start(now), nil, nil, nil
}

// allow takes one fetch for an unknown kid from the allowance, two at once and
// then one per Cooldown, or tells how long to wait for it.
func (s *source) allow(now time.Time) (wait time.Duration) {
	if s.allowance.Before(now) {
		s.allowance = now
	}
	if wait = s.allowance.Sub(now) - s.fresh.Cooldown; wait > 0 {
		return wait
	}
	s.allowance = s.allowance.Add(s.fresh.Cooldown)
	return 0
}

// miss remembers for a Cooldown that a kid is unknown. Not longer: the issuer
// may publish the key after its first token.
func (s *source) miss(id uint64, now time.Time) {
	if len(s.missed) >= maxMissedKids {
		maps.DeleteFunc(s.missed, func(_ uint64, until time.Time) bool { return !now.Before(until) })
	}
	if len(s.missed) < maxMissedKids {
		s.missed[id] = now.Add(s.fresh.Cooldown)
	}
}

// start begins a fetch, on a context that is nobody's but the source's.
func (s *source) start(now time.Time) *flight {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.flights++
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	young, old := context.WithTimeout(ctx, patience)
	f := &flight{begun: now, healthy: s.failures == 0, young: young, done: make(chan struct{})}
	s.flight.Store(f)
	s.due.Store(math.MaxInt64)
	s.flying.Go(func() {
		defer cancel()
		defer old()
		began := time.Now()
		got, err := s.fetch(ctx)
		if err == nil && got.set.usable == 0 {
			err = errEmpty
		}
		took := time.Since(began)
		s.land(f, got, err)
		if s.report != nil {
			s.report(got, err, took)
		}
	})
	return f
}

func (s *source) land(f *flight, got fetched, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	if err != nil {
		s.failures++
		wait := backoff(s.failures)
		s.retry = s.now().Add(wait)
		f.err = &unavailable{after: wait, cause: err}
		next = s.retry
	} else {
		s.failures, s.retry = 0, time.Time{}
		next = s.replace(got, f.begun).renew
	}
	s.due.Store(next.UnixMilli())
	if !s.closed {
		s.timer = time.AfterFunc(next.Sub(s.now()), s.wake)
	}
	s.flight.Store(nil)
	close(f.done)
}

// wake renews although nobody asks, so that keys are removed in time.
func (s *source) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight.Load() == nil && !s.closed {
		s.start(s.now())
	}
}

// replace installs what was fetched at the time now.
func (s *source) replace(got fetched, now time.Time) *snapshot {
	age := min(max(got.lifetime, s.fresh.MinAge), s.fresh.MaxAge)
	snap := &snapshot{
		set:    got.set,
		renew:  now.Add(age - time.Duration(s.fresh.Ahead*float64(age))),
		expire: now.Add(age),
		stale:  now.Add(s.fresh.MaxStale),
	}
	switch old := s.current.Load(); {
	case old == nil:
	case old.set.print == got.set.print:
		snap.set, snap.generation = old.set, old.generation
	default:
		snap.generation = old.generation + 1
		clear(s.missed)
	}
	s.current.Store(snap)
	return snap
}

func backoff(failures int) time.Duration {
	d := min(firstRetry<<min(failures-1, 16), lastRetry)
	var jitter [8]byte
	rand.Read(jitter[:]) // never fails
	return d/2 + time.Duration(binary.NativeEndian.Uint64(jitter[:])%uint64(d/2))
}

// close ends the source's fetch and timer, and waits until they are gone.
func (s *source) close() {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.cancel()
	s.flying.Wait()
}

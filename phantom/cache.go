package phantom

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// An entry is an answer in the first tier. All but its counters is immutable.
type entry struct {
	grant   *grant
	refusal error // Config.Audience and Config.Scopes do not let it pass
	times
	hits      atomic.Uint32
	refreshed atomic.Bool
}

// times are Unix nanoseconds of Config.Now.
type times struct {
	born     int64 // when the server was asked
	deadline int64 // not used from then on
	stale    int64 // nor from then on in an outage; never before deadline
	ahead    int64 // from then on a hot entry is asked for again
}

// hotHits is how often an entry must have been used to be refreshed ahead.
const hotHits = 16

// touch counts a use, and reports whether it is the one that should refresh the
// entry. It stops writing once the entry is hot, so that cores do not contend.
func (e *entry) touch(now int64) bool {
	if e.hits.Load() < hotHits {
		e.hits.Add(1)
		return false
	}
	return now >= e.ahead && !e.refreshed.Load() && e.refreshed.CompareAndSwap(false, true)
}

// The firstTier is this process's own memory: answers, and the tokens known to be
// inactive in a small cache of their own, where a flood of them displaces no
// answer. The caches' own expiry only frees memory; what counts is the deadline
// in the entry, by Config.Now.
type firstTier struct {
	answers  *otter.Cache[cacheKey, *entry]
	inactive *otter.Cache[cacheKey, int64]
	now      func() time.Time
}

// maxInactive bounds the memory of inactive tokens: under a megabyte and a half.
const maxInactive = 8192

func newFirstTier(size int, now func() time.Time) (*firstTier, error) {
	t := &firstTier{now: now}
	answers, err := otter.New(&otter.Options[cacheKey, *entry]{
		MaximumSize: size,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[cacheKey, *entry]) time.Duration {
			return t.until(e.Value.stale)
		}),
	})
	if err != nil {
		return nil, err
	}
	inactive, err := otter.New(&otter.Options[cacheKey, int64]{
		MaximumSize: min(size, maxInactive),
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[cacheKey, int64]) time.Duration {
			return t.until(e.Value)
		}),
	})
	if err != nil {
		return nil, err
	}
	t.answers, t.inactive = answers, inactive
	return t, nil
}

func (t *firstTier) until(nanos int64) time.Duration {
	return max(1, time.Duration(nanos-t.now().UnixNano()))
}

// get returns the entry even when its deadline has passed: it may be stale.
func (t *firstTier) get(key cacheKey) *entry {
	e, _ := t.answers.GetIfPresent(key)
	return e
}

func (t *firstTier) put(key cacheKey, e *entry) {
	t.inactive.Invalidate(key)
	t.answers.Set(key, e)
}

// refuse remembers that the token is inactive until then.
func (t *firstTier) refuse(key cacheKey, until time.Time) {
	t.answers.Invalidate(key)
	t.inactive.Set(key, until.UnixNano())
}

func (t *firstTier) refused(key cacheKey, now int64) bool {
	until, ok := t.inactive.GetIfPresent(key)
	return ok && now < until
}

func (t *firstTier) remove(key cacheKey) {
	t.answers.Invalidate(key)
	t.inactive.Invalidate(key)
}

// removeSubject walks all entries: rare, and cheaper than an index.
func (t *firstTier) removeSubject(subject string) {
	for key, e := range t.answers.All() {
		if e.grant.subject == subject {
			t.answers.Invalidate(key)
		}
	}
}

// close ends the caches' goroutines.
func (t *firstTier) close() {
	t.answers.StopAllGoroutines()
	t.inactive.StopAllGoroutines()
	t.answers.InvalidateAll()
	t.inactive.InvalidateAll()
}

package phantom

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A flight is one exchange under way that any number of callers wait for. It
// runs on a goroutine of its own, so that no caller's leaving ends it.
type flight struct {
	ctx   context.Context // bounds the flight; ended after done is closed
	done  chan struct{}
	entry *entry // once done is closed, or err
	err   error
	void  bool // evicted meanwhile: not to be stored; guarded by flights.mu
}

// A job is what a flight does.
type job func(ctx context.Context, fl *flight) (*entry, error)

// flights are the exchanges under way, one a token, max in all.
type flights struct {
	max     int
	timeout time.Duration
	life    context.Context // ended by close
	end     context.CancelFunc

	mu    sync.Mutex
	byKey map[cacheKey]*flight
	all   map[*flight]struct{} // also those evict took out of byKey
	wg    sync.WaitGroup
}

func newFlights(limit int, timeout time.Duration) *flights {
	f := &flights{max: limit, timeout: timeout, byKey: map[cacheKey]*flight{}, all: map[*flight]struct{}{}}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// join returns the flight for key, starting one that does the job if there is
// none. It has the values of ctx, but neither its deadline nor its end. settled is
// asked under the lock whether there is any need: a flight that has just landed
// must not be followed by a second one. If so both results are nil.
func (f *flights) join(ctx context.Context, key cacheKey, settled func() bool, do job) (*flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.byKey[key]; fl != nil {
		return fl, nil
	}
	switch {
	case f.life.Err() != nil:
		return nil, errClosed
	case settled():
		return nil, nil
	case len(f.all) >= f.max:
		return nil, errOverload
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout)
	unhook := context.AfterFunc(f.life, cancel)
	fl := &flight{ctx: ctx, done: make(chan struct{}), err: unusable("a callback did not return")}
	f.byKey[key], f.all[fl] = fl, struct{}{}
	f.wg.Go(func() {
		defer unhook()
		defer cancel()
		defer f.land(key, fl)
		fl.entry, fl.err = do(ctx, fl)
	})
	return fl, nil
}

// land ends fl, even when a callback of the Config panicked or ended its
// goroutine. A panic goes no further: this goroutine has no caller to tell, and
// its message may hold a token.
func (f *flights) land(key cacheKey, fl *flight) {
	_ = recover()
	f.mu.Lock()
	if f.byKey[key] == fl {
		delete(f.byKey, key)
	}
	delete(f.all, fl)
	f.mu.Unlock()
	close(fl.done)
}

// wait waits for fl as long as ctx lasts, and no longer than the flight may take:
// a callback that ignores its context keeps a place in flight, but no callers.
func (fl *flight) wait(ctx context.Context) (*entry, error) {
	select {
	case <-fl.done:
		return fl.entry, fl.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-fl.ctx.Done():
	}
	select {
	case <-fl.done:
		return fl.entry, fl.err
	default:
		return nil, ended(fl.ctx)
	}
}

// ended is the error of a flight whose own context is over.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return errClosed
	}
	return errTimeout
}

// store runs put unless fl was evicted, and reports whether it did. An eviction
// comes before or after it, never during.
func (f *flights) store(fl *flight, put func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.void {
		return false
	}
	put()
	return true
}

// evict voids key's flight; who asks from now on starts another.
func (f *flights) evict(key cacheKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.byKey[key]; fl != nil {
		fl.void = true
		delete(f.byKey, key)
	}
}

// evictAll voids every flight, for one cannot tell yet whose token it is.
func (f *flights) evictAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for fl := range f.all {
		fl.void = true
	}
	clear(f.byKey)
}

// close lets no flight start any more, ends those under way and waits for them.
func (f *flights) close() {
	f.mu.Lock()
	f.end()
	f.mu.Unlock()
	f.wg.Wait()
}

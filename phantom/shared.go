package phantom

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"
)

// A Cache is the second tier, shared by processes: Redis, say. It is given
// nothing it could read: keys are HMACs, values are sealed. Implementations are
// safe for concurrent use and heed ctx. A failing Cache fails no request.
type Cache interface {
	// Get returns the value of key, or an error that wraps fs.ErrNotExist.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores value for ttl; ttl <= 0 removes key, absent or not.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Add stores value for ttl if key is absent, atomically, and reports whether it
	// did: the fleet's single flight.
	Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error)
}

// A record is what the shared tier holds of an answer.
type record struct {
	Bearer   string   `json:"b,omitempty"`
	Claims   string   `json:"c,omitempty"`
	Subject  string   `json:"s,omitempty"`
	Client   string   `json:"i,omitempty"`
	Scope    string   `json:"o,omitempty"`
	Audience []string `json:"a,omitempty"`
	Expires  int64    `json:"e,omitempty"`
	Born     int64    `json:"n"`
	Deadline int64    `json:"d,omitempty"`
	Stale    int64    `json:"t,omitempty"`
	Ahead    int64    `json:"r,omitempty"`
}

// The sharedTier is the Cache with what makes it safe to use.
type sharedTier struct {
	cache    Cache
	identity func(context.Context) (string, error)
	cfg      *Config
	host     string
	roots    roots
	running  chan struct{} // a place for every operation under way

	mu   sync.Mutex
	keys *sharedKeys // once identity is known
}

// sharedKeys also depend on who we are at the server: it may answer another
// client differently.
type sharedKeys struct{ answer, lock, subject *keyer }

var errSharedBusy = errors.New("phantom: the shared tier does not answer")

// names finds the keyers, asking for our client id the first time.
func (s *sharedTier) names(ctx context.Context) (*sharedKeys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys != nil {
		return s.keys, nil
	}
	id, err := s.identity(ctx)
	if err != nil {
		return nil, err
	}
	keyer := func(use string) *keyer {
		return newKeyer(s.roots.keys, use, s.cfg.Endpoint, id, acceptHeader(s.cfg.Accept))
	}
	s.keys = &sharedKeys{answer: keyer("answer"), lock: keyer("lock"), subject: keyer("subject")}
	return s.keys, nil
}

// try runs one operation of the cache within a tenth of Timeout: a slow cache must
// leave the time to ask the server. It does not count on the cache to heed its
// context, as some clients of Redis by default do not, and with as many operations
// overdue as there may be exchanges it starts no more.
func try[T any](ctx context.Context, s *sharedTier, op func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	select {
	case s.running <- struct{}{}:
	default:
		return none, s.report(ctx, errSharedBusy)
	}
	opCtx, cancel := context.WithTimeout(ctx, s.cfg.Timeout/10)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.running }()
		r := result{err: errSharedBusy}
		defer func() { _ = recover(); done <- r }()
		r.value, r.err = op(opCtx)
	}()
	select {
	case r := <-done:
		return r.value, s.report(ctx, r.err)
	case <-opCtx.Done():
		return none, s.report(ctx, opCtx.Err())
	}
}

func (s *sharedTier) get(ctx context.Context, key string) ([]byte, error) {
	return try(ctx, s, func(ctx context.Context) ([]byte, error) { return s.cache.Get(ctx, key) })
}

func (s *sharedTier) set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := try(ctx, s, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.cache.Set(ctx, key, value, ttl)
	})
	return err
}

func (s *sharedTier) add(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return try(ctx, s, func(ctx context.Context) (bool, error) { return s.cache.Add(ctx, key, []byte{1}, ttl) })
}

// report passes err on. Absence is no failure.
func (s *sharedTier) report(ctx context.Context, err error) error {
	if s.cfg.Observe != nil && err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Observe(ctx, Event{Kind: "cache", Host: s.host, Err: ErrUnavailable})
	}
	return err
}

// find is an answer born after newerThan, or nil if there is none that may be
// used. An error means the cache itself failed.
func (s *sharedTier) find(ctx context.Context, keys *sharedKeys, token string, newerThan int64) (*record, error) {
	name := keys.answer.name(answerPrefix, token)
	value, err := s.get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if s.report(ctx, s.open(name, value, &r)) != nil {
		return nil, nil
	}
	if r.Born <= newerThan || s.cfg.Now().UnixNano() >= s.clip(&r) {
		return nil, nil
	}
	if evicted, err := s.subjectEvicted(ctx, keys, &r); evicted || err != nil {
		return nil, err
	}
	return &r, nil
}

// clip brings another process's deadlines within this one's MaxTTL.
func (s *sharedTier) clip(r *record) (deadline int64) {
	last := r.Born + int64(s.cfg.MaxTTL)
	r.Deadline = min(r.Deadline, last)
	r.Stale = min(r.Stale, r.Deadline+int64(s.cfg.StaleIfError))
	return r.Deadline
}

func (s *sharedTier) put(ctx context.Context, keys *sharedKeys, token string, e *entry) error {
	g := e.grant
	name := keys.answer.name(answerPrefix, token)
	value, err := s.seal(name, e.deadline, record{
		Bearer: g.bearer, Claims: g.claims, Subject: g.subject, Client: g.client, Scope: g.scope,
		Audience: g.audience, Expires: g.expires,
		Born: e.born, Deadline: e.deadline, Stale: e.stale, Ahead: e.ahead,
	})
	if err != nil {
		return err
	}
	return s.set(ctx, name, value, time.Duration(e.deadline-s.cfg.Now().UnixNano()))
}

func (r *record) entry() *entry {
	return &entry{
		grant: &grant{
			bearer: r.Bearer, claims: r.Claims, subject: r.Subject, client: r.Client, scope: r.Scope,
			audience: r.Audience, expires: r.Expires,
		},
		times: times{born: r.Born, deadline: r.Deadline, stale: r.Stale, ahead: r.Ahead},
	}
}

func (s *sharedTier) remove(ctx context.Context, token string) error {
	keys, err := s.names(ctx)
	if err != nil {
		return err
	}
	return s.set(ctx, keys.answer.name(answerPrefix, token), nil, 0)
}

// A subject's tokens are not known, so its eviction is a record of when it was;
// answers born before that are refused. It outlives them all.
func (s *sharedTier) removeSubject(ctx context.Context, subject string) error {
	keys, err := s.names(ctx)
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	keep := s.cfg.MaxTTL + leeway
	name := keys.subject.name(subjectPrefix, subject)
	value, err := s.seal(name, now.Add(keep).UnixNano(), record{Born: now.UnixNano()})
	if err != nil {
		return err
	}
	return s.set(ctx, name, value, keep)
}

// subjectEvicted allows for clocks that differ by the leeway, and takes a marker
// that cannot be read for an eviction.
func (s *sharedTier) subjectEvicted(ctx context.Context, keys *sharedKeys, r *record) (bool, error) {
	if r.Subject == "" {
		return false, nil
	}
	name := keys.subject.name(subjectPrefix, r.Subject)
	value, err := s.get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var marker record
	if s.report(ctx, s.open(name, value, &marker)) != nil {
		return true, nil
	}
	return r.Born <= marker.Born+int64(leeway), nil
}

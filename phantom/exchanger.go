package phantom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Exchanger swaps opaque tokens for what they stand for. It is safe for
// concurrent use. Close ends what it started.
type Exchanger struct {
	cfg     Config
	keys    *keyer
	first   *firstTier
	shared  *sharedTier // nil without Config.Cache
	flights *flights
	client  *client
	reader  reader
}

// New makes an Exchanger of a copy of c, without I/O. Its errors name the field
// of Config they are about.
func New(c Config) (*Exchanger, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	roots, err := newRoots(c.CacheKey)
	if err != nil {
		return nil, err
	}
	c.CacheKey = nil // derived from, and not needed again
	e := &Exchanger{cfg: c, flights: newFlights(c.MaxInFlight, c.Timeout)}
	if e.first, err = newFirstTier(c.CacheSize, c.Now); err != nil {
		return nil, fmt.Errorf("phantom: Config.CacheSize: %w", err)
	}
	e.keys = newKeyer(roots.keys, "first tier", c.Endpoint, acceptHeader(c.Accept))
	e.client = newClient(&e.cfg)
	e.reader = reader{cfg: &e.cfg}
	if c.Cache != nil {
		e.shared = &sharedTier{
			cache: c.Cache, identity: e.client.identity, cfg: &e.cfg, host: e.client.host, roots: roots,
			running: make(chan struct{}, c.MaxInFlight),
		}
	}
	return e, nil
}

// Exchange returns what the opaque token stands for, from a cache or from the
// server, after checking its expiry, scopes and audience as they are now. The
// error is one of the Err variables, or wraps ctx.Err() when ctx has ended.
func (e *Exchanger) Exchange(ctx context.Context, opaque string) (Token, error) {
	if err := ctx.Err(); err != nil {
		return Token{}, gone(err)
	}
	if opaque == "" {
		return Token{}, ErrNoToken
	}
	if len(opaque) > maxToken || !isB64Token(opaque) {
		return Token{}, ErrMalformed
	}
	if e.cfg.PassJWT {
		if g, err := grantOfJWT(opaque); err == nil {
			return e.pass(ctx, g)
		}
	}
	found, now, err := e.lookup(ctx, opaque)
	switch {
	case err != nil:
		return Token{}, err
	case found.grant.expired(now):
		return Token{}, ErrInactive
	case found.refusal != nil:
		return Token{}, found.refusal
	}
	return Token{found.grant}, nil
}

// gone is the error of a call whose caller has left.
func gone(err error) error { return fmt.Errorf("phantom: %w", err) }

// pass is for a token that is a JWT already.
func (e *Exchanger) pass(ctx context.Context, g *grant) (Token, error) {
	verifyCtx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	err := e.cfg.Verify(verifyCtx, g.jwt())
	switch {
	case err == nil && g.expired(e.cfg.Now()):
		err = ErrInactive
	case err == nil:
		err = e.allow(g)
	case ctx.Err() != nil:
		err = gone(ctx.Err())
	default:
		err = judge(err, ErrInactive)
	}
	e.observe(ctx, "pass", err)
	if err != nil {
		return Token{}, err
	}
	return Token{g}, nil
}

// allow is asked once for each entry, whose grant and whose judge never change.
// The shared tier has no part of it: it keeps what the server said.
func (e *Exchanger) allow(g *grant) error {
	if len(e.cfg.Audience) > 0 && !slices.ContainsFunc(g.audience, func(a string) bool {
		return slices.Contains(e.cfg.Audience, a)
	}) {
		return ErrAudience
	}
	for _, s := range e.cfg.Scopes {
		if !g.hasScope(s) {
			return ErrScope
		}
	}
	return nil
}

// lookup finds what is known of the token in the first tier or by a flight, and
// tells the time at which it did.
func (e *Exchanger) lookup(ctx context.Context, opaque string) (*entry, time.Time, error) {
	key := e.keys.key(opaque)
	start := e.cfg.Now()
	now := start.UnixNano()
	cached := e.first.get(key)
	if cached != nil && now < cached.deadline {
		if cached.touch(now) {
			e.refresh(ctx, key, opaque, cached)
		}
		e.observe(ctx, "hit", nil)
		return cached, start, nil
	}
	if e.first.refused(key, now) {
		e.observe(ctx, "negative", ErrInactive)
		return nil, start, ErrInactive
	}
	fresh, err := e.await(ctx, key, opaque)
	end := e.cfg.Now()
	if err == nil {
		return fresh, end, nil
	}
	if cached != nil && errors.Is(err, ErrUnavailable) && end.UnixNano() < cached.stale {
		e.observe(ctx, "stale", err)
		return cached, end, nil
	}
	return nil, end, err
}

// await joins the token's flight. One that landed just before has left its answer
// in the first tier.
func (e *Exchanger) await(ctx context.Context, key cacheKey, opaque string) (*entry, error) {
	var landed *entry
	var refused bool
	fl, err := e.flights.join(ctx, key, func() bool {
		now := e.cfg.Now().UnixNano()
		if found := e.first.get(key); found != nil && now < found.deadline {
			landed = found
		}
		refused = e.first.refused(key, now)
		return landed != nil || refused
	}, e.job(key, opaque, 0))
	switch {
	case err != nil:
		return nil, err
	case refused:
		return nil, ErrInactive
	case landed != nil:
		return landed, nil
	}
	fresh, err := fl.wait(ctx)
	if caller := ctx.Err(); err != nil && caller != nil && errors.Is(err, caller) {
		return nil, gone(caller)
	}
	return fresh, err
}

// refresh starts a flight that nobody waits for, if there is room.
func (e *Exchanger) refresh(ctx context.Context, key cacheKey, opaque string, old *entry) {
	e.observe(ctx, "refresh", nil)
	_, _ = e.flights.join(ctx, key, func() bool { return false }, e.job(key, opaque, old.born))
}

// job asks the shared tier for an answer born after newerThan, and then the server.
func (e *Exchanger) job(key cacheKey, opaque string, newerThan int64) job {
	return func(ctx context.Context, fl *flight) (*entry, error) {
		if e.shared == nil {
			return e.fill(ctx, fl, key, opaque, &lease{})
		}
		found, lease := e.shared.acquire(ctx, opaque, newerThan)
		if found == nil {
			defer lease.release(ctx)
			return e.fill(ctx, fl, key, opaque, lease)
		}
		e.observe(ctx, "shared", nil)
		fresh := e.localize(found.entry())
		e.flights.store(fl, func() { e.first.put(key, fresh) })
		return fresh, nil
	}
}

// fill asks the server and stores what it says.
func (e *Exchanger) fill(ctx context.Context, fl *flight, key cacheKey, opaque string, l *lease) (*entry, error) {
	born := e.cfg.Now()
	g, fresh, err := e.introspect(ctx, opaque)
	if err == nil && g.expired(e.cfg.Now()) {
		err = ErrInactive
	}
	if errors.Is(err, ErrInactive) {
		l.drop(ctx)
		e.flights.store(fl, func() { e.first.refuse(key, e.cfg.Now().Add(e.cfg.NegativeTTL)) })
	}
	if err != nil {
		return nil, err
	}
	filled := &entry{grant: g, refusal: e.allow(g), times: e.schedule(g, fresh, born)}
	if filled.deadline <= e.cfg.Now().UnixNano() {
		return filled, nil
	}
	l.put(ctx, filled)
	filled = e.localize(filled)
	if !e.flights.store(fl, func() { e.first.put(key, filled) }) {
		l.drop(ctx) // evicted while it was being stored
	}
	return filled, nil
}

func (e *Exchanger) introspect(ctx context.Context, opaque string) (*grant, freshness, error) {
	r, err := e.client.ask(ctx, opaque)
	if err != nil {
		return nil, freshness{}, err
	}
	g, err := e.reader.read(ctx, r)
	if err != nil {
		return nil, freshness{}, err
	}
	return g, freshnessOf(r.header, e.cfg.Now()), nil
}

// schedule is how long an answer to a question asked at born is kept. See the
// package comment.
func (e *Exchanger) schedule(g *grant, f freshness, born time.Time) times {
	ttl := e.cfg.MaxTTL
	if f.known {
		ttl = min(ttl, f.left)
	}
	ttl = max(ttl, e.cfg.MinTTL)
	t := times{born: born.UnixNano(), deadline: born.Add(ttl).UnixNano()}
	t.stale = t.deadline
	t.ahead = t.deadline - int64(ttl/10)
	if !f.exact {
		t.stale += int64(e.cfg.StaleIfError)
	}
	if g.expires != 0 {
		exp := time.Unix(g.expires, 0)
		if last := nanos(exp.Add(-leeway)); last < t.deadline {
			t.deadline, t.ahead = last, last // the server could not prolong it
		}
		t.stale = max(t.deadline, min(t.stale, nanos(exp)))
	}
	return t
}

// nanos is t in Unix nanoseconds, which end in the year 2262.
func nanos(t time.Time) int64 {
	const last = 9_223_372_036 // seconds
	return min(t.Unix(), last) * int64(time.Second)
}

// localize limits how long the first tier uses an answer without asking the shared
// one.
func (e *Exchanger) localize(filled *entry) *entry {
	local := &entry{grant: filled.grant, refusal: e.allow(filled.grant), times: filled.times}
	local.deadline = min(local.deadline, e.cfg.Now().Add(e.cfg.LocalTTL).UnixNano())
	return local
}

// Evict forgets the opaque token here and in the shared tier; other processes'
// first tiers follow within LocalTTL. An introspection under way is not stored. An
// error means that the shared tier could not be reached.
func (e *Exchanger) Evict(ctx context.Context, opaque string) error {
	key := e.keys.key(opaque)
	e.flights.evict(key)
	e.first.remove(key)
	if e.shared == nil {
		return nil
	}
	return evicted(ctx, e.shared.remove(ctx, opaque))
}

// EvictSubject is Evict for all tokens with the sub claim subject, which must not
// be empty. It walks the whole first tier.
func (e *Exchanger) EvictSubject(ctx context.Context, subject string) error {
	if subject == "" {
		return errors.New("phantom: EvictSubject: the subject is empty")
	}
	e.flights.evictAll()
	e.first.removeSubject(subject)
	if e.shared == nil {
		return nil
	}
	return evicted(ctx, e.shared.removeSubject(ctx, subject))
}

func evicted(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return gone(ctx.Err())
	}
	return errEvicted
}

// Close ends introspections under way, whose callers get ErrUnavailable, and every
// goroutine of e; cached tokens are forgotten. It always returns nil.
func (e *Exchanger) Close() error {
	e.flights.close()
	e.first.close()
	e.client.close()
	return nil
}

func (e *Exchanger) observe(ctx context.Context, kind string, err error) {
	if e.cfg.Observe != nil {
		e.cfg.Observe(ctx, Event{Kind: kind, Host: e.client.host, Err: sentinel(err)})
	}
}

// isB64Token is the b64token of RFC 6750 section 2.1.
func isB64Token(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		if !b64token[body[i]] {
			return false
		}
	}
	return body != ""
}

var b64token = func() (set [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		set[c] = true
	}
	return set
}()

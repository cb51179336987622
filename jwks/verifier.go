package jwks

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// A Verifier verifies the access tokens of the configured issuers. It is safe
// for concurrent use.
type Verifier struct {
	cfg     Config
	issuers map[string]*issuer // by iss
	order   []*issuer
	cache   *cache
	scratch *sync.Pool
	now     func() time.Time
	observe observer
	csrf    *http.CrossOriginProtection

	metadataURL string // RFC 9728; empty without Config.Resource
}

// issuer is a configured Issuer with its defaults and its keys.
type issuer struct {
	Issuer
	algs    map[string]*algorithm
	errType error
	source  *source
}

// New makes a Verifier. It does no I/O: keys are fetched when the first token
// needs them. The error names the issuer by its index, and the field.
func New(cfg Config) (*Verifier, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg, issuers: map[string]*issuer{}, now: cfg.Now, observe: cfg.Observe, csrf: http.NewCrossOriginProtection()}
	if v.metadataURL, err = metadataURL(cfg.Resource); err != nil {
		return nil, fmt.Errorf("jwks: Config.Resource: %w", err)
	}
	if v.cache, err = newCache(cfg.CacheSize); err != nil {
		return nil, fmt.Errorf("jwks: Config.CacheSize: %w", err)
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	v.scratch = &sync.Pool{New: func() any { return newScratch(secret) }}
	for n := range cfg.Issuers {
		i, err := v.newIssuer(cfg.Issuers[n])
		if err != nil {
			return nil, fmt.Errorf("jwks: Config.Issuers[%d]%w", n, err)
		}
		v.issuers[i.URL] = i
		v.order = append(v.order, i)
	}
	v.cfg.Issuers = nil
	return v, nil
}

func (v *Verifier) newIssuer(c Issuer) (*issuer, error) {
	i := &issuer{Issuer: c, algs: map[string]*algorithm{}, errType: typeError(c.Types)}
	var algs []*algorithm
	for _, name := range c.Algorithms {
		if i.algs[name] == nil {
			i.algs[name] = algorithmNamed(name)
			algs = append(algs, i.algs[name])
		}
	}
	i.source = newSource(c.Refresh, v.now)
	if c.Keys != nil {
		set, err := parseSet(c.Keys, algs)
		if err != nil {
			return nil, fmt.Errorf(".Keys: %w", err)
		}
		if set.usable == 0 {
			return nil, fmt.Errorf(".Keys: no usable key: %w", errors.Join(set.skipped...))
		}
		i.source.pin(set)
		i.Keys = nil // the caller's
		return i, nil
	}
	f := &fetcher{
		client: guardRedirects(v.cfg.Client, c.InsecureHTTP),
		issuer: c.URL, insecure: c.InsecureHTTP, algs: algs, now: v.now,
		url: c.JWKSURL, fixed: c.JWKSURL != "",
	}
	i.source.fetch = f.fetch
	if v.observe != nil {
		i.source.report = v.observe.fetched(c.URL)
	}
	return i, nil
}

// Verify returns the claims of token, a compact JWS as it stands behind
// "Bearer ", if one of the configured issuers signed it for this service and it
// is valid now. Otherwise the error is one of the package's, or wraps
// [ErrUnavailable] together with ctx's own error if ctx ended while keys were
// fetched. Errors that wrap ErrUnavailable have a method RetryAfter() time.Duration.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if v.observe == nil {
		r, err := v.verify(ctx, token)
		return r.claims, err
	}
	began := time.Now()
	r, err := v.verify(ctx, token)
	v.observe.verified(ctx, r, err, time.Since(began))
	return r.claims, err
}

// Check is Verify, errors included, for those who only need to know.
func (v *Verifier) Check(ctx context.Context, token string) error {
	_, err := v.Verify(ctx, token)
	return err
}

// Payload is Verify for those who want the payload's JSON text. It serves for
// other signed answers too, such as introspection responses (RFC 9701) and
// logout tokens: give their issuer a MaxAge and Types of its own in a second
// Verifier. Errors are those of Verify.
func (v *Verifier) Payload(ctx context.Context, token string) ([]byte, error) {
	c, err := v.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	return []byte(c.c.payload), nil
}

// verdict is what Verify found out; claims are set only if all is well.
type verdict struct {
	claims Claims
	issuer *issuer
	cached bool
}

func (v *Verifier) verify(ctx context.Context, token string) (verdict, error) {
	if len(token) > v.cfg.MaxTokenBytes {
		return verdict{}, errTooLong
	}
	first, second, ok := split(token)
	if !ok {
		return verdict{}, errForm
	}
	s := v.scratch.Get().(*scratch)
	defer v.scratch.Put(s)
	s.load(token)
	now := v.now()
	if e := v.cache.get(s); e != nil {
		snap := e.issuer.source.keys(ctx, now)
		if snap != nil && snap.generation == e.generation {
			return v.again(s, e, now)
		}
	}
	return v.verifyNew(ctx, s, first, second, now)
}

// again judges a token whose signature was good before.
func (v *Verifier) again(s *scratch, e *entry, now time.Time) (verdict, error) {
	r := verdict{issuer: e.issuer, cached: true}
	if err := e.issuer.judge(e.claims, now, v.cfg.Leeway); err != nil {
		v.cache.drop(s)
		return r, err
	}
	r.claims = Claims{e.claims}
	return r, nil
}

var (
	errAlgorithm    = refuse(ErrSignature, "alg is not accepted from this issuer")
	errBadSignature = refuse(ErrSignature, "no key of this kid made it")
)

// verifyNew follows the order of the package comment. Nothing that the token
// says is believed before its signature, except who to ask for the key.
func (v *Verifier) verifyNew(ctx context.Context, s *scratch, first, second int, now time.Time) (r verdict, err error) {
	rawHeader, rawPayload, sig, err := s.decode(first, second)
	if err != nil {
		return r, err
	}
	h, err := parseHeader(string(rawHeader))
	if err != nil {
		return r, err
	}
	body := string(rawPayload)
	p, err := parsePayload(body)
	if err != nil {
		return r, err
	}
	iss, err := p.issuer()
	if err != nil {
		return r, err
	}
	if r.issuer = v.issuers[iss]; r.issuer == nil {
		return r, ErrIssuer
	}
	snap, err := r.issuer.authentic(ctx, h, s.token[:second], sig)
	if err != nil {
		return r, err
	}
	c, err := r.issuer.admit(h, &p, body, now, v.cfg.Leeway)
	if err != nil {
		return r, err
	}
	v.cache.put(s, entry{claims: c, issuer: r.issuer, generation: snap.generation})
	r.claims = Claims{c}
	return r, nil
}

// authentic reports whether a current key of the issuer made sig over input.
func (i *issuer) authentic(ctx context.Context, h header, input, sig []byte) (*snapshot, error) {
	a := i.algs[h.alg]
	if a == nil {
		return nil, errAlgorithm
	}
	name := h.kid
	if name == "" {
		name = "." + h.alg // of those without kid, one miss for each alg
	}
	keys, snap, err := i.source.lookup(ctx, name, func(set *keySet) ([]crypto.PublicKey, bool) {
		return set.find(h.kid, h.alg)
	})
	if err != nil {
		return nil, err
	}
	for _, pub := range keys {
		if a.verify(pub, input, sig) {
			return snap, nil
		}
	}
	return nil, errBadSignature
}

// admit judges everything that the signature vouches for.
func (i *issuer) admit(h header, p *payload, body string, now time.Time, leeway time.Duration) (*claims, error) {
	c, err := p.claims(body, i.URL)
	if err != nil {
		return nil, err
	}
	if err := i.judge(c, now, leeway); err != nil {
		return nil, err
	}
	if err := i.judgeType(h.typ); err != nil {
		return nil, err
	}
	if p.cnf != "" {
		return nil, ErrBinding
	}
	return c, nil
}

// Ready reports whether every issuer's keys are at hand, fetching them if they
// are not. It is meant for a readiness probe; the error wraps ErrUnavailable
// and names the issuers.
func (v *Verifier) Ready(ctx context.Context) error {
	missing := make([]error, len(v.order))
	var wait sync.WaitGroup
	for n, i := range v.order {
		wait.Go(func() {
			_, _, err := i.source.lookup(ctx, "", func(*keySet) ([]crypto.PublicKey, bool) {
				return []crypto.PublicKey{nil}, true // any set will do
			})
			if err != nil {
				missing[n] = fmt.Errorf("issuer %s: %w", i.URL, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(missing...)
}

// Close ends all fetches and timers and waits until they are gone. Tokens whose
// keys are at hand can be verified until max-stale. It always returns nil.
func (v *Verifier) Close() error {
	for _, i := range v.order {
		i.source.close()
	}
	return nil
}

package spa

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Sessions keeps small values under keys for a while. What is kept holds no
// access or refresh token and no session id.
type Sessions interface {
	// Get returns the value. Absent or past its ttl: fs.ErrNotExist, which no
	// failure is: not that of a socket that is not there.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set keeps value under key for ttl; ttl <= 0 removes it.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Add is Set if key is absent, atomically; it reports whether it was.
	Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error)
}

// session is one browser's login. The cookie holds a random id; the store
// holds this under the id's hash, so that nobody who reads the store can act as
// the browser.
type session struct {
	Grant   string    `json:"grant"`             // id and owner of the vault's grant
	Created time.Time `json:"created"`           // for Absolute
	Seen    time.Time `json:"seen"`              // for Idle
	Scopes  []string  `json:"scopes,omitempty"`  // granted
	Subject string    `json:"sub,omitempty"`     // of the ID token, for back-channel logout
	Session string    `json:"sid,omitempty"`     // its sid claim, likewise
	IDToken string    `json:"idToken,omitempty"` // only after the tokens were removed: end-session needs it
	Removed bool      `json:"removed,omitempty"`
}

func (s *session) hasScopes(want []string) bool {
	for _, w := range want {
		if !slices.Contains(s.Scopes, w) {
			return false
		}
	}
	return true
}

const sessionIDBytes = 32

// newSessionID returns a cookie value.
func newSessionID() string {
	b := make([]byte, sessionIDBytes)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// sessionKey is where a session lies in the store, and its grant's id.
func sessionKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return string(hex.AppendEncode([]byte("spa:"), sum[:]))
}

// sessionID reads the cookie. Two of the same name mean that somebody else, a
// sibling domain perhaps, has planted one: neither is used.
func (p *Proxy) sessionID(r *http.Request) (string, error) {
	switch cookies := r.CookiesNamed(p.config.Cookie); len(cookies) {
	case 0:
		return "", noSession
	case 1:
		if b, err := base64.RawURLEncoding.Strict().DecodeString(cookies[0].Value); err != nil || len(b) != sessionIDBytes {
			return "", noSession
		}
		return cookies[0].Value, nil
	}
	return "", badCookie
}

// load returns the request's session and its key.
func (p *Proxy) load(r *http.Request) (*session, string, error) {
	id, err := p.sessionID(r)
	if err != nil {
		return nil, "", err
	}
	ctx, key, now := r.Context(), sessionKey(id), p.config.Now()
	value, err := p.config.Sessions.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", noSession
	}
	if err != nil {
		return nil, "", serverDown
	}
	var s session
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, "", noSession
	}
	if now.Sub(s.Created) >= p.config.Absolute || now.Sub(s.Seen) >= p.config.Idle {
		return nil, "", noSession
	}
	if ended, err := p.endedElsewhere(ctx, &s); err != nil {
		return nil, "", serverDown
	} else if ended {
		p.end(ctx, key, &s)
		return nil, "", noSession
	}
	// One write in a tenth of Idle keeps the session alive.
	if now.Sub(s.Seen) > p.config.Idle/10 {
		s.Seen = now
		if err := p.save(ctx, key, &s); err != nil {
			return nil, "", serverDown
		}
	}
	return &s, key, nil
}

func (p *Proxy) save(ctx context.Context, key string, s *session) error {
	value, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("spa: %w", err)
	}
	left := p.config.Absolute - p.config.Now().Sub(s.Created)
	return p.config.Sessions.Set(ctx, key, value, min(left, p.config.Idle))
}

func (p *Proxy) setCookie(w http.ResponseWriter, value string) {
	c := &http.Cookie{
		Name: p.config.Cookie, Value: value, Path: "/",
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// memorySessions is Sessions for one process.
type memorySessions struct {
	now func() time.Time

	mu     sync.Mutex
	values map[string]memoryValue
	swept  time.Time
}

type memoryValue struct {
	value   []byte
	expires time.Time
}

// NewMemorySessions returns Sessions for a single process; now is its clock,
// nil: time.Now. Another instance does not see them, and a restart loses them.
func NewMemorySessions(now func() time.Time) Sessions {
	if now == nil {
		now = time.Now
	}
	return &memorySessions{now: now, values: make(map[string]memoryValue)}
}

func (m *memorySessions) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok || !m.now().Before(v.expires) {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(v.value), nil
}

func (m *memorySessions) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(key, value, ttl)
	return nil
}

func (m *memorySessions) Add(_ context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.values[key]; ok && m.now().Before(v.expires) {
		return false, nil
	}
	m.set(key, value, ttl)
	return true, nil
}

func (m *memorySessions) set(key string, value []byte, ttl time.Duration) {
	now := m.now()
	if now.Sub(m.swept) > time.Minute {
		for k, v := range m.values {
			if !now.Before(v.expires) {
				delete(m.values, k)
			}
		}
		m.swept = now
	}
	if ttl <= 0 {
		delete(m.values, key)
		return
	}
	m.values[key] = memoryValue{slices.Clone(value), now.Add(ttl)}
}

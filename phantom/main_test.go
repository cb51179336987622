package phantom_test

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const opaque = "opaque-token-0001"

type m = map[string]any

// A clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// In is the NumericDate that long from now.
func (c *clock) In(d time.Duration) int64 { return c.Now().Add(d).Unix() }

func newServer(t testing.TB) *phantomtest.Server {
	t.Helper()
	srv := phantomtest.NewServer()
	t.Cleanup(srv.Close)
	return srv
}

func baseConfig(srv *phantomtest.Server) phantom.Config {
	return phantom.Config{Endpoint: srv.URL(), Auth: clientauth.Basic("gateway", "gateway-secret"), Client: srv.Client()}
}

func newExchanger(t testing.TB, srv *phantomtest.Server, change ...func(*phantom.Config)) *phantom.Exchanger {
	t.Helper()
	c := baseConfig(srv)
	for _, f := range change {
		f(&c)
	}
	ex, err := phantom.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ex.Close()) })
	return ex
}

func withClock(c *clock) func(*phantom.Config) {
	return func(cfg *phantom.Config) { cfg.Now = c.Now }
}

// exchange is one Exchange of the token opaque.
func exchange(t testing.TB, ex *phantom.Exchanger) (phantom.Token, error) {
	t.Helper()
	return ex.Exchange(t.Context(), opaque)
}

// seen records what reached the handler behind the exchanger.
type seen struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	w.WriteHeader(http.StatusOK)
}

func (s *seen) last(t *testing.T) *http.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NotEmpty(t, s.requests)
	return s.requests[len(s.requests)-1]
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func get(h http.Handler, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

// memoryCache is a phantom.Cache whose content a test can see and spoil. It does
// not expire anything.
type memoryCache struct {
	mu     sync.Mutex
	values map[string][]byte
	ttls   map[string]time.Duration
	fail   error
	ops    int
	block  chan struct{}
}

func newMemoryCache() *memoryCache {
	return &memoryCache{values: map[string][]byte{}, ttls: map[string]time.Duration{}}
}

func (c *memoryCache) enter() error {
	c.mu.Lock()
	c.ops++
	block, err := c.block, c.fail
	c.mu.Unlock()
	if block != nil {
		<-block // without regard to any context
	}
	return err
}

func (c *memoryCache) Get(_ context.Context, key string) ([]byte, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return v, nil
}

func (c *memoryCache) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	if err := c.enter(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ttl <= 0 {
		delete(c.values, key)
		return nil
	}
	c.values[key], c.ttls[key] = value, ttl
	return nil
}

func (c *memoryCache) Add(_ context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	if err := c.enter(); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[key]; ok {
		return false, nil
	}
	c.values[key], c.ttls[key] = value, ttl
	return true, nil
}

func (c *memoryCache) setFail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// each replaces every value by what change makes of it; nil removes it.
func (c *memoryCache) each(change func(key string, value []byte) []byte) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, v := range c.values {
		n++
		if v = change(k, v); v == nil {
			delete(c.values, k)
		} else {
			c.values[k] = v
		}
	}
	return n
}

func (c *memoryCache) dump() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []byte
	for k, v := range c.values {
		out = append(append(out, k...), v...)
	}
	return out
}

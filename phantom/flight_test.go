package phantom_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// countKind counts events of a kind on one goroutine's calls.
func countKind(kind string, n *int) func(context.Context, phantom.Event) {
	var mu sync.Mutex
	return func(_ context.Context, e phantom.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == kind {
			*n++
		}
	}
}

// arrivals is a clock that lets a test wait until it has been read n times, as each
// caller does on its way to a flight.
type arrivals struct{ ch chan struct{} }

func newArrivals() *arrivals { return &arrivals{ch: make(chan struct{}, 1024)} }

func (a *arrivals) Now() time.Time {
	a.ch <- struct{}{}
	return time.Now()
}

func (a *arrivals) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-a.ch:
		case <-t.Context().Done():
			t.Fatal("too few arrivals")
		}
	}
}

func TestElsewhere_FiftyRequestsFiftyIntrospections(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Claims: m{"sub": "alice"}})
	release := srv.Hold()
	arrived := newArrivals()
	ex := newExchanger(t, srv, func(c *phantom.Config) { c.Now = arrived.Now })
	next := &seen{}
	h := ex.Handler(next)
	codes := make(chan int, 50)
	for range 50 {
		go func() { codes <- get(h, authorization("Bearer "+opaque)).Code }()
	}
	arrived.await(t, 50)
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	release()
	for range 50 {
		require.Equal(t, http.StatusOK, <-codes)
	}
	require.Equal(t, 50, next.count())
	require.Equal(t, 1, srv.Total())
}

func TestElsewhere_LeadersCancelFailsTheOthers(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
	release := srv.Hold()
	ex := newExchanger(t, srv)
	ctx, cancel := context.WithCancel(t.Context())
	leader := make(chan error, 1)
	go func() {
		_, err := ex.Exchange(ctx, opaque)
		leader <- err
	}()
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	followers := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := ex.Exchange(context.Background(), opaque)
			followers <- err
		}()
	}
	cancel()
	err := <-leader
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, phantom.ErrUnavailable)
	release()
	for range 10 {
		require.NoError(t, <-followers)
	}
	require.Equal(t, 1, srv.Total())
}

func TestAFollowerLeavesAlone(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	release := srv.Hold()
	ex := newExchanger(t, srv)
	leader := make(chan error, 1)
	go func() {
		_, err := ex.Exchange(context.Background(), opaque)
		leader <- err
	}()
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := ex.Exchange(ctx, opaque)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	release()
	require.NoError(t, <-leader)
	require.Equal(t, 1, srv.Total())
}

func TestMaxInFlight(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Otherwise(phantomtestJSON(m{}))
	ex := newExchanger(t, srv, func(c *phantom.Config) { c.MaxInFlight = 2 })
	_, err := ex.Exchange(t.Context(), "cached")
	require.NoError(t, err)
	release := srv.Hold()
	results := make(chan error, 3)
	for _, token := range []string{"a", "b", "b"} {
		go func() {
			_, err := ex.Exchange(context.Background(), token)
			results <- err
		}()
	}
	require.NoError(t, srv.AwaitHeld(t.Context(), 2))
	_, err = ex.Exchange(t.Context(), "c")
	require.ErrorIs(t, err, phantom.ErrUnavailable)
	var later interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &later)
	require.Equal(t, time.Second, later.RetryAfter())
	_, err = ex.Exchange(t.Context(), "cached")
	require.NoError(t, err, "a cached token needs no place")
	release()
	for range 3 {
		require.NoError(t, <-results)
	}
	require.Zero(t, srv.Calls("c"))
	_, err = ex.Exchange(t.Context(), "c")
	require.NoError(t, err, "there is room again")
}

// A flood of tokens nobody knows must neither displace known ones nor pile up. Not
// parallel: it measures the heap, which is everyone's.
func TestElsewhere_RandomTokenFlood(t *testing.T) {
	const tokens, senders, limit = 100_000, 16, 8
	good := clientauth.None("gateway")
	var inside, peak, calls int
	var mu sync.Mutex
	ex, err := phantom.New(phantom.Config{
		Endpoint: "https://as.example/introspect", Auth: good, CacheSize: 1000, MaxInFlight: limit,
		Client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			calls++
			inside++
			peak = max(peak, inside)
			mu.Unlock()
			defer func() { mu.Lock(); inside--; mu.Unlock() }()
			body, err := io.ReadAll(r.Body)
			active := bytes.Contains(body, []byte("token="+opaque+"&"))
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"active":%t}`, active))),
			}, err
		})},
	})
	require.NoError(t, err)
	defer ex.Close()
	_, err = exchange(t, ex)
	require.NoError(t, err)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range tokens / senders {
				if _, err := ex.Exchange(context.Background(), fmt.Sprintf("random-%d-%d", s, i)); err == nil {
					t.Error("an unknown token passed")
				}
				if i%100 == 0 {
					if _, err := ex.Exchange(context.Background(), opaque); err != nil {
						t.Error("a known token failed: ", err)
					}
				}
			}
		})
	}
	wg.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, peak, limit)
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+limit)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4<<20), "bytes after %d tokens", tokens)
	require.LessOrEqual(t, calls, tokens+1, "the known token stayed")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestACallbackThatHangsHoldsNoCaller(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Claims: m{}})
	hang := make(chan struct{})
	ex := newExchanger(t, srv, func(c *phantom.Config) {
		c.Timeout = 50 * time.Millisecond
		c.Verify = func(context.Context, string) error { <-hang; return nil }
	})
	_, err := exchange(t, ex)
	close(hang)
	require.ErrorIs(t, err, phantom.ErrUnavailable)
}

func TestEvict(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
	srv.Answer("other", phantomtestJSON(m{"sub": "bob"}))
	ex := newExchanger(t, srv)
	both := func() {
		t.Helper()
		for _, token := range []string{opaque, "other"} {
			_, err := ex.Exchange(t.Context(), token)
			require.NoError(t, err)
		}
	}
	both()
	require.NoError(t, ex.Evict(t.Context(), opaque))
	both()
	require.Equal(t, [2]int{2, 1}, [2]int{srv.Calls(opaque), srv.Calls("other")})
	require.NoError(t, ex.EvictSubject(t.Context(), "bob"))
	both()
	require.Equal(t, [2]int{2, 2}, [2]int{srv.Calls(opaque), srv.Calls("other")})
	require.Error(t, ex.EvictSubject(t.Context(), ""))

	_, err := ex.Exchange(t.Context(), "late")
	require.ErrorIs(t, err, phantom.ErrInactive)
	srv.Answer("late", phantomtestJSON(m{}))
	require.NoError(t, ex.Evict(t.Context(), "late"))
	_, err = ex.Exchange(t.Context(), "late")
	require.NoError(t, err, "also what is known to be inactive is forgotten")
}

// An answer given before the eviction must not come back after it.
func TestEvictVoidsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	for name, evict := range map[string]func(*phantom.Exchanger) error{
		"token":   func(ex *phantom.Exchanger) error { return ex.Evict(context.Background(), opaque) },
		"subject": func(ex *phantom.Exchanger) error { return ex.EvictSubject(context.Background(), "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			srv.Answer(opaque, phantomtestJSON(m{"sub": "alice"}))
			release := srv.Hold()
			cache := newMemoryCache()
			ex := newExchanger(t, srv, withCache(cache))
			first := make(chan error, 1)
			go func() {
				_, err := ex.Exchange(context.Background(), opaque)
				first <- err
			}()
			require.NoError(t, srv.AwaitHeld(t.Context(), 1))
			require.NoError(t, evict(ex))
			release()
			require.NoError(t, <-first)
			srv.Answer(opaque, phantomtest.Answer{})
			_, err := exchange(t, ex)
			require.ErrorIs(t, err, phantom.ErrInactive)
		})
	}
}

// Package compose runs all the packages at once, as one program would, under
// load and faults; and under the servers and clients that people use.
package compose

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	users   = 20
	callers = 16
)

// Everything at once for two minutes (ten seconds with -short), with the
// authorization server down, Redis down and the third party slow or away in
// turn: no answer is wrong, nothing is written in plaintext, and nothing grows.
func TestEverythingAtOnce(t *testing.T) {
	duration := 2 * time.Minute
	if testing.Short() {
		duration = 10 * time.Second
	}
	w := newWorld(t)
	tokens := make([]string, users)
	for i := range tokens {
		tokens[i] = w.addUser(fmt.Sprintf("user-%d", i))
	}
	w.load(tokens, duration/10, false) // warm
	base := measure()
	stop := w.play(duration)
	counted := w.load(tokens, duration, true)
	stop()
	w.load(tokens, duration/20, true) // back-offs end, connections are made anew
	after := w.load(tokens, duration/10, false)
	grown := measure()

	t.Logf("under faults: %v; after: %v; goroutines %d -> %d, heap %d -> %d KiB; refresh POSTs %d, reused %d",
		counted, after, base.goroutines, grown.goroutines, base.heap>>10, grown.heap>>10, w.partner.posts, w.partner.reused)
	require.Positive(t, counted[200])
	require.Positive(t, counted[502]+counted[503]+counted[504], "the faults were felt")
	require.Zero(t, w.partner.reused, "no refresh token was sent twice")
	require.LessOrEqual(t, grown.goroutines, base.goroutines+callers)
	require.Less(t, grown.heap, base.heap+(48<<20))

	secrets := append(w.secrets, w.partner.tokens()...)
	leaktest.None(t, w.captured(), secrets...)
}

type size struct {
	goroutines int
	heap       uint64
}

func measure() size {
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return size{runtime.NumGoroutine(), m.HeapAlloc}
}

// load calls the service as every user, at random, for a while. Without faults
// every answer is 200; with them it may be 502, 503 or 504, and never wrong.
func (w *world) load(tokens []string, d time.Duration, faults bool) map[int]int {
	end := time.Now().Add(d)
	var mu sync.Mutex
	counted := map[int]int{}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for time.Now().Before(end) {
				user := rand.IntN(len(tokens))
				status, body, err := w.call(tokens[user])
				mu.Lock()
				counted[status]++
				mu.Unlock()
				if wrong := judge(user, status, body, err, faults); wrong != "" {
					w.Errorf("user %d: %s (status %d)", user, wrong, status)
					return
				}
			}
		})
	}
	wg.Wait()
	return counted
}

// judge says what is wrong with an answer.
func judge(user, status int, body []byte, err error, faults bool) string {
	switch {
	case err != nil:
		return "no answer: " + err.Error()
	case status == http.StatusOK:
		var answer struct{ User string }
		if json.Unmarshal(body, &answer) != nil || answer.User != fmt.Sprintf("user-%d", user) {
			return "another user's answer, or none"
		}
		return ""
	case faults && (status == 502 || status == 503 || status == 504):
		return ""
	}
	return "refused"
}

func (w *world) call(token string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.service.URL+"/", nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := w.service.Client().Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// play switches the faults on and off, one after the other, until stopped;
// afterwards everything is up.
func (w *world) play(d time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	step := d / 12
	pause := func() bool {
		select {
		case <-done:
			return false
		case <-time.After(step):
			return true
		}
	}
	acts := []struct{ begin, end func() }{
		{func() { w.faults.introDown.Store(true) }, func() { w.faults.introDown.Store(false) }},
		{w.redis.Kill, w.redis.Start},
		{func() { w.faults.partnerSlow.Store(true) }, func() { w.faults.partnerSlow.Store(false) }},
		{w.redis.Freeze, w.redis.Thaw},
		{func() { w.faults.partnerDown.Store(true) }, func() { w.faults.partnerDown.Store(false) }},
	}
	go func() {
		defer close(ended)
		for i := 0; pause(); i++ {
			act := acts[i%len(acts)]
			act.begin()
			more := pause()
			act.end()
			if !more {
				return
			}
		}
	}()
	return func() { close(done); <-ended; w.settle() }
}

// settle waits until a call of every kind succeeds again: back-offs end.
func (w *world) settle() {
	require.Eventually(w, func() bool {
		status, _, err := w.call(w.secrets[len(w.secrets)-1])
		return err == nil && status == 200
	}, time.Minute, 100*time.Millisecond)
}

// tokens are all that the partner has ever issued.
func (p *partner) tokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.issued...)
}

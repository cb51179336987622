package relay

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

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// 64 goroutines share one Transport: with bodies, redirects to the same and to
// another host, and callers that give up.
func TestConcurrentRoundTrips(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			t.Parallel()
			r := newRigWith(t, rigConfig{http2: http2, config: Config{Destinations: []Destination{{
				Host: host, Open: []string{"header:Authorization", "form:k", "query:q"}, Seal: []Field{{At: "$.token"}},
			}, {Host: "files.example.com"}}}})
			r.answer = func(w http.ResponseWriter, req *http.Request) {
				switch req.URL.Path {
				case "/same":
					http.Redirect(w, req, "/end?q="+req.URL.Query().Get("q"), http.StatusTemporaryRedirect)
				case "/other":
					http.Redirect(w, req, "https://files.example.com/end", http.StatusFound)
				case "/hang":
					<-req.Context().Done()
				default:
					w.Header().Set("Content-Type", "application/json")
					_, _ = fmt.Fprintf(w, `{"token":%q,"you":%q}`, req.FormValue("k"), req.Header.Get("Authorization"))
				}
			}
			var all sync.WaitGroup
			failures := make([]error, 64)
			for i := range failures {
				user := fmt.Sprintf("user-%d-with-a-name", i)
				sealed := r.sealAs("secret of "+user, tokenvault.Label{Hosts: []string{host, "files.example.com"}, Subject: user})
				all.Go(func() {
					for n := 0; n < 4 && failures[i] == nil; n++ {
						failures[i] = r.roundTripOf(user, sealed, n)
					}
				})
			}
			all.Wait()
			for _, err := range failures {
				require.NoError(t, err)
			}
			for _, got := range r.requests() {
				if http2 {
					require.Equal(t, "HTTP/2.0", got.Proto)
				}
				if a := got.Header.Get("Authorization"); a != "" {
					require.True(t, strings.HasPrefix(a, "Bearer secret of user-"), a)
					if got.Body != "" {
						require.Equal(t, "k="+strings.ReplaceAll(strings.TrimPrefix(a, "Bearer "), " ", "+"), got.Body, "values of one user meet")
					}
				}
			}
		})
	}
}

func (r *rig) roundTripOf(user, sealed string, n int) error {
	ctx, cancel := context.WithCancel(WithSubject(context.Background(), user))
	defer cancel()
	path := [...]string{"/end", "/same", "/other", "/hang"}[n]
	req, err := http.NewRequestWithContext(ctx, "POST", "https://"+host+path+"?q="+sealed, strings.NewReader("k="+sealed))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", formType)
	req.Header.Set("Authorization", "Bearer "+sealed)
	if path == "/hang" {
		cancel()
	}
	resp, err := r.client.Do(req)
	if path == "/hang" {
		if err == nil {
			resp.Body.Close()
			return fmt.Errorf("a cancelled call was answered")
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if bytes.Contains(body, []byte("secret of")) {
		return fmt.Errorf("%s: plaintext in the answer", path)
	}
	if path != "/other" && !bytes.Contains(body, []byte("Bearer "+sealed)) {
		return fmt.Errorf("%s: %s", path, body)
	}
	return nil
}

// 500 MB up and down, with memory for a window.
func TestConstantMemory(t *testing.T) {
	size := int64(500 << 20)
	if raceEnabled { // which is slow, and keeps memory of its own
		size = 16 << 20
	}
	var got int64
	r := newRig(t, Destination{Host: host})
	server := r.server.Config.Handler
	r.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Bearer "+secret {
			server.ServeHTTP(w, req)
			return
		}
		got, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.Copy(w, io.LimitReader(filler{}, size))
	})
	req := newRequest(t, "POST", "https://"+host+"/", "application/octet-stream", "")
	req.Body, req.ContentLength = io.NopCloser(io.LimitReader(filler{}, size)), size
	req.Header.Set("Authorization", "Bearer "+r.seal(secret))
	peak := peakHeap(t, func() {
		resp, err := r.relay.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.Equal(t, size, n)
	})
	require.Equal(t, size, got)
	require.Less(t, peak, uint64(32<<20))
}

// filler is text that is full of almost-sealed and almost-echoed values.
type filler struct{}

const filling = "tv1.eyJhbGciOiJBMjU2S1ci s3cr3t-token-of-the-third-part %41 \\u0073 the quick brown fox jumps over the lazy dog\n"

func (filler) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], filling)
	}
	return n, nil
}

// peakHeap is the most that the heap grew while f ran.
func peakHeap(t *testing.T, f func()) uint64 {
	t.Helper()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC()
	before, peak := heap(), uint64(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return peak
		case <-tick.C:
			if h := heap(); h > before {
				peak = max(peak, h-before)
			}
		}
	}
}

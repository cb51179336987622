package phantom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
)

// instant answers introspections without a network, each token with a JWT of
// about 730 bytes.
func instant() *http.Client {
	claims := `{"iss":"https://as.example","sub":"user-%s","aud":"https://api.example","client_id":"app","scope":"read write","exp":4102444800,"iat":1800000000,"jti":"%s","pad":"` + strings.Repeat("x", 260) + `"}`
	header, signature := b64(`{"alg":"RS256","typ":"at+jwt","kid":"k1"}`), strings.Repeat("c2ln", 15)
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		token := strings.TrimPrefix(strings.Split(string(body), "&")[0], "token=")
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/jwt"}},
			Body: io.NopCloser(strings.NewReader(header + "." + b64(fmt.Sprintf(claims, token, token)) + "." + signature)),
		}, err
	})}
}

// filled is an Exchanger that knows the tokens token-0 to token-<n-1>.
func filled(b *testing.B, n int) *phantom.Exchanger {
	b.Helper()
	ex, err := phantom.New(phantom.Config{
		Endpoint: "https://as.example/introspect", Auth: clientauth.None("gateway"), Client: instant(),
		CacheSize: n + n/8 + 16, MaxTTL: 1 << 50, Scopes: []string{"read"}, Audience: []string{"https://api.example"},
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if _, err := ex.Exchange(context.Background(), fmt.Sprintf("token-%d", i)); err != nil {
			b.Fatal(err)
		}
	}
	return ex
}

func tokens(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("token-%d", i)
	}
	return out
}

// The figure of the package comment is B/entry.
func BenchmarkExchangeCached(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		var ex *phantom.Exchanger // filled once, however often the benchmark is called
		var perEntry float64
		names := tokens(n)
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			if ex == nil {
				before := heap()
				ex = filled(b, n)
				perEntry = float64(heap()-before) / float64(n)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if _, err := ex.Exchange(context.Background(), names[(i*7919)%n]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(perEntry, "B/entry")
		})
		if ex != nil {
			_ = ex.Close()
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkExchangeCachedParallel(b *testing.B) {
	ex := filled(b, 1000)
	defer ex.Close()
	names := tokens(1000)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := ex.Exchange(context.Background(), names[i%len(names)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkHandler(b *testing.B) {
	bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	ex := filled(b, 1)
	defer ex.Close()
	for name, h := range map[string]http.Handler{"bare": bare, "phantom": ex.Handler(bare)} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = http.Header{
				"Authorization": {"Bearer token-0"}, "Accept": {"*/*"}, "User-Agent": {"bench"}, "Accept-Encoding": {"gzip"},
			}
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for range b.N {
				h.ServeHTTP(w, r)
			}
		})
	}
}

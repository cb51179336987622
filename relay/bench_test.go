package relay

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// BenchmarkJudge is what the relay adds to a round trip: everything but the
// wire.
func BenchmarkJudge(b *testing.B) {
	answer := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Thu, 01 Jan 2026 00:00:00 GMT"}}, ContentLength: 13, Body: io.NopCloser(strings.NewReader(`{"ok": "yes"}`))}, nil
	})
	r := newRigWith(b, rigConfig{config: Config{Base: answer, Destinations: []Destination{{Host: host, Routes: []string{"GET /v1/"}}}}})
	r.relay.observe = nil
	sealed := r.seal(strings.Repeat("x", 1024))
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := r.keys.Open(context.Background(), sealed, tokenvault.Use{Host: host}); err != nil {
				b.Fatal(err)
			}
		}
	})
	req := newRequest(b, "GET", "https://"+host+"/v1/x", "", "")
	for name, value := range map[string]string{"none": "", "sealed header": "Bearer " + sealed} {
		req := req.Clone(context.Background())
		if value != "" {
			req.Header.Set("Authorization", value)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := r.relay.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}

func BenchmarkGuard(b *testing.B) {
	text := bytes.Repeat([]byte(`{"id":12345,"name":"the quick brown fox","url":"https://example.com/a/b"},`), 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var s seen
		s.count(text)
	}
}

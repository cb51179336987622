package phantom_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// BenchmarkGoodTokensDuringAFlood reports how long a known token takes at the
// 99th percentile, before and while 100 000 unknown ones come in as fast as a
// real server answers.
func BenchmarkGoodTokensDuringAFlood(b *testing.B) {
	srv := phantomtest.NewServer()
	defer srv.Close()
	srv.Answer(opaque, phantomtest.Answer{Claims: m{"sub": "a"}})
	client := *srv.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	ex, err := phantom.New(phantom.Config{Endpoint: srv.URL(), Auth: clientauth.None("gateway"), Client: &client, MaxInFlight: 16})
	require.NoError(b, err)
	defer ex.Close()
	p99 := func() time.Duration {
		took := make([]time.Duration, 0, 2000)
		for range cap(took) {
			start := time.Now()
			_, err := ex.Exchange(context.Background(), opaque)
			took = append(took, time.Since(start))
			require.NoError(b, err)
			<-time.After(200 * time.Microsecond)
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	for b.Loop() {
		before := p99()
		var flood sync.WaitGroup
		for s := range 8 {
			flood.Go(func() {
				for i := range 100_000 / 8 {
					_, _ = ex.Exchange(context.Background(), fmt.Sprintf("random-%d-%d", s, i))
				}
			})
		}
		during := p99()
		flood.Wait()
		b.ReportMetric(float64(before.Microseconds()), "p99-before-us")
		b.ReportMetric(float64(during.Microseconds()), "p99-during-us")
	}
}

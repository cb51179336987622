package leaktest

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNoneFindsEveryAlignment(t *testing.T) {
	t.Parallel()
	const secret = `s3cret"/value+é`
	for _, prefix := range []string{"", "a", "ab", "abc", "user:"} {
		for _, suffix := range []string{"", "z", "zz", "zzz"} {
			text := base64.StdEncoding.EncodeToString([]byte(prefix + secret + suffix))
			require.NotEmpty(t, Find([]byte("x"+text+"y"), secret), "%q %q", prefix, suffix)
		}
	}
	require.Empty(t, Find([]byte("nothing here"), secret))
}

func TestNoneFailsOnALeak(t *testing.T) {
	t.Parallel()
	inner := &recorder{TB: t}
	None(inner, []byte("log line with top-secret-token"), "top-secret-token")
	require.True(t, inner.failed)
	None(t, []byte("log line with nothing"), "top-secret-token")
}

// Parallel tests of this package wait while it runs, and count as ours: the
// test looks for one goroutine among them.
func TestGoroutinesSeesOneOfOurs(t *testing.T) {
	stop, gone := make(chan struct{}), make(chan struct{})
	go func() { waitFor(stop); close(gone) }()
	require.Contains(t, Goroutines(50*time.Millisecond), "leaktest.waitFor")
	close(stop)
	<-gone
	require.NotContains(t, running(), "leaktest.waitFor")
}

func waitFor(c chan struct{}) { <-c }

type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Helper()               {}

package vault_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// hangsUp closes the connection of the requests for which when holds, after it
// has read them and written last, and counts all.
func hangsUp(t *testing.T, last string, when func(n int64) bool) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	posts := new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if when(posts.Add(1)) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, last)
				_ = c.Close()
			}
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"a","token_type":"bearer"}`)
	}))
	t.Cleanup(srv.Close)
	return srv, posts
}

// A server ends a connection that it has kept too long just as a code arrives,
// which is no fault of the user who logs in.
func TestExchange_IsSentAgainOnceWhenAKeptConnectionDies(t *testing.T) {
	t.Parallel()
	srv, posts := hangsUp(t, "", func(n int64) bool { return n == 2 })
	f := overWire(t, srv.URL, srv.Client())
	require.NoError(t, f.vault.Exchange(t.Context(), "first", "alice", "as", "code"))
	require.NoError(t, f.vault.Exchange(t.Context(), "second", "alice", "as", "code"))
	require.EqualValues(t, 3, posts.Load())
}

func TestExchange_IsNotSentAgainWhenANewConnectionDies(t *testing.T) {
	t.Parallel()
	srv, posts := hangsUp(t, "", func(n int64) bool { return n == 1 })
	f := overWire(t, srv.URL, srv.Client())
	require.ErrorIs(t, f.vault.Exchange(t.Context(), "first", "alice", "as", "code"), vault.ErrReauthorize)
	require.EqualValues(t, 1, posts.Load())
	require.Zero(t, f.store.writes.Load())
}

func TestExchange_IsSentAgainNoMoreThanOnce(t *testing.T) {
	t.Parallel()
	srv, posts := hangsUp(t, "", func(n int64) bool { return n > 1 })
	f := overWire(t, srv.URL, srv.Client())
	require.NoError(t, f.vault.Exchange(t.Context(), "first", "alice", "as", "code"))
	require.ErrorIs(t, f.vault.Exchange(t.Context(), "second", "alice", "as", "code"), vault.ErrReauthorize)
	require.EqualValues(t, 3, posts.Load())
}

func TestExchange_IsNotSentAgainOnceAnAnswerHasBegun(t *testing.T) {
	t.Parallel()
	srv, posts := hangsUp(t, "HTTP/1.1 200 OK\r\n", func(n int64) bool { return n == 2 })
	f := overWire(t, srv.URL, srv.Client())
	require.NoError(t, f.vault.Exchange(t.Context(), "first", "alice", "as", "code"))
	require.ErrorIs(t, f.vault.Exchange(t.Context(), "second", "alice", "as", "code"), vault.ErrReauthorize)
	require.EqualValues(t, 2, posts.Load())
}

func TestExchange_IsNotSentAgainOnceTheCallerHasLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv, posts := hangsUp(t, "", func(n int64) bool {
		if n == 2 {
			cancel()
		}
		return n == 2
	})
	f := overWire(t, srv.URL, srv.Client())
	require.NoError(t, f.vault.Exchange(t.Context(), "first", "alice", "as", "code"))
	require.ErrorIs(t, f.vault.Exchange(ctx, "second", "alice", "as", "code"), vault.ErrReauthorize)
	require.EqualValues(t, 2, posts.Load())
}

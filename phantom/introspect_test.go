package phantom_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// countedBody counts how often it is closed; fail comes after the text.
type countedBody struct {
	io.Reader
	closed *atomic.Int32
}

func (b countedBody) Close() error { b.closed.Add(1); return nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Answers as they come from the transport, whichever server sent them.
func TestAnswersOfTheTransport(t *testing.T) {
	t.Parallel()
	const active = `{"active":true}`
	json := []string{"application/json"}
	for _, c := range []struct {
		rule   string
		types  []string
		status int
		body   io.Reader
		want   error
	}{
		{"one Content-Type", json, 200, strings.NewReader(active), nil},
		{"none", nil, 200, strings.NewReader(active), phantom.ErrResponse},
		{"two", []string{"application/json", "application/jwt"}, 200, strings.NewReader(active), phantom.ErrResponse},
		{"one that does not parse", []string{"application/json; charset"}, 200, strings.NewReader(active), phantom.ErrResponse},
		{"a body that ends early", json, 200, io.MultiReader(strings.NewReader(active), failing{io.ErrUnexpectedEOF}), phantom.ErrResponse},
		{"a body that takes too long", json, 200, io.MultiReader(strings.NewReader(active), failing{os.ErrDeadlineExceeded}), phantom.ErrUnavailable},
		{"a refusal", json, 400, strings.NewReader(active), phantom.ErrResponse},
		{"too many requests", json, 429, strings.NewReader(active), phantom.ErrUnavailable},
		{"no content", nil, 204, strings.NewReader(""), phantom.ErrInactive},
	} {
		var closed, calls atomic.Int32
		ex, err := phantom.New(phantom.Config{
			Endpoint: "https://as.example/i", Auth: clientauth.None("gateway"),
			Client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				calls.Add(1)
				return &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": c.types}, Body: countedBody{c.body, &closed}, Request: r}, nil
			})},
		})
		require.NoError(t, err)
		_, err = exchange(t, ex)
		require.ErrorIs(t, err, c.want, c.rule)
		require.NoError(t, ex.Close())
		require.EqualValues(t, 1, calls.Load(), c.rule)
		require.Positive(t, closed.Load(), "%s: the body is closed", c.rule)
	}
}

// A Client with a timeout of its own, and Auth that waits: both are 504, once.
func TestTimeoutsOfOthersAreTimeouts(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Claims: m{}, Delay: time.Minute})
	slow := func(c *phantom.Config) {
		own := *c.Client
		own.Timeout = 300 * time.Millisecond
		c.Client, c.Timeout = &own, time.Minute
	}
	w := get(newExchanger(t, srv, slow).Handler(&seen{}), authorization("Bearer "+opaque))
	require.Equal(t, http.StatusGatewayTimeout, w.Code)
	require.Equal(t, 1, srv.Total())

	waits := func(c *phantom.Config) {
		c.Timeout = 50 * time.Millisecond
		c.Auth = func(ctx context.Context, _ string, _ http.Header, _ url.Values) error {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	w = get(newExchanger(t, srv, waits).Handler(&seen{}), authorization("Bearer "+opaque))
	require.Equal(t, http.StatusGatewayTimeout, w.Code)
	require.Equal(t, 1, srv.Total())
}

// Auth is asked for the client's name, too: failing then is failing.
func TestAuthThatFailsOnceSendsNothing(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	var calls atomic.Int32
	ex := newExchanger(t, srv, func(c *phantom.Config) {
		basic := c.Auth
		c.Auth = func(ctx context.Context, endpoint string, h http.Header, form url.Values) error {
			if calls.Add(1) == 1 {
				return errors.New("no key: " + opaque)
			}
			return basic(ctx, endpoint, h, form)
		}
	})
	_, err := exchange(t, ex)
	require.ErrorIs(t, err, phantom.ErrResponse)
	require.NotContains(t, err.Error(), opaque)
	require.Zero(t, srv.Total())
	_, err = exchange(t, ex)
	require.NoError(t, err)
}

// Nor is what it has cached shared under no name, with whoever has none.
func TestAuthThatFailsOnceDoesNotChangeSharedNames(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	cache := newMemoryCache()
	var calls atomic.Int32
	ex := newExchanger(t, srv, withCache(cache), func(c *phantom.Config) {
		basic := c.Auth
		c.Auth = func(ctx context.Context, endpoint string, h http.Header, form url.Values) error {
			if calls.Add(1) == 1 {
				return errors.New("no key yet")
			}
			return basic(ctx, endpoint, h, form)
		}
	})
	_, _ = exchange(t, ex)
	require.NoError(t, ex.Evict(t.Context(), opaque))
	_, err := exchange(t, ex)
	require.NoError(t, err)
	before := srv.Total()
	_, err = exchange(t, newExchanger(t, srv, withCache(cache)))
	require.NoError(t, err)
	require.Equal(t, before, srv.Total(), "found under the name that both give it")
}

func TestCloseEndsConnectionsOfItsOwn(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true}`)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			close(closed)
		}
	}
	srv.Start()
	defer srv.Close()
	ex, err := phantom.New(phantom.Config{Endpoint: srv.URL, Auth: clientauth.None("gateway"), InsecureHTTP: true})
	require.NoError(t, err)
	_, err = exchange(t, ex)
	require.NoError(t, err)
	require.NoError(t, ex.Close())
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection is still open")
	}
}

package phantomtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func ask(srv *phantomtest.Server, token string) (*http.Response, error) {
	return srv.Client().Post(srv.URL(), "application/x-www-form-urlencoded", strings.NewReader(url.Values{"token": {token}}.Encode()))
}

func TestServer(t *testing.T) {
	t.Parallel()
	srv := phantomtest.NewServer()
	defer srv.Close()
	srv.Answer("jwt", phantomtest.Answer{Format: phantom.JWT, Claims: map[string]any{"sub": "alice"}})
	srv.Answer("signed", phantomtest.Answer{Format: phantom.Introspection, Claims: map[string]any{}})
	srv.Answer("json", phantomtest.Answer{Claims: map[string]any{}})
	srv.Answer("busy", phantomtest.Answer{Status: http.StatusServiceUnavailable})
	for _, c := range []struct {
		token, contentType string
		status             int
	}{
		{"jwt", "application/jwt", 200},
		{"signed", "application/token-introspection+jwt", 200},
		{"json", "application/json", 200},
		{"unknown", "application/json", 200},
		{"busy", "application/json", 503},
	} {
		resp, err := ask(srv, c.token)
		require.NoError(t, err, c.token)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, c.token)
		require.Equal(t, c.contentType, resp.Header.Get("Content-Type"), c.token)
		require.Equal(t, 1, srv.Calls(c.token))
		require.Equal(t, c.token, srv.Last().Form.Get("token"))
	}
	require.Equal(t, 5, srv.Total())
	require.Equal(t, 1, srv.Peak())
	srv.Answer("gone", phantomtest.Answer{Drop: true})
	_, err := ask(srv, "gone")
	require.Error(t, err)
}

func TestHold(t *testing.T) {
	t.Parallel()
	srv := phantomtest.NewServer()
	defer srv.Close()
	release := srv.Hold()
	done := make(chan error, 2)
	for range 2 {
		go func() {
			resp, err := ask(srv, "a")
			if err == nil {
				err = resp.Body.Close()
			}
			done <- err
		}()
	}
	require.NoError(t, srv.AwaitHeld(t.Context(), 2))
	require.Empty(t, done)
	release()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.Equal(t, 2, srv.Peak())
}

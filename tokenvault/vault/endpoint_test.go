package vault_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// overWire is a vault whose provider is a real HTTP server.
func overWire(t *testing.T, server string, client *http.Client) *fixture {
	t.Helper()
	return setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.OAuth2.Endpoint.TokenURL, p.RevocationURL = server+"/token", server+"/revoke"
		p.InsecureHTTP, p.Client = true, client
	})
}

func TestEndpoint_NothingListensIsNeverSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	f := overWire(t, "http://"+l.Addr().String(), nil)
	f.connect("g", "alice", -time.Minute)
	err = f.vault.Refresh(t.Context(), "g", "alice")
	require.ErrorIs(t, err, vault.ErrUnavailable)
	require.ErrorContains(t, err, "not sent")
	require.Empty(t, f.row("g").Holder, "the lease is given back")
}

// accepts counts connections that are closed as soon as what they brought has
// been read.
func accepts(t *testing.T) (url string, requests *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	requests = new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			if n, _ := io.ReadAtLeast(c, buf, 300); strings.Contains(string(buf[:n]), "refresh_token") {
				requests.Add(1)
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return "http://" + l.Addr().String(), requests
}

func TestEndpoint_AConnectionClosedAfterTheFormIsUnansweredAndNotRetried(t *testing.T) {
	t.Parallel()
	url, requests := accepts(t)
	f := overWire(t, url, nil)
	f.connect("g", "alice", -time.Minute)
	err := f.vault.Refresh(t.Context(), "g", "alice")
	require.ErrorIs(t, err, vault.ErrUnavailable)
	require.NotContains(t, err.Error(), "not sent")
	require.EqualValues(t, 1, requests.Load())
	row := f.row("g")
	require.NotEmpty(t, row.Holder)
	require.NotZero(t, row.Intent)
}

// A transport repeats a request on a kept-alive connection that turns out to be
// closed, if it can: the form must not be one it can repeat.
func TestEndpoint_AKeptConnectionThatDiesIsNotRetried(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if posts.Add(1) == 2 {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"a","token_type":"bearer","refresh_token":"r2"}`)
	}))
	defer srv.Close()
	f := overWire(t, srv.URL, srv.Client())
	f.connect("g", "alice", -time.Minute)
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	require.ErrorIs(t, f.vault.Refresh(t.Context(), "g", "alice"), vault.ErrUnavailable)
	require.EqualValues(t, 2, posts.Load())
	require.NotZero(t, f.row("g").Intent)
}

func TestEndpoint_ARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer away.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(away.URL, status))
		f := overWire(t, srv.URL, srv.Client())
		f.connect("g", "alice", -time.Minute)
		require.ErrorIs(t, f.vault.Refresh(t.Context(), "g", "alice"), vault.ErrUnavailable)
		srv.Close()
	}
	require.Zero(t, followed.Load())
}

func TestEndpoint_TheCallersClientIsNotAltered(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: newServer()}
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.Client = client })
	f.connect("g", "alice", -time.Minute)
	require.Nil(t, client.CheckRedirect)
}

func TestEndpoint_AnAnswerThatBreaksOffIsUnanswered(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"access_token":"a"`)
	}))
	defer srv.Close()
	f := overWire(t, srv.URL, srv.Client())
	f.connect("g", "alice", -time.Minute)
	require.ErrorIs(t, f.vault.Refresh(t.Context(), "g", "alice"), vault.ErrUnavailable)
	require.NotZero(t, f.row("g").Intent)
}

func TestEndpoint_AClientThatCannotAuthenticateSendsNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.OAuth2.ClientSecret = ""
		p.Auth = func(context.Context, string, http.Header, url.Values) error { return errStoreDown }
	})
	f.connect("g", "alice", -time.Minute)
	err := f.vault.Refresh(t.Context(), "g", "alice")
	require.ErrorIs(t, err, vault.ErrUnavailable)
	require.ErrorIs(t, err, errStoreDown)
	require.Empty(t, f.as.requests)
	require.Empty(t, f.row("g").Holder)
}

func TestEndpoint_TheMethodIsToldTheEndpoint(t *testing.T) {
	t.Parallel()
	var endpoints []string
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.OAuth2.ClientSecret = ""
		p.Auth = func(_ context.Context, endpoint string, _ http.Header, form url.Values) error {
			endpoints = append(endpoints, endpoint)
			form["client_assertion"] = []string{"jwt"}
			return nil
		}
	})
	f.connect("g", "alice", time.Hour)
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	require.NoError(t, f.vault.Revoke(t.Context(), "g", "alice"))
	require.Equal(t, []string{tokenURL, revokeURL, revokeURL}, endpoints)
	for _, r := range f.as.requests {
		require.Equal(t, "jwt", r.form.Get("client_assertion"))
		require.Empty(t, r.authorization)
	}
}

func TestEndpoint_APublicClientSendsItsIDAlone(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.OAuth2 = &oauth2.Config{ClientID: "client", Endpoint: oauth2.Endpoint{TokenURL: tokenURL}}
	})
	f.connect("g", "alice", time.Hour)
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	require.Equal(t, "client", f.as.requests[0].form.Get("client_id"))
	require.Empty(t, f.as.requests[0].authorization)
}

// HTTP/2 repeats a request that the server refused by GOAWAY, if it can.
func TestEndpoint_TheFormCannotBeRepeated(t *testing.T) {
	t.Parallel()
	as := newServer()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			require.Nil(t, r.GetBody)
			require.Positive(t, r.ContentLength)
			require.NotContains(t, r.Header, "Idempotency-Key")
			return as.RoundTrip(r)
		})}
	})
	f.as = as
	f.connect("g", "alice", time.Hour)
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
}

// A transport that reads the form before it dials, as a relay does.
func TestEndpoint_AFormThatWasReadButNotWrittenIsNeverSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	f := overWire(t, "http://"+l.Addr().String(), &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		form, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		out := r.Clone(r.Context())
		out.Body = io.NopCloser(strings.NewReader(string(form)))
		return http.DefaultTransport.RoundTrip(out)
	})})
	f.connect("g", "alice", -time.Minute)
	require.ErrorContains(t, f.vault.Refresh(t.Context(), "g", "alice"), "not sent")
	require.Empty(t, f.row("g").Holder)
}

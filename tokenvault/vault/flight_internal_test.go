package vault

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// joiningContext tells when its owner begins to wait.
type joiningContext struct {
	context.Context
	once   sync.Once
	joined chan struct{}
}

func (c *joiningContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.joined) })
	return c.Context.Done()
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Who joins a flight just as it lands with the generation that is no longer
// wanted, as after a 401 to its token, starts the next one.
func TestFlight_ThatLandsWithTheStaleGenerationIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	ring, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	posts := 0
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		posts++
		body := io.NopCloser(bytes.NewReader([]byte(`{"access_token":"new"}`)))
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: r}, nil
	})}
	v, err := New(Config{Sealer: ring, Providers: []*Provider{{
		Name: "as", Hosts: []string{"api.example.com"}, Client: client,
		OAuth2: &oauth2.Config{ClientID: "client", Endpoint: oauth2.Endpoint{TokenURL: "https://as.example.com/token"}},
	}}})
	require.NoError(t, err)
	require.NoError(t, v.Put(t.Context(), "g", "alice", "as", &oauth2.Token{AccessToken: "old", RefreshToken: "r", Expiry: time.Now().Add(time.Hour)}))

	landing := &flight{done: make(chan struct{}), grant: &grant{Generation: 1, Access: "old"}}
	v.flights["g"] = landing
	got := make(chan *grant, 1)
	joined := &joiningContext{Context: t.Context(), joined: make(chan struct{})}
	go func() {
		g, _ := v.renewed(joined, "g", "alice", 1)
		got <- g
	}()
	<-joined.joined
	v.mu.Lock()
	delete(v.flights, "g")
	v.mu.Unlock()
	close(landing.done)
	require.Equal(t, "new", (<-got).Access)
	require.Equal(t, 1, posts)
	require.NoError(t, v.Close(t.Context()))
}

package relay

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v74/github"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"

// A service records what it is sent and answers with f.
type service struct {
	*httptest.Server
	host string

	mu     sync.Mutex
	bearer []string
	bodies []string
}

func newService(t *testing.T, http2 bool, f http.HandlerFunc) *service {
	s := new(service)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bearer = append(s.bearer, r.Header.Get("Authorization"))
		s.bodies = append(s.bodies, string(body))
		s.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		f(w, r)
	}))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(func() {
		s.Client().CloseIdleConnections()
		s.Close()
	})
	s.host = strings.TrimPrefix(s.URL, "https://")
	return s
}

func (s *service) relay(t *testing.T, d relay.Destination) (*relay.Transport, string) {
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	d.Host = s.host
	transport, err := relay.New(relay.Config{Sealer: keys, Destinations: []relay.Destination{d}, Base: s.Client().Transport})
	require.NoError(t, err)
	sealed, err := keys.Seal(context.Background(), []byte(secret), tokenvault.Label{Hosts: []string{s.host}, Subject: "alice"})
	require.NoError(t, err)
	return transport, sealed
}

// github answers as api.github.com does for the calls below.
func githubAPI(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("X-RateLimit-Limit", "5000")
		if r.Header.Get("Authorization") != "Bearer "+secret {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message":"Bad credentials"}`)
			return
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /api/v3/user":
			_, _ = io.WriteString(w, `{"login":"alice","id":9007199254740993,"bio":"my token is `+secret+`"}`)
		case "GET /api/v3/user/repos":
			if r.URL.Query().Get("page") == "" {
				w.Header().Set("Link", `<https://`+r.Host+`/api/v3/user/repos?page=2>; rel="next"`)
			}
			_, _ = io.WriteString(w, `[{"name":"repo`+r.URL.Query().Get("page")+`"}]`)
		case "POST /api/v3/repos/alice/repo/issues":
			var in struct{ Title, Body string }
			if json.NewDecoder(r.Body).Decode(&in) != nil {
				t.Error("the body is not JSON")
			}
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(map[string]any{"number": 1, "title": in.Title})
		case "GET /api/v3/repos/alice/old":
			http.Redirect(w, r, "/api/v3/user", http.StatusMovedPermanently)
		case "POST /api/v3/app/installations/1/access_tokens":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"token":"`+secret+`","expires_at":"2099-01-01T00:00:00Z"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"Not Found"}`)
		}
	}
}

func TestGoGitHub(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		api := newService(t, http2, githubAPI(t))
		transport, sealed := api.relay(t, relay.Destination{Routes: []string{"/api/v3/"}, Seal: []relay.Field{{At: "$.token"}}})
		client, err := github.NewClient(&http.Client{Transport: transport.As("alice")}).WithAuthToken(sealed).WithEnterpriseURLs(api.URL, api.URL)
		require.NoError(t, err)
		ctx := context.Background()

		user, _, err := client.Users.Get(ctx, "")
		require.NoError(t, err)
		require.Equal(t, "alice", user.GetLogin())
		require.EqualValues(t, int64(9007199254740993), user.GetID())
		require.Equal(t, "my token is "+sealed, user.GetBio(), "an echo comes back sealed")

		repos, resp, err := client.Repositories.ListByAuthenticatedUser(ctx, nil)
		require.NoError(t, err)
		require.Len(t, repos, 1)
		require.Equal(t, 2, resp.NextPage, "headers pass")
		require.Equal(t, 5000, resp.Rate.Limit)

		issue, _, err := client.Issues.Create(ctx, "alice", "repo", &github.IssueRequest{Title: github.Ptr("a \"title\"")})
		require.NoError(t, err)
		require.Equal(t, `a "title"`, issue.GetTitle())

		_, _, err = client.Repositories.Get(ctx, "alice", "old")
		require.NoError(t, err, "a redirect on the same host")

		token, _, err := client.Apps.CreateInstallationToken(ctx, 1, nil)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(token.GetToken(), tokenvault.Prefix))

		sent := len(api.bearer)
		_, _, err = client.Issues.Create(ctx, "alice", "repo", &github.IssueRequest{Body: github.Ptr("look: " + sealed)})
		require.ErrorIs(t, err, relay.ErrPlace)
		require.Len(t, api.bearer, sent, "nothing is sent")
		_, _, err = github.NewClient(&http.Client{Transport: transport.As("bob")}).WithAuthToken(sealed).Users.Get(ctx, "")
		require.Error(t, err, "api.github.com is no destination here")
		leaktest.None(t, []byte(err.Error()+user.String()+token.GetToken()), secret)
	}
}

// A retrying client sends the body again; it is opened again.
func TestRetryableHTTP(t *testing.T) {
	var calls int
	api := newService(t, false, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "done")
	})
	transport, sealed := api.relay(t, relay.Destination{Open: []string{"header:Authorization", "json:$.password"}})
	client := retryablehttp.NewClient()
	client.Logger, client.RetryWaitMin, client.RetryWaitMax = nil, time.Millisecond, 2*time.Millisecond
	client.HTTPClient = &http.Client{Transport: transport}
	req, err := retryablehttp.NewRequestWithContext(relay.WithSubject(context.Background(), "alice"), "POST", api.URL+"/", []byte(`{"password":"`+sealed+`"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+sealed)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "done", string(body))
	require.Equal(t, []string{"Bearer " + secret, "Bearer " + secret, "Bearer " + secret}, api.bearer)
	require.Equal(t, `{"password":"`+secret+`"}`, api.bodies[2])
}

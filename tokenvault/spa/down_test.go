package spa_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

// A 401 would tell the application that its user is logged out.
func TestRefusedTokenThatCannotBeRenewedNowIs503(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	refuseUnless(f)
	f.as.kill()
	f.as.answer(503)
	res := f.do(request("GET", "/v1/x", ""))
	require.Equal(t, 503, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	require.NotEmpty(t, f.cookie)
}

// An upstream on a Unix socket that is not there is no grant that is not there.
func TestUpstreamSocketThatIsNotThereIs502(t *testing.T) {
	t.Parallel()
	f := setup(t, func(f *fixture) { f.config.Base = gone{} })
	f.login()
	require.Equal(t, 502, f.do(request("GET", "/v1/x", "")).StatusCode)
}

type gone struct{}

func (gone) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)}
}

// The server sends a logout token again when it was answered 503.
func TestLogoutTokenMayComeAgainIfItsMarkWasNotWritten(t *testing.T) {
	t.Parallel()
	c := newClock()
	tokens := logoutTokens{"jwt": {
		"iss": "https://as.example.com", "aud": "spa", "iat": c.Now().Unix(), "jti": "j", "sub": "ada",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}}
	sessions := &failsOnce{Sessions: spa.NewMemorySessions(c.Now)}
	f := setup(t, func(f *fixture) {
		f.config.Now, f.config.VerifyLogout, f.config.Sessions = c.Now, tokens.verify, sessions
	})
	f.login()
	sessions.armed.Store(true)
	require.Equal(t, 503, f.backchannel("jwt"))
	require.Equal(t, 200, f.backchannel("jwt"))
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Equal(t, 400, f.backchannel("jwt"), "replayed")
}

type failsOnce struct {
	spa.Sessions
	armed atomic.Bool
}

func (s *failsOnce) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if s.armed.Swap(false) {
		return errors.New("connection reset")
	}
	return s.Sessions.Set(ctx, key, value, ttl)
}

// While the server hangs, those who ask share one request, each for as long as
// it likes to wait.
func TestDiscoveryIsWaitedForTogetherAndNotForLong(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-release
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(hangs.Close)
	f := setup(t, func(f *fixture) { f.config.Issuer, f.config.Endpoints = hangs.URL, spa.Endpoints{} })
	ask := func(ctx context.Context) int {
		w := httptest.NewRecorder()
		f.proxy.ServeHTTP(w, request("GET", "/oauth2/authorize?client_id=spa", "").WithContext(ctx))
		return w.Code
	}
	statuses := make(chan int, 5)
	for range cap(statuses) {
		go func() { statuses <- ask(t.Context()) }()
	}
	require.Eventually(t, func() bool { return asked.Load() == 1 }, 5*time.Second, time.Millisecond)
	hasty, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, 503, ask(hasty), "though nobody has answered yet")
	close(release)
	for range cap(statuses) {
		require.Equal(t, 503, <-statuses)
	}
}

// The implicit flow's answer would bring a token to the browser.
func TestAuthorizeIsForCodesOnly(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for query, status := range map[string]int{
		"client_id=spa": 302, "client_id=spa&response_type=code": 302,
		"client_id=spa&response_type=token": 400, "client_id=spa&response_type=code+token": 400, "client_id=spa&response_type=code+id_token": 400,
		"client_id=spa&response_type=code&response_type=token": 400, "client_id=spa&client_id=spa": 400, "client_id=other": 400, "": 400,
	} {
		require.Equal(t, status, f.send(request("GET", "/oauth2/authorize?"+query, "")).StatusCode, query)
	}
}

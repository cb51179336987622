package phantom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeysAreLengthPrefixed(t *testing.T) {
	t.Parallel()
	root := []byte("root")
	base := newKeyer(root, "a", "bc").key("token")
	require.Equal(t, base, newKeyer(root, "a", "bc").key("token"))
	require.NotEqual(t, base, newKeyer(root, "ab", "c").key("token"))
	require.NotEqual(t, base, newKeyer(root, "a", "b", "c").key("token"))
	require.NotEqual(t, base, newKeyer(root, "a", "bc").key("token2"))
	require.NotEqual(t, base, newKeyer([]byte("other"), "a", "bc").key("token"))
}

func TestTheKeyerKeepsNoToken(t *testing.T) {
	t.Parallel()
	k := newKeyer([]byte("root"))
	k.key(strings.Repeat("secret", 100))
	s := k.pool.Get().(*keyerState)
	require.NotContains(t, string(s.scratch[:cap(s.scratch)]), "secret")
}

func TestAcceptHeader(t *testing.T) {
	t.Parallel()
	require.Equal(t, "application/jwt", acceptHeader([]Format{JWT}))
	require.Equal(t, "application/json, application/jwt;q=0.9, application/token-introspection+jwt;q=0.8",
		acceptHeader([]Format{JSON, JWT, Introspection}))
}

func TestSentinelsAreKept(t *testing.T) {
	t.Parallel()
	require.NoError(t, sentinel(nil))
	require.Equal(t, ErrResponse, sentinel(unusable("x")))
	require.Equal(t, ErrUnavailable, sentinel(errOverload))
	require.Equal(t, ErrUnavailable, sentinel(errSharedBusy), "nothing unknown gets out")
}

func TestASealedValueEndsAtItsDeadlineWhateverTheCacheThinks(t *testing.T) {
	t.Parallel()
	roots, err := newRoots(make([]byte, cacheKeyLen))
	require.NoError(t, err)
	now := time.Unix(1_800_000_000, 0)
	s := &sharedTier{cfg: &Config{Now: func() time.Time { return now }}, roots: roots}
	seal := func(subject string) []byte {
		sealed, err := s.seal("name", time.Unix(1_800_000_060, 0).UnixNano(), record{Subject: subject})
		require.NoError(t, err)
		return sealed
	}
	value := seal("alice")
	require.NotEqual(t, value, seal("alice"), "no nonce comes twice")
	spare := maxSealed - len(seal("x"))
	longest, tooLong := seal(strings.Repeat("x", spare+1)), seal(strings.Repeat("x", spare+2))
	require.True(t, len(longest) == maxSealed && len(tooLong) == maxSealed+1)
	now = time.Unix(1_800_000_060, -1)
	var r record
	require.NoError(t, s.open("name", value, &r))
	require.Equal(t, "alice", r.Subject)
	require.NoError(t, s.open("name", longest, &r))
	require.ErrorIs(t, s.open("name", tooLong, &r), errSealed)
	now = time.Unix(1_800_000_060, 0)
	require.ErrorIs(t, s.open("name", value, &r), errSealed)
}

// Whatever the server answers, nothing of it panics, and what is taken for active
// says so in a way that the standard library agrees with.
func FuzzAnswer(f *testing.F) {
	seeds := []string{
		`{"active":true}`, `{"active":false}`, `{"active":"true"}`, `{"active":true,"active":false}`, `{"Active":true}`,
		`{"active":true,"exp":1e400,"aud":["a",null],"scope":["a"]}`, `{"active":true,"jwt":"a.b.c"}`, `[]`, `{`, ``, "\xff",
		`{"active":true,"phantom_token":"eyJhbGciOiJFUzI1NiJ9.e30.c2ln"}`, `eyJhbGciOiJFUzI1NiJ9.e30.c2ln`, `{"active":true} `,
		`{"active":true,"":1e700}`,
	}
	for _, s := range seeds {
		f.Add(string(JSON), []byte(s))
		f.Add(string(JWT), []byte(s))
	}
	rd := reader{cfg: &Config{Accept: []Format{JWT, JSON}}}
	f.Fuzz(func(t *testing.T, format string, body []byte) {
		g, err := rd.read(t.Context(), reply{format: Format(format), body: body})
		if err != nil {
			require.True(t, sentinel(err) == ErrResponse || sentinel(err) == ErrInactive)
			return
		}
		if g.bearer != "" {
			require.Len(t, strings.Split(g.jwt(), "."), 3)
		}
		var claims map[string]json.RawMessage // any would refuse numbers beyond a float64
		require.NoError(t, Token{g}.Decode(&claims))
		if Format(format) == JSON {
			var answer struct {
				Active *bool `json:"active"`
			}
			require.NoError(t, json.Unmarshal(body, &answer))
			require.True(t, answer.Active != nil && *answer.Active)
		}
	})
}

func FuzzFreshness(f *testing.F) {
	f.Add("max-age=10, no-store", "Thu, 01 Jan 2026 00:00:00 GMT", "5")
	f.Add(`no-cache="a, max-age=5"`, "0", "-1")
	f.Add("max-age=99999999999999999999999", "", "99999999999999999999")
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, cc, expires, age string) {
		h := http.Header{"Cache-Control": {cc}, "Expires": {expires}, "Age": {age}, "Retry-After": {age}}
		fresh := freshnessOf(h, now)
		require.True(t, fresh.left >= 0 && fresh.left <= maxAge)
		after := retryAfter(h, now)
		require.True(t, after >= 0 && after <= time.Hour)
	})
}

// What is put into a sealed value comes out of it; nothing else does.
func FuzzSealed(f *testing.F) {
	roots, err := newRoots(make([]byte, cacheKeyLen))
	require.NoError(f, err)
	now := time.Unix(1_800_000_000, 0)
	s := &sharedTier{cfg: &Config{Now: func() time.Time { return now }}, roots: roots}
	good, err := s.seal("name", now.Add(time.Minute).UnixNano(), record{Subject: "alice"})
	require.NoError(f, err)
	f.Add("name", good)
	f.Add("eman", good)
	f.Add("name", []byte{})
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		var r record
		if s.open(name, value, &r) == nil {
			// Not equal to good: each fuzzing process seals one of its own.
			require.Equal(t, "name", name)
			require.Equal(t, "alice", r.Subject)
			require.Len(t, value, len(good))
		}
	})
}

// What is a timeout is told apart from what can be asked again at once.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want bool
	}{
		{t.Context(), broken, false},
		{ended, broken, true},
		{t.Context(), &url.Error{Op: "Post", Err: os.ErrDeadlineExceeded}, true},
		{t.Context(), &url.Error{Op: "Post", Err: fmt.Errorf("wrapped: %w", context.DeadlineExceeded)}, true},
		{t.Context(), &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: broken}}, false},
	} {
		require.Equal(t, c.want, timedOut(c.ctx, c.err), "%v", c.err)
	}
}

// As many connections are kept as there can be requests, and the default
// transport stays as it is.
func TestTheTransportIsOurOwn(t *testing.T) {
	before := http.DefaultTransport.(*http.Transport)
	own := newTransport(7)
	require.NotSame(t, before, own)
	require.Equal(t, [2]int{7, 7}, [2]int{own.MaxIdleConns, own.MaxIdleConnsPerHost})
	require.NotEqual(t, 7, before.MaxIdleConnsPerHost)
	require.Equal(t, before.TLSHandshakeTimeout, own.TLSHandshakeTimeout)

	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = struct{ http.RoundTripper }{before} // as an application may set it
	own = newTransport(7)
	require.Equal(t, [2]int{7, 7}, [2]int{own.MaxIdleConns, own.MaxIdleConnsPerHost})
	require.True(t, own.Proxy != nil && own.ForceAttemptHTTP2)
}

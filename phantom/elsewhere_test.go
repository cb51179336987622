package phantom_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// Each of these went wrong in software of this kind.

func TestElsewhere_InactiveJSONForwardedAsBearer(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/json", "application/jwt"} {
		srv := newServer(t)
		srv.Answer(opaque, phantomtest.Answer{Body: []byte(`{"active":false}`), Header: http.Header{"Content-Type": {contentType}}})
		next := &seen{}
		w := get(newExchanger(t, srv).Handler(next), authorization("Bearer "+opaque))
		require.GreaterOrEqual(t, w.Code, 400)
		require.Zero(t, next.count())
	}
}

func TestElsewhere_ScopeCheckSkippedOnCacheHit(t *testing.T) { // CVE-2021-32701
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"scope": "read", "aud": "api"}))
	cache := newMemoryCache()
	_, err := exchange(t, newExchanger(t, srv, withCache(cache)))
	require.NoError(t, err)
	for want, change := range map[error]func(*phantom.Config){
		phantom.ErrScope:    func(c *phantom.Config) { c.Scopes = []string{"write"} },
		phantom.ErrAudience: func(c *phantom.Config) { c.Audience = []string{"other"} },
	} {
		ex := newExchanger(t, srv, withCache(cache), change)
		for range 3 {
			_, err := exchange(t, ex)
			require.ErrorIs(t, err, want)
		}
	}
	require.Equal(t, 1, srv.Total(), "all but the first were hits")
}

func TestElsewhere_TokenAddsFormParameters(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Otherwise(phantomtestJSON(m{}))
	ex := newExchanger(t, srv)
	for _, token := range []string{"t&client_id=evil", "t%26client_id=evil", "t client_id=evil", "t;x", "t\r\nX: y"} {
		w := get(ex.Handler(&seen{}), authorization("Bearer "+token))
		require.Equal(t, http.StatusUnauthorized, w.Code)
	}
	require.Zero(t, srv.Total())
}

func TestElsewhere_BasicWithBearerInsideAccepted(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Otherwise(phantomtestJSON(m{}))
	ex := newExchanger(t, srv)
	for _, value := range []string{"Basic xBearer tok", "xBearer tok", "Bearertok", "Bearer\ttok", "Basic Bearer tok"} {
		next := &seen{}
		w := get(ex.Handler(next), authorization(value))
		require.Equal(t, http.StatusUnauthorized, w.Code, value)
		require.Zero(t, next.count(), value)
	}
	require.Zero(t, srv.Total())
}

func TestElsewhere_ReplyWithoutContentLength(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	jwt := srv.Sign("at+jwt", m{"sub": "alice", "pad": strings.Repeat("x", 8<<10)}) // net/http chunks it
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Body: []byte(jwt), Header: http.Header{"Transfer-Encoding": {"chunked"}}})
	tok, err := exchange(t, newExchanger(t, srv))
	require.NoError(t, err)
	require.Equal(t, jwt, tok.JWT())
}

func TestElsewhere_LargeJWTTruncated(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	jwt := srv.Sign("at+jwt", m{"pad": strings.Repeat("x", 40<<10)})
	require.Greater(t, len(jwt), 50<<10)
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Body: []byte(jwt)})
	next := &seen{}
	require.Equal(t, http.StatusOK, get(newExchanger(t, srv).Handler(next), authorization("Bearer "+opaque)).Code)
	require.Equal(t, "Bearer "+jwt, next.last(t).Header.Get("Authorization"))

	srv.Answer("longer", phantomtest.Answer{Format: phantom.JWT, Body: []byte(srv.Sign("at+jwt", m{"pad": strings.Repeat("x", 60<<10)}))})
	srv.Answer("cut", phantomtest.Answer{Format: phantom.JWT, Body: []byte(jwt), Header: http.Header{"Content-Length": {"60000"}}})
	ex := newExchanger(t, srv)
	for _, token := range []string{"longer", "cut"} {
		_, err := ex.Exchange(t.Context(), token)
		require.ErrorIs(t, err, phantom.ErrResponse, token)
	}
}

func TestElsewhere_InactiveCachedForAnHour(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Header: http.Header{"Cache-Control": {"max-age=3600"}}})
	ex := newExchanger(t, srv, withClock(clk))
	_, err := exchange(t, ex)
	require.ErrorIs(t, err, phantom.ErrInactive)
	srv.Answer(opaque, phantomtestJSON(m{}))
	clk.Add(6 * time.Second)
	_, err = exchange(t, ex)
	require.NoError(t, err)
}

func TestElsewhere_OutageAnswered401(t *testing.T) {
	t.Parallel()
	for _, a := range []phantomtest.Answer{
		{Status: 401}, {Status: 403}, {Status: 400}, {Status: 404}, {Status: 429}, {Status: 500}, {Status: 503}, {Drop: true},
		{Body: []byte("<html>maintenance</html>"), Header: http.Header{"Content-Type": {"text/html"}}},
	} {
		srv := newServer(t)
		srv.Answer(opaque, a)
		w := get(newExchanger(t, srv).Handler(&seen{}), authorization("Bearer "+opaque))
		require.GreaterOrEqual(t, w.Code, 500)
		require.Empty(t, w.Header().Values("WWW-Authenticate"))
	}
}

func TestElsewhere_ActiveTheStringFalseIsTruthy(t *testing.T) {
	t.Parallel()
	for _, active := range []string{`"false"`, `"true"`, `1`, `{}`, `[]`, `null`} {
		srv := newServer(t)
		srv.Answer(opaque, phantomtest.Answer{Body: []byte(`{"active":` + active + `,"sub":"alice"}`)})
		_, err := exchange(t, newExchanger(t, srv))
		require.ErrorIs(t, err, phantom.ErrResponse, active)
	}
}

func TestElsewhere_CachedBeyondExp(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{
		Claims: m{"exp": clk.In(2 * time.Minute)}, Header: http.Header{"Cache-Control": {"max-age=3600"}},
	})
	ex := newExchanger(t, srv, withClock(clk), func(c *phantom.Config) {
		c.MaxTTL, c.MinTTL, c.StaleIfError = time.Hour, time.Hour, time.Hour
	})
	_, err := exchange(t, ex)
	require.NoError(t, err)
	srv.Answer(opaque, phantomtest.Answer{Status: 503})
	clk.Add(2*time.Minute - time.Second)
	_, err = exchange(t, ex)
	require.NoError(t, err)
	clk.Add(time.Second)
	_, err = exchange(t, ex)
	require.Error(t, err)
}

func TestElsewhere_TrailingCommaInTheChallenge(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	for _, c := range []struct {
		realm  string
		header http.Header
		want   string
	}{
		{"", nil, `Bearer`},
		{"api", nil, `Bearer realm="api"`},
		{"", authorization("Bearer x"), `Bearer error="invalid_token"`},
		{"api", authorization("Bearer x"), `Bearer realm="api", error="invalid_token"`},
	} {
		ex := newExchanger(t, srv, func(cfg *phantom.Config) { cfg.Realm = c.realm })
		require.Equal(t, []string{c.want}, get(ex.Handler(&seen{}), c.header).Header().Values("WWW-Authenticate"))
	}
}

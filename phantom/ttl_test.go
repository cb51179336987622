package phantom_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// An answer must be used for exactly kept, counted in whole seconds: to the last
// of them without a question to the server, and not after.
func TestHowLongAnAnswerIsKept(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	httpDate := func(clk *clock, d time.Duration) string { return clk.Now().Add(d).UTC().Format(http.TimeFormat) }
	cc := func(v ...string) func(*clock) http.Header {
		return func(*clock) http.Header { return http.Header{"Cache-Control": v} }
	}
	with := func(pairs ...string) func(*clock) http.Header {
		return func(*clock) http.Header {
			h := http.Header{}
			for i := 0; i < len(pairs); i += 2 {
				h.Add(pairs[i], pairs[i+1])
			}
			return h
		}
	}
	expires := func(d time.Duration, pairs ...string) func(*clock) http.Header {
		return func(clk *clock) http.Header {
			h := with(pairs...)(clk)
			h.Set("Expires", httpDate(clk, d))
			return h
		}
	}
	none := func(*clock) http.Header { return nil }
	minTTL := func(d time.Duration) func(*phantom.Config) { return func(c *phantom.Config) { c.MinTTL = d } }
	maxTTL := func(d time.Duration) func(*phantom.Config) { return func(c *phantom.Config) { c.MaxTTL = d } }
	plain := func(*phantom.Config) {}
	const s, minute = time.Second, time.Minute
	for _, c := range []struct {
		rule   string
		header func(*clock) http.Header
		exp    time.Duration // from now; 0: no exp
		change func(*phantom.Config)
		kept   time.Duration
	}{
		{"nothing said: MaxTTL's default", none, 0, plain, 5 * minute},
		{"nothing said: MaxTTL", none, 0, maxTTL(10 * s), 10 * s},
		{"nothing said: exp less 60 s", none, 3 * minute, plain, 2 * minute},
		{"max-age", cc("max-age=30"), 0, plain, 30 * s},
		{"max-age in quotes", cc(`max-age="30"`), 0, plain, 30 * s},
		{"max-age in capitals among others", cc("private , MAX-AGE=30,foo=bar"), 0, plain, 30 * s},
		{"max-age on a second line", cc("private", "max-age=30"), 0, plain, 30 * s},
		{"the smaller of two max-age", cc("max-age=30, max-age=20"), 0, plain, 20 * s},
		{"the smaller of two max-age comes first", cc("max-age=20, max-age=30"), 0, plain, 20 * s},
		{"max-age beyond any time.Duration", cc("max-age=9223372037"), 0, plain, 5 * minute},
		{"max-age above MaxTTL", cc("max-age=3600"), 0, plain, 5 * minute},
		{"max-age beyond any number", cc("max-age=99999999999999999999"), 0, plain, 5 * minute},
		{"max-age below zero is stale", cc("max-age=-5"), 0, plain, 0},
		{"max-age that is no number is stale", cc("max-age=soon"), 0, plain, 0},
		{"max-age=0", cc("max-age=0"), 0, plain, 0},
		{"s-maxage is for other caches", cc("s-maxage=30"), 0, plain, 5 * minute},
		{"s-maxage does not override max-age", cc("s-maxage=300, max-age=30"), 0, plain, 30 * s},
		{"private", cc("private"), 0, plain, 5 * minute},
		{"private with max-age", cc("private, max-age=30"), 0, plain, 30 * s},
		{"no-store", cc("no-store"), 0, plain, 0},
		{"no-store beats max-age", cc("max-age=30, no-store"), 0, plain, 0},
		{"no-cache", cc("no-cache"), 0, plain, 0},
		{"no-cache with a field name", cc(`no-cache="set-cookie", max-age=30`), 0, plain, 0},
		{"Age is subtracted", with("Cache-Control", "max-age=30", "Age", "10"), 0, plain, 20 * s},
		{"Age above max-age", with("Cache-Control", "max-age=30", "Age", "31"), 0, plain, 0},
		{"the oldest of two Ages", with("Cache-Control", "max-age=30", "Age", "5", "Age", "10"), 0, plain, 20 * s},
		{"Age that is no number", with("Cache-Control", "max-age=30", "Age", "x"), 0, plain, 30 * s},
		{"Age alone", with("Age", "10"), 0, plain, 5 * minute},
		{"Expires", expires(30 * s), 0, plain, 30 * s},
		{"Expires less Age", expires(30*s, "Age", "10"), 0, plain, 20 * s},
		{"Expires in the past", expires(-s), 0, plain, 0},
		{"Expires before all time, aged", with("Expires", "Mon, 01 Jan 0001 00:00:00 GMT", "Age", "10"), 0, plain, 0},
		{"Expires: 0", with("Expires", "0"), 0, plain, 0},
		{"max-age overrides Expires", expires(minute, "Cache-Control", "max-age=30"), 0, plain, 30 * s},
		{"exp less 60 s is earlier than max-age", cc("max-age=200"), 2 * minute, plain, minute},
		{"max-age is earlier than exp", cc("max-age=30"), 2 * minute, plain, 30 * s},
		{"exp within 60 s: not kept", none, 45 * s, plain, 0},
		{"MinTTL under no-store", cc("no-store"), 0, minTTL(30 * s), 30 * s},
		{"MinTTL under no-cache", cc("no-cache"), 0, minTTL(30 * s), 30 * s},
		{"MinTTL above max-age", cc("max-age=10"), 0, minTTL(30 * s), 30 * s},
		{"MinTTL below max-age", cc("max-age=40"), 0, minTTL(30 * s), 40 * s},
		{"MinTTL never beyond exp less 60 s", cc("no-store"), 80 * s, minTTL(30 * s), 20 * s},
		{"MinTTL with exp within 60 s", cc("no-store"), 45 * s, minTTL(30 * s), 0},
	} {
		clk := newClock()
		claims := m{"sub": "alice"}
		if c.exp != 0 {
			claims["exp"] = clk.In(c.exp)
		}
		srv.Answer(opaque, phantomtest.Answer{Claims: claims, Header: c.header(clk)})
		before := srv.Total()
		ex := newExchanger(t, srv, withClock(clk), c.change)
		want := func(calls int, when string) {
			t.Helper()
			_, err := exchange(t, ex)
			require.NoError(t, err, "%s: %s", c.rule, when)
			require.Equal(t, calls, srv.Total()-before, "%s: %s", c.rule, when)
		}
		want(1, "first")
		if c.kept > 0 {
			clk.Add(c.kept - s)
			want(1, "a second before its end")
			clk.Add(s)
		}
		want(2, "at its end")
		require.NoError(t, ex.Close())
	}
}

// The server's clock need not be ours: Expires counts from its Date.
func TestExpiresCountsFromDate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule          string
		date, expires time.Duration
		kept          time.Duration
	}{
		{"an hour ahead", time.Hour, time.Hour + 30*time.Second, 30 * time.Second},
		{"20 seconds behind looks 20 seconds old", -20 * time.Second, 10 * time.Second, 10 * time.Second},
		{"a day ahead", 24 * time.Hour, 24*time.Hour + 30*time.Second, 30 * time.Second},
		{"a Date of the year before says nothing", -9000 * time.Hour, 30 * time.Second, 30 * time.Second},
		{"a Date of the next year says nothing", 9000 * time.Hour, 30 * time.Second, 30 * time.Second},
	} {
		clk := newClock()
		srv := newServer(t)
		srv.Answer(opaque, phantomtest.Answer{Claims: m{}, Header: http.Header{
			"Date":    {clk.Now().Add(c.date).UTC().Format(http.TimeFormat)},
			"Expires": {clk.Now().Add(c.expires).UTC().Format(http.TimeFormat)},
		}})
		ex := newExchanger(t, srv, withClock(clk))
		for _, step := range []struct {
			after time.Duration
			calls int
		}{{0, 1}, {c.kept - time.Second, 1}, {time.Second, 2}} {
			clk.Add(step.after)
			_, err := exchange(t, ex)
			require.NoError(t, err, c.rule)
			require.Equal(t, step.calls, srv.Total(), c.rule)
		}
	}
}

func TestExpiryIsEnforcedOnEveryCall(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"exp": clk.In(30 * time.Second)}))
	ex := newExchanger(t, srv, withClock(clk))
	_, err := exchange(t, ex)
	require.NoError(t, err, "within the leeway a token is good, only not cached")
	clk.Add(30 * time.Second)
	_, err = exchange(t, ex)
	require.ErrorIs(t, err, phantom.ErrInactive, "the server says active, its exp says no")
	require.Equal(t, 2, srv.Total())
}

func TestInactiveIsRememberedForSeconds(t *testing.T) {
	t.Parallel()
	for rule, header := range map[string]http.Header{
		"no header":           nil,
		"no-store":            {"Cache-Control": {"no-store"}},
		"an hour, it is said": {"Cache-Control": {"max-age=3600"}},
	} {
		clk := newClock()
		srv := newServer(t)
		srv.Answer(opaque, phantomtest.Answer{Header: header})
		ex := newExchanger(t, srv, withClock(clk))
		for _, step := range []struct {
			after time.Duration
			calls int
		}{{0, 1}, {0, 1}, {4 * time.Second, 1}, {time.Second, 2}} {
			clk.Add(step.after)
			_, err := exchange(t, ex)
			require.ErrorIs(t, err, phantom.ErrInactive, rule)
			require.Equal(t, step.calls, srv.Total(), rule)
		}
		srv.Answer(opaque, phantomtestJSON(m{}))
		clk.Add(5 * time.Second)
		_, err := exchange(t, ex)
		require.NoError(t, err, rule)
	}
}

func TestStaleIfError(t *testing.T) {
	t.Parallel()
	down := phantomtest.Answer{Status: http.StatusServiceUnavailable}
	stale := func(c *phantom.Config) { c.StaleIfError = time.Hour }
	for _, c := range []struct {
		rule   string
		header http.Header
		exp    time.Duration
		change func(*phantom.Config)
		after  time.Duration
		then   phantomtest.Answer
		want   error
	}{
		{"not unless asked for", nil, 0, func(*phantom.Config) {}, 6 * time.Minute, down, phantom.ErrUnavailable},
		{"in an outage", nil, 0, stale, 6 * time.Minute, down, nil},
		{"when the connection breaks", nil, 0, stale, 6 * time.Minute, phantomtest.Answer{Drop: true}, nil},
		{"to its end", nil, 0, stale, 66 * time.Minute, down, phantom.ErrUnavailable},
		{"never past exp", nil, 6 * time.Minute, stale, 6 * time.Minute, down, phantom.ErrUnavailable},
		{"up to exp", nil, 7 * time.Minute, stale, 7*time.Minute - time.Second, down, nil},
		{"not under must-revalidate", http.Header{"Cache-Control": {"max-age=60, must-revalidate"}}, 0, stale, 6 * time.Minute, down, phantom.ErrUnavailable},
		{"an answer that refuses counts", nil, 0, stale, 6 * time.Minute, phantomtest.Answer{}, phantom.ErrInactive},
		{"a wrong answer is no outage", nil, 0, stale, 6 * time.Minute, phantomtest.Answer{Status: http.StatusUnauthorized}, phantom.ErrResponse},
	} {
		clk := newClock()
		srv := newServer(t)
		claims := m{"sub": "alice"}
		if c.exp != 0 {
			claims["exp"] = clk.In(c.exp)
		}
		srv.Answer(opaque, phantomtest.Answer{Claims: claims, Header: c.header})
		ex := newExchanger(t, srv, withClock(clk), c.change)
		_, err := exchange(t, ex)
		require.NoError(t, err, c.rule)
		srv.Answer(opaque, c.then)
		clk.Add(c.after)
		_, err = exchange(t, ex)
		require.ErrorIs(t, err, c.want, c.rule)
		require.Greater(t, srv.Total(), 1, c.rule)
	}
}

func TestAHotTokenIsRefreshedAhead(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Claims: m{"sub": "old"}, Header: http.Header{"Cache-Control": {"max-age=100"}}})
	ex := newExchanger(t, srv, withClock(clk))
	use := func(n int) string {
		var subject string
		for range n {
			tok, err := exchange(t, ex)
			require.NoError(t, err)
			subject = tok.Subject()
		}
		return subject
	}
	use(50)
	clk.Add(89 * time.Second)
	use(50)
	require.Equal(t, 1, srv.Total(), "not before the last tenth")

	srv.Answer(opaque, phantomtest.Answer{Claims: m{"sub": "new"}, Header: http.Header{"Cache-Control": {"max-age=100"}}})
	release := srv.Hold()
	clk.Add(2 * time.Second)
	require.Equal(t, "old", use(50), "nobody waits for it")
	require.NoError(t, srv.AwaitHeld(t.Context(), 1))
	release()
	require.Eventually(t, func() bool { return use(1) == "new" }, 10*time.Second, time.Millisecond)
	require.Equal(t, 2, srv.Total(), "once")
	clk.Add(89 * time.Second)
	require.Equal(t, "new", use(1))
	require.Equal(t, 2, srv.Total(), "the refreshed answer has its full time")
}

func TestATokenSeldomUsedIsNotRefreshedAhead(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{}))
	var refreshes int
	ex := newExchanger(t, srv, withClock(clk), func(c *phantom.Config) { c.Observe = countKind("refresh", &refreshes) })
	for range 3 {
		_, err := exchange(t, ex)
		require.NoError(t, err)
		clk.Add(145 * time.Second)
	}
	require.Zero(t, refreshes)
}

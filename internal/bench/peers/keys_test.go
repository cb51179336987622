package peers

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

// Time in these rows is synctest's: a day passes in milliseconds, and a held
// fetch is answered when everybody waits.

const notIncluded = "no key fetching"

// keyRows follow the keys through rotation, attack and outage.
func keyRows(t *testing.T) []row {
	t.Helper()
	rows := []struct {
		question, ours string
		short          bool
		observe        func(t *testing.T, v verifier) string
	}{
		{"starts while the issuer is down, verifies once it is back", "yes", true, startsDown},
		{"100 requests at once with a new key: accepted, fetches", "100, 1", true, rotationBurst},
		{"a second rotation a minute later: accepted, fetches", "100, 1", false, secondRotation},
		{"1000 tokens with unknown key ids: fetches", "2", true, unknownKids},
		{"after those, a new key verifies within", "10 s", false, newKeyAfterStorm},
		{"issuer down: known keys verify for", "24 h", true, outage},
		{"a withdrawn key stops verifying after", "12 min", true, withdrawn},
	}
	var out []row
	for _, r := range rows {
		made := row{question: r.question, ours: r.ours, short: r.short}
		for _, v := range verifiers {
			cell := notIncluded
			if v.fetches {
				synctest.Test(t, func(t *testing.T) { cell = r.observe(t, v) })
			}
			made.cells = append(made.cells, cell)
		}
		out = append(out, made)
	}
	return out
}

func startsDown(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	iss.Fail(503)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	check, err := v.start(ctx, iss, audience)
	if err != nil {
		return "constructor fails"
	}
	iss.Fail(0)
	if check(iss.Sign(iss.Claims(audience))) == nil {
		return "yes"
	}
	return "no"
}

func rotationBurst(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	check := v.running(t, iss)
	require.NoError(t, check(iss.Sign(iss.Claims(audience))))
	return burst(iss, check)
}

func secondRotation(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	check := v.running(t, iss)
	require.NoError(t, check(iss.Sign(iss.Claims(audience))))
	burst(iss, check)
	time.Sleep(time.Minute)
	return burst(iss, check)
}

// burst rotates the key and has 100 requests come before the issuer answers.
func burst(iss *jwkstest.Issuer, check func(string) error) string {
	before := iss.Fetches()
	iss.Rotate("ES256")
	release := iss.Hold()
	token := iss.Sign(iss.Claims(audience))
	var done sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for range 100 {
		done.Go(func() {
			if check(token) == nil {
				mu.Lock()
				accepted++
				mu.Unlock()
			}
		})
	}
	synctest.Wait()
	release()
	done.Wait()
	return fmt.Sprintf("%d, %d", accepted, iss.Fetches()-before)
}

func unknownKids(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	check := v.running(t, iss)
	require.NoError(t, check(iss.Sign(iss.Claims(audience))))
	return fmt.Sprint(storm(t, iss, check))
}

// storm returns what 1000 made-up key ids cost in fetches.
func storm(t *testing.T, iss *jwkstest.Issuer, check func(string) error) int {
	t.Helper()
	before := iss.Fetches()
	_, rest, _ := strings.Cut(iss.Sign(iss.Claims(audience)), ".")
	for n := range 1000 {
		header := fmt.Sprintf(`{"alg":"ES256","kid":"made-up-%d","typ":"at+jwt"}`, n)
		require.Error(t, check(base64.RawURLEncoding.EncodeToString([]byte(header))+"."+rest))
		synctest.Wait() // for go-oidc to see its fetch as done
	}
	return iss.Fetches() - before
}

func newKeyAfterStorm(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	check := v.running(t, iss)
	require.NoError(t, check(iss.Sign(iss.Claims(audience))))
	storm(t, iss, check)
	iss.Rotate("ES256")
	began := time.Now()
	return until(began, time.Second, func() bool { return check(iss.Sign(iss.Claims(audience))) == nil })
}

func outage(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	check := v.running(t, iss)
	require.NoError(t, check(iss.Sign(iss.Claims(audience))))
	iss.Fail(503)
	return until(time.Now(), time.Minute, func() bool { return check(iss.Sign(iss.Claims(audience))) != nil })
}

func withdrawn(t *testing.T, v verifier) string {
	iss := jwkstest.NewIssuer(t)
	old, kept := iss.Keys()[0], iss.NewKey("ES256")
	iss.Publish(old, kept)
	check := v.running(t, iss)
	require.NoError(t, check(iss.SignWith(old, nil, iss.Claims(audience))))
	iss.Publish(kept)
	return until(time.Now(), time.Minute, func() bool {
		require.NoError(t, check(iss.SignWith(kept, nil, iss.Claims(audience))))
		synctest.Wait() // a renewal in the background has come
		return check(iss.SignWith(old, nil, iss.Claims(audience))) != nil
	})
}

// until says how long after began it took to happen, as seen by asking at every
// step, and less often later.
func until(began time.Time, step time.Duration, happened func() bool) string {
	for !settled(happened) {
		if time.Since(began) > 48*time.Hour {
			return "48 h and more"
		}
		time.Sleep(step)
		switch past := time.Since(began); {
		case past >= 3*time.Hour:
			step = time.Hour
		case past >= 10*time.Minute:
			step = time.Minute
		}
	}
	return spell(time.Since(began))
}

// settled asks once whatever goes on in the background has come to rest.
func settled(happened func() bool) bool {
	synctest.Wait()
	return happened()
}

func spell(d time.Duration) string {
	switch {
	case d < time.Second:
		return "at once"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 3*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

// ourTwoIssuers has one Verifier for A and B judge a token of A that B signed.
func ourTwoIssuers(t *testing.T) error {
	t.Helper()
	a, b := jwkstest.NewIssuer(t), jwkstest.NewIssuer(t)
	b.URL = "https://other.test"
	v, err := jwks.New(jwks.Config{Client: bySet(a, b), Issuers: []jwks.Issuer{
		{URL: a.URL, Audience: []string{audience}, JWKSURL: "https://sets.test/a"},
		{URL: b.URL, Audience: []string{audience}, JWKSURL: "https://sets.test/b"},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	require.NoError(t, v.Check(t.Context(), b.Sign(b.Claims(audience))))
	return v.Check(t.Context(), b.Sign(a.Claims(audience)))
}

// theirTwoIssuers gives keyfunc both sets, as its NewDefault takes them.
func theirTwoIssuers(t *testing.T) error {
	t.Helper()
	a, b := jwkstest.NewIssuer(t), jwkstest.NewIssuer(t)
	key := *b.Keys()[0]
	key.KID = "key-of-b"
	b.Publish(&key)
	check, err := golangJWT(t.Context(), bySet(a, b), a.URL, audience, "https://sets.test/a", "https://sets.test/b")
	require.NoError(t, err)
	require.NoError(t, check(a.Sign(a.Claims(audience))))
	return check(b.Sign(a.Claims(audience)))
}

// bySet reaches the key set of a at /a and that of b at /b.
func bySet(a, b *jwkstest.Issuer) *http.Client {
	sets := map[string]http.RoundTripper{"/a": a.Client().Transport, "/b": b.Client().Transport}
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return sets[r.URL.Path].RoundTrip(r)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

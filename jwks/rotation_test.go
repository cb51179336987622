package jwks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// In these tests time is synctest's: it stands still while anybody can run, and
// synctest.Wait returns when all callers wait.

// together verifies each token on a goroutine of its own, lets the issuer
// answer when all of them wait, and returns their errors.
func together(v *jwks.Verifier, release func(), tokens ...string) []error {
	errs := make([]error, len(tokens))
	var done sync.WaitGroup
	for n, token := range tokens {
		done.Go(func() { errs[n] = v.Check(context.Background(), token) })
	}
	synctest.Wait()
	release()
	done.Wait()
	return errs
}

func repeat(token string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = token
	}
	return out
}

func count(errs []error, want error) (n int) {
	for _, err := range errs {
		if errors.Is(err, want) {
			n++
		}
	}
	return n
}

func TestRotationIsOneFetchPerBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		require.Equal(t, 100, count(together(v, iss.Hold(), repeat(iss.Sign(iss.Claims(api)), 100)...), nil))
		require.Equal(t, 1, iss.Fetches(), "cold start")
		for rotation := range 2 {
			iss.Rotate("ES256")
			require.Equal(t, 100, count(together(v, iss.Hold(), repeat(iss.Sign(iss.Claims(api)), 100)...), nil))
			require.Equal(t, 2+rotation, iss.Fetches(), "rotation %d", rotation)
		}
	})
}

// A fetch that was on its way before the key existed proves nothing.
func TestKeyPublishedDuringAFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		old, next := iss.Keys()[0], iss.NewKey("ES256")
		client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			res, err := iss.Client().Transport.RoundTrip(r)
			if iss.Fetches() == 2 { // answered before, delivered after the rotation
				time.Sleep(time.Second) // the bubble's time
			}
			return res, err
		})}
		v := newVerifier(t, iss, func(c *jwks.Config) { c.Client = client })
		require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
		late := make(chan error)
		go func() { late <- v.Check(t.Context(), iss.SignWith(unpublished(old, "nobody"), nil, iss.Claims(api))) }()
		synctest.Wait()
		iss.Publish(next)
		require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
		require.ErrorIs(t, <-late, jwks.ErrUnknownKey)
		require.Equal(t, 3, iss.Fetches())
	})
}

// unpublished is k under another name.
func unpublished(k *jwkstest.Key, kid string) *jwkstest.Key {
	other := *k
	other.KID = kid
	return &other
}

func TestRandomKidsDoNotHammerTheIssuer(t *testing.T) {
	t.Parallel()
	for _, concurrent := range []bool{false, true} {
		t.Run(fmt.Sprintf("concurrent=%v", concurrent), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				iss := jwkstest.NewIssuer(t)
				v := newVerifier(t, iss)
				good := iss.Sign(iss.Claims(api))
				require.NoError(t, verify(t, v, good))
				hostile := make([]string, 1000)
				for n := range hostile {
					hostile[n] = iss.SignWith(unpublished(iss.Keys()[0], fmt.Sprintf("kid-%d", n)), nil, iss.Claims(api))
				}
				var errs []error
				if concurrent {
					errs = together(v, iss.Hold(), hostile...)
				} else {
					for _, token := range hostile {
						errs = append(errs, v.Check(t.Context(), token))
						require.NoError(t, v.Check(t.Context(), good))
					}
				}
				looked, busy := count(errs, jwks.ErrUnknownKey), count(errs, jwks.ErrUnavailable)
				require.Equal(t, 1000, looked+busy)
				require.Positive(t, looked)
				require.LessOrEqual(t, iss.Fetches(), 1+2)
				require.NoError(t, verify(t, v, good))

				time.Sleep(10 * time.Second) // a Cooldown later a key is found again
				iss.Rotate("ES256")
				require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
				require.LessOrEqual(t, iss.Fetches(), 1+2+1)
			})
		})
	}
}

func TestUnknownKidAllowance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		ask := func(kid string) error {
			return v.Check(t.Context(), iss.SignWith(unpublished(iss.Keys()[0], kid), nil, iss.Claims(api)))
		}
		require.NoError(t, v.Ready(t.Context()))
		require.ErrorIs(t, ask("a"), jwks.ErrUnknownKey)
		require.ErrorIs(t, ask("a"), jwks.ErrUnknownKey, "remembered")
		require.Equal(t, 2, iss.Fetches())
		require.ErrorIs(t, ask("b"), jwks.ErrUnknownKey)
		require.Equal(t, 3, iss.Fetches())
		err := ask("c")
		require.ErrorIs(t, err, jwks.ErrUnavailable, "not looked up: no verdict")
		require.NotErrorIs(t, err, jwks.ErrUnknownKey)
		var busy interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &busy)
		require.Equal(t, 10*time.Second, busy.RetryAfter())
		require.Equal(t, 3, iss.Fetches())

		time.Sleep(10 * time.Second)
		require.ErrorIs(t, ask("c"), jwks.ErrUnknownKey)
		require.Equal(t, 4, iss.Fetches())
		require.ErrorIs(t, ask("d"), jwks.ErrUnavailable)
	})
}

// The first token of a new key may be faster than the key.
func TestMissIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		early := iss.NewKey("ES256")
		token := iss.SignWith(early, nil, iss.Claims(api))
		require.ErrorIs(t, verify(t, v, token), jwks.ErrUnknownKey)
		iss.Publish(early)
		time.Sleep(10 * time.Second)
		require.NoError(t, verify(t, v, token))
	})
}

// A new set clears the misses at once.
func TestMissIsClearedByANewSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		require.NoError(t, v.Ready(t.Context()))
		first, second := iss.NewKey("ES256"), iss.NewKey("ES256")
		token := iss.SignWith(first, nil, iss.Claims(api))
		require.ErrorIs(t, verify(t, v, token), jwks.ErrUnknownKey)
		iss.Publish(first, second)
		require.NoError(t, verify(t, v, iss.SignWith(second, nil, iss.Claims(api))))
		require.NoError(t, verify(t, v, token))
	})
}

func TestBadSignaturesUnderAKnownKidNeverFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t, "ES256")
		v := newVerifier(t, iss)
		require.NoError(t, v.Ready(t.Context()))
		forger := jwkstest.NewKey(t, "ES256", iss.Keys()[0].KID)
		for n := range 1000 {
			token := iss.SignWith(forger, nil, with(iss.Claims(api), object{"jti": n + 1}))
			require.ErrorIs(t, v.Check(t.Context(), token), jwks.ErrSignature)
		}
		require.Equal(t, 1, iss.Fetches())
	})
}

func TestLeaverDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		token := iss.Sign(iss.Claims(api))
		release := iss.Hold()
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { first <- v.Check(ctx, token) }()
		synctest.Wait() // its fetch is on the way
		errs := together(v, func() {
			cancel()
			err := <-first
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			release()
		}, repeat(token, 20)...)
		require.Equal(t, 20, count(errs, nil))
		require.Equal(t, 1, iss.Fetches())
	})
}

// Each outage must cost known keys nothing, until they are too old.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, breakDown := range map[string]func(*jwkstest.Issuer){
		"status 500":       func(i *jwkstest.Issuer) { i.Fail(500) },
		"hanging":          func(i *jwkstest.Issuer) { i.Hold() },
		"empty set":        func(i *jwkstest.Issuer) { i.PublishRaw([]byte(`{"keys":[]}`)) },
		"unusable set":     func(i *jwkstest.Issuer) { i.PublishRaw([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)) },
		"no set":           func(i *jwkstest.Issuer) { i.PublishRaw([]byte(`<html>`)) },
		"set cut off":      func(i *jwkstest.Issuer) { i.PublishRaw([]byte(`{"keys":[`)) },
		"redirect to http": func(i *jwkstest.Issuer) { i.Fail(302); i.SetHeader("Location", "http://issuer.test/jwks") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				iss := jwkstest.NewIssuer(t)
				v := newVerifier(t, iss)
				key, start := iss.Keys()[0], time.Now()
				token := func(id int) string {
					return iss.SignWith(key, nil, with(iss.Claims(api), object{"jti": fmt.Sprint(id), "exp": start.Add(30 * time.Hour).Unix()}))
				}
				cached := token(0)
				require.NoError(t, verify(t, v, cached))
				breakDown(iss)
				for n := 1; time.Since(start) < 24*time.Hour-time.Minute; n++ {
					time.Sleep(7*time.Minute + 37*time.Second)
					before := time.Now()
					require.NoError(t, v.Check(t.Context(), cached))
					require.NoError(t, v.Check(t.Context(), token(n)))
					require.Zero(t, time.Since(before), "added latency")
				}
				require.Less(t, iss.Fetches(), 24*60*3, "it backs off")
				time.Sleep(2 * time.Minute)
				for _, stale := range []string{cached, token(-1)} {
					before := time.Now()
					require.ErrorIs(t, v.Check(t.Context(), stale), jwks.ErrUnavailable)
					require.LessOrEqual(t, time.Since(before), 5*time.Second)
				}
				require.ErrorIs(t, v.Ready(t.Context()), jwks.ErrUnavailable)
			})
		})
	}
}

func TestRemovedKeyStopsVerifying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t, "ES256", "ES256")
		v := newVerifier(t, iss)
		kept, removed := iss.Keys()[0], iss.Keys()[1]
		claims := with(iss.Claims(api), object{"exp": time.Now().Add(time.Hour).Unix()})
		token := iss.SignWith(removed, nil, claims)
		require.NoError(t, verify(t, v, token))
		iss.Publish(kept)
		require.NoError(t, verify(t, v, token), "not known yet")
		time.Sleep(12*time.Minute + time.Second) // nobody asks meanwhile
		require.ErrorIs(t, verify(t, v, token), jwks.ErrUnknownKey, "the cached token")
		require.ErrorIs(t, verify(t, v, iss.SignWith(removed, nil, with(claims, object{"jti": "2"}))), jwks.ErrUnknownKey)
		require.NoError(t, verify(t, v, iss.SignWith(kept, nil, claims)))
	})
}

// The same with a clock that only verifications look at, as in a process that
// was frozen: the first one renews.
func TestRemovedKeyStopsVerifyingAfterAThaw(t *testing.T) {
	t.Parallel()
	clk := newClock()
	iss := jwkstest.NewIssuer(t, "ES256", "ES256")
	iss.Now = clk.Now
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Now = clk.Now })
	claims := with(iss.Claims(api), object{"exp": clk.Now().Add(time.Hour).Unix()})
	token := iss.SignWith(iss.Keys()[1], nil, claims)
	require.NoError(t, verify(t, v, token))
	iss.Publish(iss.Keys()[0])
	clk.Advance(15 * time.Minute)
	require.Eventually(t, func() bool { return errors.Is(v.Check(t.Context(), token), jwks.ErrUnknownKey) }, 10*time.Second, time.Millisecond)
	require.NoError(t, verify(t, v, iss.SignWith(iss.Keys()[0], nil, claims)))
}

// After a thaw a hanging issuer costs the first verifications 100 ms, once.
func TestThawDuringAHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clk := newClock()
		iss := jwkstest.NewIssuer(t)
		iss.Now = clk.Now
		v := newVerifier(t, iss, func(c *jwks.Config) { c.Now = clk.Now })
		token := iss.Sign(with(iss.Claims(api), object{"exp": clk.Now().Add(2 * time.Hour).Unix()}))
		require.NoError(t, verify(t, v, token))
		iss.Hold()
		clk.Advance(time.Hour)
		before := time.Now()
		require.NoError(t, verify(t, v, token))
		require.Equal(t, 100*time.Millisecond, time.Since(before))
		for range 100 {
			require.NoError(t, verify(t, v, token))
		}
		require.Equal(t, 100*time.Millisecond, time.Since(before))
		time.Sleep(6 * time.Second) // the fetch has failed, another one hangs
		clk.Advance(6 * time.Second)
		before = time.Now()
		require.NoError(t, verify(t, v, token))
		require.Zero(t, time.Since(before))
	})
}

func TestCacheControlBoundsTheLifetime(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		header, age string
		renewal     time.Duration
	}{
		{"", "", 12 * time.Minute},
		{"public, max-age=3600", "", 48 * time.Minute},
		{"public, max-age=3600", "1800", 24 * time.Minute},
		{`MAX-AGE="600"`, "", 8 * time.Minute},
		{"max-age=1", "", 48 * time.Second},
		{"max-age=31536000", "", 24 * time.Hour * 8 / 10},
		{"max-age=99999999999999999999", "", 48 * time.Second},
		{"max-age=3600, no-store", "", 48 * time.Second},
		{"no-cache", "", 48 * time.Second},
		{"must-revalidate", "", 12 * time.Minute},
	} {
		t.Run(row.header+row.age, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				iss := jwkstest.NewIssuer(t)
				iss.SetHeader("Cache-Control", row.header)
				iss.SetHeader("Age", row.age)
				v := newVerifier(t, iss)
				require.NoError(t, v.Ready(t.Context()))
				time.Sleep(row.renewal - time.Second)
				synctest.Wait()
				require.Equal(t, 1, iss.Fetches())
				time.Sleep(2 * time.Second)
				synctest.Wait()
				require.Equal(t, 2, iss.Fetches())
			})
		})
	}
}

func TestStartsWhileTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		iss.Fail(503)
		v := newVerifier(t, iss)
		synctest.Wait()
		require.Zero(t, iss.Fetches(), "New does no I/O")
		token := iss.Sign(iss.Claims(api))
		for range 1000 {
			require.ErrorIs(t, v.Check(t.Context(), token), jwks.ErrUnavailable)
		}
		require.Equal(t, 1, iss.Fetches())
		require.ErrorContains(t, v.Ready(t.Context()), iss.URL)
		time.Sleep(30 * time.Second)
		iss.Fail(0)
		time.Sleep(time.Minute) // nobody asks meanwhile
		n := iss.Fetches()
		require.NoError(t, v.Check(t.Context(), token))
		require.Equal(t, n, iss.Fetches(), "it had recovered by itself")
		require.NoError(t, v.Ready(t.Context()))
	})
}

func TestManyKeysAtOnce(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA", "ES256", "ES384")
	enc := jwkstest.NewKey(t, "ES256", "enc")
	keys := iss.Keys()
	iss.PublishRaw(set(t,
		json.RawMessage(`{"kty":"AKP","alg":"ML-DSA-44","kid":"pq","pub":"AAAA"}`),
		json.RawMessage(`{"kty":"OKP","crv":"Ed448","kid":"ed448","x":"AAAA"}`),
		json.RawMessage(`{"kty":"EC","crv":"P-256","kid":"broken","x":"AAAA","y":"AAAA"}`),
		json.RawMessage(`{"kty":"new","kid":"new"}`), json.RawMessage(`1`), json.RawMessage(`{"kty":"RSA"}`),
		keys[0].JWK(nil), enc.JWK(object{"use": "enc"}), keys[1].JWK(nil), keys[2].JWK(nil)))
	events := make(chan jwks.Event, 10)
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Observe = func(_ context.Context, e jwks.Event) {
			if e.Kind == jwks.EventFetch {
				events <- e
			}
		}
	})
	for _, k := range keys {
		require.NoError(t, verify(t, v, iss.SignWith(k, nil, iss.Claims(api))))
	}
	require.ErrorIs(t, verify(t, v, iss.SignWith(enc, nil, iss.Claims(api))), jwks.ErrUnknownKey)
	require.Equal(t, 1, iss.Fetches(), "a kid whose key is not for this is known")
	e := <-events
	require.Equal(t, 3, e.Keys)
	require.Equal(t, 7, e.Skipped)
	require.Equal(t, "issuer.test", e.Host)
	require.NoError(t, e.Err)
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		iss := jwkstest.NewIssuer(t)
		v := newVerifier(t, iss)
		good := iss.Sign(iss.Claims(api))
		require.NoError(t, verify(t, v, good))
		iss.Hold()
		waiting := make(chan error)
		go func() { waiting <- v.Check(t.Context(), iss.SignWith(iss.NewKey("ES256"), nil, iss.Claims(api))) }()
		synctest.Wait()
		before := time.Now()
		require.NoError(t, v.Close())
		require.NoError(t, v.Close())
		require.Zero(t, time.Since(before))
		require.ErrorIs(t, <-waiting, jwks.ErrUnavailable)
		n := iss.Fetches()
		time.Sleep(time.Hour)
		require.Equal(t, n, iss.Fetches())
		require.ErrorIs(t, verify(t, v, good), jwks.ErrExpired)
		require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))), "known keys until max-stale")
	})
}

func TestNothingIsFetchedAfterClose(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	require.NoError(t, v.Close())
	require.ErrorIs(t, verify(t, v, iss.Sign(iss.Claims(api))), jwks.ErrUnavailable)
	require.Zero(t, iss.Fetches())
}

// A lookup in vain for one algorithm says nothing about another.
func TestMissesWithoutKidAreToldApart(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "ES256")
	v := newVerifier(t, iss)
	bare := func(k *jwkstest.Key) string { return iss.SignWith(k, object{"kid": nil}, iss.Claims(api)) }
	require.NoError(t, verify(t, v, bare(iss.Keys()[0])))
	require.ErrorIs(t, verify(t, v, bare(jwkstest.NewKey(t, "EdDSA", ""))), jwks.ErrUnknownKey)
	fresh := iss.NewKey("ES384")
	iss.Publish(iss.Keys()[0], fresh)
	require.NoError(t, verify(t, v, bare(fresh)))
	require.Equal(t, 3, iss.Fetches())
}

// The first token of all brings the set, which has its kid for another alg.
func TestFirstTokenUnderAKeyOfAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss)
	token := iss.SignWith(iss.Keys()[0], object{"alg": "ES256"}, iss.Claims(api))
	for range 2 {
		require.EqualError(t, verify(t, v, token), "jwks: unknown key: no key of this kid is for this algorithm, or without kid not just one")
		require.Equal(t, 1, iss.Fetches())
	}
}

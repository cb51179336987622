package phantom_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func phantomtestJSON(claims m) phantomtest.Answer { return phantomtest.Answer{Claims: claims} }

// verifyResponse checks the fake server's signature as a jwks.Verifier would.
func verifyResponse(srv *phantomtest.Server) func(context.Context, string) ([]byte, error) {
	return func(_ context.Context, jwt string) ([]byte, error) {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(srv.JWKS(), &set); err != nil {
			return nil, err
		}
		signed, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return nil, err
		}
		return signed.Verify(set.Keys[0].Key)
	}
}

func acceptAll(srv *phantomtest.Server) func(*phantom.Config) {
	return func(c *phantom.Config) {
		c.Accept = []phantom.Format{phantom.JWT, phantom.Introspection, phantom.JSON}
		c.VerifyResponse = verifyResponse(srv)
	}
}

func TestTheRequest(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer("a+b/c=", phantomtestJSON(m{}))
	ex := newExchanger(t, srv)
	_, err := ex.Exchange(t.Context(), "a+b/c=")
	require.NoError(t, err)
	got := srv.Last()
	require.Equal(t, url.Values{"token": {"a+b/c="}, "token_type_hint": {"access_token"}}, got.Form)
	require.Equal(t, "application/x-www-form-urlencoded", got.Header.Get("Content-Type"))
	require.Equal(t, "application/jwt, application/json;q=0.9", got.Header.Get("Accept"))
	require.Equal(t, "Basic Z2F0ZXdheTpnYXRld2F5LXNlY3JldA==", got.Header.Get("Authorization"))
}

func TestClaimsOfEveryFormat(t *testing.T) {
	t.Parallel()
	claims := func() m {
		return m{"sub": "alice", "client_id": "app", "scope": "read  write", "aud": []string{"api", "x"}, "exp": 1_900_000_000, "n": 7}
	}
	for name, a := range map[string]phantomtest.Answer{
		"application/jwt":        {Format: phantom.JWT, Claims: claims()},
		"RFC 9701":               {Format: phantom.Introspection, Claims: claims()},
		"RFC 7662":               {Claims: claims()},
		"RFC 7662 embedding JWT": {Claims: claims(), Embed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			srv.Answer(opaque, a)
			ex := newExchanger(t, srv, acceptAll(srv), withClock(newClock()), func(c *phantom.Config) { c.Audience = []string{"x"} })
			tok, err := exchange(t, ex)
			require.NoError(t, err)
			require.Equal(t, "alice", tok.Subject())
			require.Equal(t, "app", tok.ClientID())
			require.Equal(t, int64(1_900_000_000), tok.Expires().Unix())
			require.True(t, tok.HasScope("read") && tok.HasScope("write"))
			require.False(t, tok.HasScope("rea") || tok.HasScope("read write") || tok.HasScope(""))
			var got struct {
				Sub string
				N   int
			}
			require.NoError(t, tok.Decode(&got))
			require.Equal(t, "alice", got.Sub)
			require.Equal(t, 7, got.N)
			hasJWT := a.Format == phantom.JWT || a.Embed
			require.Equal(t, hasJWT, tok.JWT() != "", "an RFC 9701 answer is not a token to forward")
			if hasJWT {
				_, err := verifyResponse(srv)(t.Context(), tok.JWT())
				require.NoError(t, err)
			}
		})
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// compact is a JWS as far as anyone looks who does not verify.
func compact(header, payload string) string {
	return b64(header) + "." + b64(payload) + "." + b64("sig")
}

func TestAnswersStrictly(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	jwt := compact(`{"alg":"ES256"}`, `{"sub":"alice"}`)
	for _, c := range []struct {
		rule, contentType, body string
		want                    error
	}{
		{"a JWT", "application/jwt", jwt, nil},
		{"a media type is without regard to case, parameters aside", "Application/JWT; charset=utf-8", jwt, nil},
		{"a final line break is no part of it", "application/jwt", jwt + "\r\n", nil},
		{"JSON", "application/json; charset=utf-8", `{"active":true}`, nil},
		{"phantom_token", "application/json", `{"active":true,"phantom_token":"` + jwt + `"}`, nil},
		{"jwt", "application/json", `{"active":true,"jwt":"` + jwt + `"}`, nil},
		{"both, the same", "application/json", `{"active":true,"jwt":"` + jwt + `","phantom_token":"` + jwt + `"}`, nil},
		{"null members are absent", "application/json", `{"active":true,"jwt":null,"exp":null,"scope":null,"aud":null,"sub":null}`, nil},
		{"a scope array", "application/json", `{"active":true,"scope":["a","b"]}`, nil},
		{"inactive", "application/json", `{"active":false}`, phantom.ErrInactive},
		{"inactive with more", "application/json", `{"active":false,"sub":"x","phantom_token":"` + jwt + `"}`, phantom.ErrInactive},

		{"JSON as a JWT", "application/jwt", `{"active":true}`, phantom.ErrResponse},
		{"a payload that is no base64url", "application/jwt", b64(`{"alg":"ES256"}`) + "." + b64(`{ }`) + "!.c2ln", phantom.ErrResponse},
		{"a signature that is no base64url", "application/jwt", compact(`{"alg":"ES256"}`, `{}`) + "!", phantom.ErrResponse},
		{"a header that is no object", "application/jwt", compact(`"x"`, `{}`), phantom.ErrResponse},
		{"an alg of another type", "application/jwt", compact(`{"alg":7}`, `{}`), phantom.ErrResponse},
		{"a typ of another type", "application/jwt", compact(`{"alg":"ES256","typ":7}`, `{}`), phantom.ErrResponse},
		{"an empty payload", "application/jwt", compact(`{"alg":"ES256"}`, ``), phantom.ErrResponse},
		{"an empty JWT", "application/jwt", ``, phantom.ErrResponse},
		{"two parts", "application/jwt", "e30.e30", phantom.ErrResponse},
		{"no signature", "application/jwt", b64(`{"alg":"ES256"}`) + "." + b64(`{}`) + ".", phantom.ErrResponse},
		{"a JWE", "application/jwt", "e30.e30.e30.e30.e30", phantom.ErrResponse},
		{"alg none", "application/jwt", compact(`{"alg":"none"}`, `{}`), phantom.ErrResponse},
		{"alg NONE", "application/jwt", compact(`{"alg":"NONE"}`, `{}`), phantom.ErrResponse},
		{"no alg", "application/jwt", compact(`{}`, `{}`), phantom.ErrResponse},
		{"alg twice", "application/jwt", compact(`{"alg":"ES256","alg":"none"}`, `{}`), phantom.ErrResponse},
		{"padded", "application/jwt", b64(`{"alg":"ES256"}`) + "=." + b64(`{}`) + ".c2ln", phantom.ErrResponse},
		{"a line break inside", "application/jwt", strings.Replace(jwt, ".", ".\n", 1), phantom.ErrResponse},
		{"two lines", "application/jwt", jwt + "\r\nX-Evil: 1", phantom.ErrResponse},
		{"claims that are no object", "application/jwt", compact(`{"alg":"ES256"}`, `"x"`), phantom.ErrResponse},
		{"exp as a string", "application/jwt", compact(`{"alg":"ES256"}`, `{"exp":"1900000000"}`), phantom.ErrResponse},
		{"exp twice", "application/jwt", compact(`{"alg":"ES256"}`, `{"exp":1,"exp":1900000000}`), phantom.ErrResponse},
		{"a general JWS", "application/jwt", `{"payload":"e30","signatures":[]}`, phantom.ErrResponse},

		{"active absent", "application/json", `{"sub":"alice"}`, phantom.ErrResponse},
		{"active a string", "application/json", `{"active":"true"}`, phantom.ErrResponse},
		{"active the string false", "application/json", `{"active":"false"}`, phantom.ErrResponse},
		{"active a number", "application/json", `{"active":1}`, phantom.ErrResponse},
		{"active null", "application/json", `{"active":null}`, phantom.ErrResponse},
		{"active in another case", "application/json", `{"Active":true}`, phantom.ErrResponse},
		{"active twice", "application/json", `{"active":false,"active":true}`, phantom.ErrResponse},
		{"active twice, escaped", "application/json", `{"active":false,"\u0061ctive":true}`, phantom.ErrResponse},
		{"any member twice", "application/json", `{"active":true,"x":1,"x":2}`, phantom.ErrResponse},
		{"text after the object", "application/json", `{"active":true}{"active":false}`, phantom.ErrResponse},
		{"an unfinished object", "application/json", `{"active":true`, phantom.ErrResponse},
		{"an array", "application/json", `[{"active":true}]`, phantom.ErrResponse},
		{"an array of what an object would hold", "application/json", `["active",true]`, phantom.ErrResponse},
		{"a name that is no string", "application/json", `{"active":true,7:1}`, phantom.ErrResponse},
		{"a comma too many", "application/json", `{"active":true,}`, phantom.ErrResponse},
		{"a value that is none", "application/json", `{"active":true,"x":tru}`, phantom.ErrResponse},
		{"no JSON", "application/json", `active`, phantom.ErrResponse},
		{"nothing", "application/json", ``, phantom.ErrResponse},
		{"a scope of another type", "application/json", `{"active":true,"scope":7}`, phantom.ErrResponse},
		{"an aud of another type", "application/json", `{"active":true,"aud":{"a":"b"}}`, phantom.ErrResponse},
		{"an aud with null", "application/json", `{"active":true,"aud":[null]}`, phantom.ErrResponse},
		{"a sub of another type", "application/json", `{"active":true,"sub":7}`, phantom.ErrResponse},
		{"a client_id of another type", "application/json", `{"active":true,"client_id":7}`, phantom.ErrResponse},
		{"an azp of another type", "application/json", `{"active":true,"azp":7}`, phantom.ErrResponse},
		{"exp as a string in JSON", "application/json", `{"active":true,"exp":"7"}`, phantom.ErrResponse},
		{"phantom_token no JWT", "application/json", `{"active":true,"phantom_token":"abc"}`, phantom.ErrResponse},
		{"phantom_token empty", "application/json", `{"active":true,"phantom_token":""}`, phantom.ErrResponse},
		{"jwt empty", "application/json", `{"active":true,"jwt":""}`, phantom.ErrResponse},
		{"jwt empty beside a good one", "application/json", `{"active":true,"jwt":"","phantom_token":"` + jwt + `"}`, phantom.ErrResponse},
		{"jwt no string", "application/json", `{"active":true,"jwt":7,"phantom_token":"` + jwt + `"}`, phantom.ErrResponse},
		{"phantom_token no string", "application/json", `{"active":true,"phantom_token":{}}`, phantom.ErrResponse},
		{"two JWTs that differ", "application/json", `{"active":true,"jwt":"` + jwt + `","phantom_token":"` + compact(`{"alg":"ES256"}`, `{"sub":"bob"}`) + `"}`, phantom.ErrResponse},

		{"no Content-Type", "", `{"active":true}`, phantom.ErrResponse},
		{"html", "text/html", `{"active":true}`, phantom.ErrResponse},
		{"problem details", "application/problem+json", `{"active":true}`, phantom.ErrResponse},
		{"a format not asked for", "application/token-introspection+jwt", jwt, phantom.ErrResponse},
		{"64 KiB and a byte", "application/json", `{"active":true,"x":"` + strings.Repeat("x", 64<<10-21) + `"}`, phantom.ErrResponse},
		{"64 KiB", "application/json", `{"active":true,"x":"` + strings.Repeat("x", 64<<10-22) + `"}`, nil},
	} {
		srv.Answer(opaque, phantomtest.Answer{Body: []byte(c.body), Header: http.Header{"Content-Type": {c.contentType}}})
		before := srv.Total()
		ex := newExchanger(t, srv)
		tok, err := exchange(t, ex)
		require.ErrorIs(t, err, c.want, c.rule)
		require.Equal(t, c.want == nil, tok != phantom.Token{}, c.rule)
		if err != nil {
			require.NotContains(t, err.Error(), "alice", c.rule)
		}
		require.NoError(t, ex.Close())
		require.Equal(t, 1, srv.Total()-before, c.rule)
	}
}

func TestOnlyListedFormatsAreUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   string
		accept []phantom.Format
		answer phantomtest.Answer
		want   error
	}{
		{"JSON for JWT", []phantom.Format{phantom.JWT}, phantomtest.Answer{Claims: m{}}, phantom.ErrResponse},
		{"JSON embedding for JWT", []phantom.Format{phantom.JWT}, phantomtest.Answer{Claims: m{}, Embed: true}, phantom.ErrResponse},
		{"JWT for JSON", []phantom.Format{phantom.JSON}, phantomtest.Answer{Format: phantom.JWT, Claims: m{}}, phantom.ErrResponse},
		{"inactive in JSON for JWT is understood", []phantom.Format{phantom.JWT}, phantomtest.Answer{}, phantom.ErrInactive},
		{"RFC 9701 for JWT", []phantom.Format{phantom.JWT}, phantomtest.Answer{Format: phantom.Introspection, Claims: m{}}, phantom.ErrResponse},
		{"204 is inactive", []phantom.Format{phantom.JSON}, phantomtest.Answer{Status: 204, Claims: m{}}, phantom.ErrInactive},
	} {
		srv := newServer(t)
		srv.Answer(opaque, c.answer)
		_, err := exchange(t, newExchanger(t, srv, func(cfg *phantom.Config) {
			cfg.Accept, cfg.VerifyResponse = c.accept, verifyResponse(srv)
		}))
		require.ErrorIs(t, err, c.want, c.rule)
	}
}

func TestSignedIntrospectionResponse(t *testing.T) {
	t.Parallel()
	body := func(typ string, claims m) func(*phantomtest.Server) phantomtest.Answer {
		return func(srv *phantomtest.Server) phantomtest.Answer {
			return phantomtest.Answer{Format: phantom.Introspection, Body: []byte(srv.Sign(typ, claims))}
		}
	}
	good := "token-introspection+jwt"
	text := func(jwt string) func(*phantomtest.Server) phantomtest.Answer {
		return func(*phantomtest.Server) phantomtest.Answer {
			return phantomtest.Answer{Format: phantom.Introspection, Body: []byte(jwt)}
		}
	}
	active := `{"token_introspection":{"active":true}}`
	refuse := errors.New("refused")
	verified := func(payload string, err error) func(context.Context, string) ([]byte, error) {
		return func(context.Context, string) ([]byte, error) { return []byte(payload), err }
	}
	for _, c := range []struct {
		rule   string
		answer func(*phantomtest.Server) phantomtest.Answer
		verify func(context.Context, string) ([]byte, error) // nil: the real one
		want   error
	}{
		{"active", body(good, m{"token_introspection": m{"active": true}}), nil, nil},
		{"typ with its prefix", body("application/"+good, m{"token_introspection": m{"active": true}}), nil, nil},
		{"without typ it is for VerifyResponse to say", text(compact(`{"alg":"ES256"}`, active)), verified(active, nil), nil},
		{"inactive", body(good, m{"token_introspection": m{"active": false}}), nil, phantom.ErrInactive},
		{"active outside the member", body(good, m{"active": true}), nil, phantom.ErrResponse},
		{"active a string", body(good, m{"token_introspection": m{"active": "true"}}), nil, phantom.ErrResponse},
		{"an access token of the same issuer", body("at+jwt", m{"token_introspection": m{"active": true}}), nil, phantom.ErrResponse},
		{"no signature at all", text(active), nil, phantom.ErrResponse},
		{"another's signature", text(compact(`{"alg":"ES256"}`, active)), nil, phantom.ErrResponse},
		{"alg none is not even shown to VerifyResponse", text(compact(`{"alg":"none"}`, active)), verified(active, nil), phantom.ErrResponse},
		{"a payload does not make up for a refusal", text(compact(`{"alg":"ES256"}`, active)), verified(active, refuse), phantom.ErrResponse},
		{"VerifyResponse cannot tell now", text(compact(`{"alg":"ES256"}`, active)), verified(active, laterError{refuse}), phantom.ErrUnavailable},
		{"a payload that is no object", text(compact(`{"alg":"ES256"}`, active)), verified(`"x"`, nil), phantom.ErrResponse},
	} {
		srv := newServer(t)
		srv.Answer(opaque, c.answer(srv))
		_, err := exchange(t, newExchanger(t, srv, acceptAll(srv), func(cfg *phantom.Config) {
			if c.verify != nil {
				cfg.VerifyResponse = c.verify
			}
		}))
		require.ErrorIs(t, err, c.want, c.rule)
	}
}

type laterError struct{ error }

func (laterError) RetryAfter() time.Duration { return 7 * time.Second }

func TestVerifyAndMint(t *testing.T) {
	t.Parallel()
	minted := compact(`{"alg":"ES256"}`, `{"sub":"alice","iss":"gateway"}`)
	jwt := phantomtest.Answer{Format: phantom.JWT, Claims: m{"sub": "alice"}}
	claims := phantomtestJSON(m{"sub": "alice"})
	refuse := errors.New("bad signature of alice's token")
	for _, c := range []struct {
		rule   string
		answer phantomtest.Answer
		change func(*phantom.Config)
		want   error
	}{
		{"Verify refuses a fill", jwt, func(c *phantom.Config) { c.Verify = verdict(refuse) }, phantom.ErrResponse},
		{"Verify cannot tell now", jwt, func(c *phantom.Config) { c.Verify = verdict(laterError{refuse}) }, phantom.ErrUnavailable},
		{"Verify takes too long", jwt, func(c *phantom.Config) { c.Verify = verdict(context.DeadlineExceeded) }, phantom.ErrUnavailable},
		{"Verify of an embedded JWT", phantomtest.Answer{Claims: m{}, Embed: true}, func(c *phantom.Config) { c.Verify = verdict(refuse) }, phantom.ErrResponse},
		{"Verify has nothing to do with claims", claims, func(c *phantom.Config) { c.Verify = verdict(refuse) }, nil},
		{"Verify panics", jwt, func(c *phantom.Config) { c.Verify = func(context.Context, string) error { panic("alice") } }, phantom.ErrResponse},
		{"Mint", claims, mint(minted, nil), nil},
		{"Mint fails", claims, mint(minted, refuse), phantom.ErrResponse},
		{"Mint cannot now", claims, mint(minted, laterError{refuse}), phantom.ErrUnavailable},
		{"Mint makes 64 KiB", claims, mint(sized(64<<10), nil), nil},
		{"Mint makes more", claims, mint(sized(64<<10+1), nil), phantom.ErrResponse},
		{"Mint makes no JWT", claims, mint("alice", nil), phantom.ErrResponse},
		{"Auth fails", claims, func(c *phantom.Config) { c.Auth = clientauth.None("") }, phantom.ErrResponse},
	} {
		srv := newServer(t)
		srv.Answer(opaque, c.answer)
		ex := newExchanger(t, srv, c.change)
		_, err := exchange(t, ex)
		require.ErrorIs(t, err, c.want, c.rule)
		if err != nil {
			require.NotContains(t, err.Error(), "alice", c.rule)
			require.NotErrorIs(t, err, refuse, c.rule)
			require.Equal(t, c.rule == "Verify panics", strings.Contains(err.Error(), "did not return"), c.rule)
		}
		if errors.Is(err, phantom.ErrResponse) {
			before := srv.Total()
			_, _ = exchange(t, ex)
			require.Equal(t, 2*before, srv.Total(), "%s: errors are not cached", c.rule)
		}
	}
}

// sized is a compact JWS of n bytes.
func sized(n int) string {
	rest := n - len(compact(`{"alg":"ES256"}`, ``))
	return compact(`{"alg":"ES256"}`, `{`+strings.Repeat(" ", rest*3/4-2)+`}`)
}

func verdict(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}

func mint(jwt string, err error) func(*phantom.Config) {
	return func(c *phantom.Config) {
		c.Mint = func(context.Context, json.RawMessage) (string, error) { return jwt, err }
	}
}

func TestVerifyRunsOncePerFill(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Claims: m{"sub": "alice"}})
	var calls int
	ex := newExchanger(t, srv, func(c *phantom.Config) {
		c.Verify = func(context.Context, string) error { calls++; return nil }
	})
	for range 5 {
		_, err := exchange(t, ex)
		require.NoError(t, err)
	}
	require.Equal(t, 1, calls)
}

func TestMintSeesTheClaimsAndLimitsTheToken(t *testing.T) {
	t.Parallel()
	clk := newClock()
	srv := newServer(t)
	srv.Answer(opaque, phantomtestJSON(m{"sub": "alice", "exp": clk.In(time.Hour)}))
	var given string
	ex := newExchanger(t, srv, withClock(clk), func(c *phantom.Config) {
		c.Mint = func(_ context.Context, claims json.RawMessage) (string, error) {
			given = string(claims)
			exp, err := json.Marshal(m{"exp": clk.In(2 * time.Minute)})
			return compact(`{"alg":"ES256"}`, string(exp)), err
		}
	})
	tok, err := exchange(t, ex)
	require.NoError(t, err)
	require.Contains(t, given, `"sub":"alice"`)
	require.NotEmpty(t, tok.JWT())
	require.Equal(t, clk.In(2*time.Minute), tok.Expires().Unix())
	var c struct{ Sub string }
	require.NoError(t, tok.Decode(&c))
	require.Equal(t, "alice", c.Sub)

	clk.Add(59 * time.Second)
	_, err = exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Total())
	clk.Add(2 * time.Second) // the minted JWT's exp less 60 s
	_, err = exchange(t, ex)
	require.NoError(t, err)
	require.Equal(t, 2, srv.Total())
}

func TestAnswerTightensItsJWT(t *testing.T) {
	t.Parallel()
	clk := newClock()
	inner := compact(`{"alg":"ES256"}`, `{"sub":"inner","client_id":"c","scope":"a b","aud":"x","exp":`+num(clk.In(time.Hour))+`}`)
	bare := compact(`{"alg":"ES256"}`, `{"sub":"inner","azp":"c","aud":"x"}`)
	for _, c := range []struct {
		rule, jwt, outer, sub, client, audience string
		scopeB                                  bool
		exp                                     time.Duration
	}{
		{"only the JWT says it", inner, ``, "inner", "c", "x", true, time.Hour},
		{"the answer says it, too", inner, `,"sub":"outer","client_id":"d","aud":"y","scope":"a","exp":` + num(clk.In(time.Minute)), "outer", "d", "y", false, time.Minute},
		{"the earlier exp counts", inner, `,"exp":` + num(clk.In(2*time.Hour)), "inner", "c", "x", true, time.Hour},
		{"only the answer has an exp", bare, `,"scope":["a","b"],"exp":` + num(clk.In(time.Minute)), "inner", "c", "x", true, time.Minute},
	} {
		srv := newServer(t)
		srv.Answer(opaque, phantomtest.Answer{Body: []byte(`{"active":true,"jwt":"` + c.jwt + `"` + c.outer + `}`)})
		ex := newExchanger(t, srv, withClock(clk), func(cfg *phantom.Config) { cfg.Audience = []string{c.audience} })
		tok, err := exchange(t, ex)
		require.NoError(t, err, c.rule)
		require.Equal(t, c.sub, tok.Subject(), c.rule)
		require.Equal(t, c.scopeB, tok.HasScope("b"), c.rule)
		require.Equal(t, clk.In(c.exp), tok.Expires().Unix(), c.rule)
		require.Equal(t, c.client, tok.ClientID(), c.rule)
	}
}

func num(n int64) string {
	b, _ := json.Marshal(n)
	return string(b)
}

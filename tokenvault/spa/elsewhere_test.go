package spa_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

func TestElsewhere_RedactedBodyLosesIDTokenOrServerError(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.as.extra = map[string]any{"not_known": "short", "session_state": "abcdefghijklmnopqrstuvwxyz"}
	_, body := f.exchange(exchangeForm())
	require.Contains(t, body, `"id_token":"eyJ`)
	require.Contains(t, body, `"not_known":"short"`)
	require.Contains(t, body, `"session_state":"abcdefghijklmnopqrstuvwxyz"`)

	f.as.status, f.as.body = 400, `{"error":"invalid_grant","error_description":"the code was used before"}`
	f.cookie = ""
	res, body := f.exchange(exchangeForm())
	require.Equal(t, 400, res.StatusCode)
	require.Equal(t, f.as.body, body, "in the server's own words")
	require.Empty(t, f.cookie, "no session without a grant")
}

func TestElsewhere_UnknownMembersThatHoldATokenPass(t *testing.T) {
	t.Parallel()
	hidden := "another-token-that-nobody-listed"
	for name, extra := range map[string]any{
		"a string": hidden, "an object": map[string]any{"inner": hidden}, "an array": []any{1, hidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil)
			f.as.extra = map[string]any{"device_secret": extra}
			_, body := f.exchange(exchangeForm())
			require.Contains(t, body, `"device_secret":"REDACTED"`)
			leaktest.None(t, []byte(body), hidden)
		})
	}
}

func TestElsewhere_TokenReachesURLsThatContainAListedOneAsSubstring(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	for _, path := range []string{"/x/v1/y", "/v10/y", "/?next=/v1/y", "/V1/y", "/v1"} {
		f.do(request("GET", path, ""))
	}
	require.Empty(t, f.api.requests())
	for _, upstream := range []string{"https://evil.test/", "https://evil.test/" + f.api.URL, f.api.URL + ".evil.test"} {
		c := f.config
		c.Resources = []spa.Resource{{Pattern: "/e/", Upstream: upstream}}
		_, err := spa.New(c)
		require.ErrorContains(t, err, "Config.Resources[0].Upstream", upstream)
	}
}

func TestElsewhere_PathWithAccessTokenInItWipesTheStore(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	res := f.do(request("POST", "/v1/access_token", "{}"))
	require.Equal(t, "hello from /v1/access_token", read(t, res))
	require.Equal(t, 200, f.do(request("GET", "/v1/x", "")).StatusCode, "still logged in")
	require.Equal(t, 1, f.as.count("/token authorization_code"))
}

func TestElsewhere_DeleteOutsideTheListGetsTheToken(t *testing.T) {
	t.Parallel()
	f := setup(t, func(f *fixture) {
		f.config.Resources = []spa.Resource{{Pattern: "GET /v1/", Upstream: f.api.URL}}
	})
	f.login()
	require.Equal(t, 404, f.do(request("DELETE", "/v1/x", "")).StatusCode)
	require.Empty(t, f.api.requests())
}

// Five requests meet a token that the API refuses: one refresh, five answers,
// still logged in.
func TestElsewhere_FiveParallelRequestsRefreshFiveTimes(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	refuseUnless(f)
	f.as.kill()
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 5 {
		wg.Go(func() {
			res := f.do(request("GET", "/v1/x", ""))
			mu.Lock()
			defer mu.Unlock()
			statuses[res.StatusCode]++
		})
	}
	wg.Wait()
	require.Equal(t, map[int]int{200: 5}, statuses)
	require.Equal(t, 1, f.as.count("/token refresh_token"))
	require.Equal(t, 200, f.do(request("GET", "/v1/x", "")).StatusCode)
}

// refuseUnless makes the API answer 401 to all but the token that is good.
func refuseUnless(f *fixture) {
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+f.as.good() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
}

func TestElsewhere_NetworkErrorDuringRefreshDeletesTheSession(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.as.expires = 1 // expired as soon as it is looked at closely
	f.login()
	f.as.status, f.as.body = 503, `{"error":"temporarily_unavailable"}`
	res := f.do(request("POST", "/.tokenvault/refresh", ""))
	require.Equal(t, 503, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	require.NotEmpty(t, f.cookie)
	require.Equal(t, `{"hasTokens":true}`+"\n", read(t, f.do(request("GET", "/.tokenvault/session", ""))))
}

func TestElsewhere_BrowserPostsClientCredentialsAndTheProxyAddsItsSecret(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	form := exchangeForm()
	form.Set("grant_type", "client_credentials")
	res, body := f.exchange(form)
	require.Equal(t, 400, res.StatusCode)
	require.Contains(t, body, "unsupported_grant_type")
	require.Empty(t, f.as.forms, "nothing was sent")
}

// What the browser adds to an exchange stays here.
func TestExchangeIsRebuiltFromAnAllowList(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	form := exchangeForm()
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type", "scope", "audience", "resource", "username", "anything"} {
		form.Set(name, "from the browser")
	}
	res, _ := f.exchange(form)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {"the code"}, "code_verifier": {verifier}, "redirect_uri": {redirectURI},
	}, f.as.forms[0])
}

func TestElsewhere_LogoutDeletesTokensBeforeEndSession(t *testing.T) {
	t.Parallel()
	for _, removeFirst := range []bool{false, true} {
		f := setup(t, nil)
		f.login()
		if removeFirst {
			require.Equal(t, 200, f.do(request("POST", "/.tokenvault/remove", "")).StatusCode)
			require.Equal(t, `{"hasTokens":false}`+"\n", read(t, f.do(request("GET", "/.tokenvault/session", ""))))
			require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
			require.Empty(t, f.api.requests())
		}
		res := f.send(request("GET", "/oauth2/logout", ""))
		location, err := res.Location()
		require.NoError(t, err)
		require.Contains(t, location.Query().Get("id_token_hint"), "eyJ", "remove first: %v", removeFirst)
		require.Equal(t, "spa", location.Query().Get("client_id"))
	}
}

func TestElsewhere_RevokeOfTheAccessTokenOnly(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	tokens := f.as.tokens()
	r := request("POST", "/oauth2/revoke", "token=REDACTED&token_type_hint=access_token")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, 200, f.do(r).StatusCode)
	require.ElementsMatch(t, tokens, f.as.revoked)
}

func TestElsewhere_CookiePlantedByASiblingDomain(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	r := request("GET", "/v1/x", "")
	r.AddCookie(&http.Cookie{Name: cookieName, Value: strings.Repeat("A", 43)})
	res := f.do(r)
	require.Equal(t, 400, res.StatusCode)
	require.Contains(t, read(t, res), "ambiguous")
	require.Empty(t, f.api.requests())

	// A session id from before the login is not the one after it.
	before := f.cookie
	f.login()
	require.NotEqual(t, before, f.cookie)
	f.cookie = before
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Len(t, f.as.revoked, 2, "the earlier session's tokens")
}

func TestElsewhere_ReflectedOrigin(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	for _, origin := range []string{"https://evil.test", "null", "https://app.example.com.evil.test", "https://APP.example.com"} {
		for _, r := range []*http.Request{request("GET", "/v1/x", ""), request("OPTIONS", "/v1/x", "")} {
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "GET")
			res := f.do(r)
			require.Equal(t, 403, res.StatusCode)
			require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
			require.Empty(t, res.Header.Get("Access-Control-Allow-Credentials"))
			require.Contains(t, res.Header.Values("Vary"), "Origin")
		}
	}
	r := request("OPTIONS", "/v1/x", "")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	r.Header.Set("Access-Control-Request-Headers", "x-tokenvault, content-type")
	res := f.do(r)
	require.Equal(t, 204, res.StatusCode)
	require.Equal(t, appOrigin, res.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "PUT", res.Header.Get("Access-Control-Allow-Methods"))
	require.Equal(t, "x-tokenvault, content-type", res.Header.Get("Access-Control-Allow-Headers"))
	require.Empty(t, f.api.requests())
}

func TestElsewhere_TokenLogged(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	f.do(request("GET", "/v1/x", ""))
	f.do(request("GET", "/v2/x", ""))
	f.api.Close()
	f.do(request("GET", "/v1/x", ""))
	f.do(request("POST", "/.tokenvault/refresh", ""))
	f.do(request("POST", "/.tokenvault/remove", ""))
	f.mu.Lock()
	defer f.mu.Unlock()
	var kinds []string
	for _, e := range f.events {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []string{"exchange", "attach", "refused", "attach", "refresh", "logout"}, kinds)
	printed := fmt.Sprintf("%v %+v %#v %v %+v %#v", f.events, f.events, f.events, f.proxy, f.proxy, f.proxy)
	leaktest.None(t, []byte(printed), append(f.as.tokens(), f.cookie, secret)...)
}

// A server that repeats a token in a member that is let through: nothing of the
// answer is passed on, no session begins, and the tokens are revoked.
func TestTokenRepeatedWhereNoneBelongs(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	const access = "an-access-token-that-is-repeated"
	f.as.status, f.as.body = 200, `{"access_token":"`+access+`","refresh_token":"the-refresh-token","state":"x `+access+`"}`
	res, body := f.exchange(exchangeForm())
	require.Equal(t, 502, res.StatusCode)
	require.Empty(t, f.cookie)
	require.ElementsMatch(t, []string{access, "the-refresh-token"}, f.as.revoked)
	leaktest.None(t, []byte(body+headerText(res.Header)), access, "the-refresh-token")
}

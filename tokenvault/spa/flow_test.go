package spa_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Login, call, refresh, logout: what reaches the browser holds no token.
func TestLifeOfASession(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)

	res, body := f.exchange(exchangeForm())
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, `"access_token":"REDACTED"`)
	require.Contains(t, body, `"refresh_token":"REDACTED"`)
	require.Contains(t, body, `"id_token":"eyJ`)
	require.Contains(t, body, `"expires_in":3600`)
	require.Contains(t, res.Header.Get("Set-Cookie"), "; Path=/; HttpOnly; Secure; SameSite=Strict")
	require.Equal(t, appOrigin, res.Header.Get("Access-Control-Allow-Origin"))
	leaktest.None(t, []byte(body+res.Header.Get("Set-Cookie")), f.as.tokens()...)

	res = f.do(request("GET", "/v1/things?a=1", ""))
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "hello from /v1/things", read(t, res))
	got := f.api.requests()[0]
	require.Equal(t, "Bearer "+f.as.good(), got.Header.Get("Authorization"))
	require.Equal(t, "a=1", got.URL.RawQuery)
	require.Empty(t, got.Header.Get("Cookie"))

	require.Equal(t, `{"hasTokens":true}`+"\n", read(t, f.do(request("GET", "/.tokenvault/session", ""))))
	require.Equal(t, `{"sub":"ada"}`, read(t, f.do(request("GET", "/oauth2/userinfo", ""))))
	require.Equal(t, `{"refreshTokens":true}`+"\n", read(t, f.do(request("POST", "/.tokenvault/refresh", ""))))
	require.Equal(t, 1, f.as.count("/token refresh_token"))

	res = f.send(request("GET", "/oauth2/logout?post_logout_redirect_uri="+appOrigin+"/bye&state=x", ""))
	require.Equal(t, http.StatusFound, res.StatusCode)
	location, err := res.Location()
	require.NoError(t, err)
	require.Equal(t, "/end", location.Path)
	require.Contains(t, location.Query().Get("id_token_hint"), "eyJ")
	require.Equal(t, appOrigin+"/bye", location.Query().Get("post_logout_redirect_uri"))
	require.Len(t, f.as.revoked, 2, "refresh and access token")
	require.Empty(t, f.cookie)
}

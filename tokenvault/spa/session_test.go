package spa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

func TestSessionsEndByIdleAndAbsolute(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rule  string
		steps []time.Duration
		alive bool
	}{
		{"used within Idle", []time.Duration{9 * time.Minute, 9 * time.Minute, 9 * time.Minute}, true},
		{"not used for Idle", []time.Duration{10 * time.Minute}, false},
		{"older than Absolute, although used", []time.Duration{9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 7 * time.Minute}, false},
	} {
		c := newClock()
		f := setup(t, func(f *fixture) {
			f.config.Now, f.config.Idle, f.config.Absolute = c.Now, 10*time.Minute, time.Hour
		})
		f.login()
		var res *http.Response
		for _, d := range row.steps {
			c.advance(d)
			res = f.do(request("GET", "/v1/x", ""))
		}
		require.Equal(t, row.alive, res.StatusCode == 200, row.rule)
	}
}

// What the store holds lets nobody act as the browser, and is no token.
func TestSessionStoreHoldsNoSessionIDAndNoToken(t *testing.T) {
	t.Parallel()
	kept := &recordingSessions{Sessions: spa.NewMemorySessions(nil)}
	f := setup(t, func(f *fixture) { f.config.Sessions = kept })
	f.login()
	f.do(request("GET", "/v1/x", ""))
	cookie := f.cookie
	f.do(request("POST", "/.tokenvault/remove", ""))
	f.send(request("GET", "/oauth2/logout", ""))
	require.Contains(t, kept.log.String(), "spa:")
	leaktest.None(t, kept.log.Bytes(), append(f.as.tokens(), cookie)...)
}

type recordingSessions struct {
	spa.Sessions
	log bytes.Buffer
}

func (r *recordingSessions) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	r.log.WriteString(key + " " + string(value) + "\n")
	return r.Sessions.Set(ctx, key, value, ttl)
}

func TestMemorySessions(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, ctx := spa.NewMemorySessions(c.Now), t.Context()
	_, err := s.Get(ctx, "a")
	require.Error(t, err)
	require.NoError(t, s.Set(ctx, "a", []byte("1"), time.Minute))
	ok, err := s.Add(ctx, "a", []byte("2"), time.Minute)
	require.NoError(t, err)
	require.False(t, ok)
	got, err := s.Get(ctx, "a")
	require.NoError(t, err)
	got[0] = 'x'
	got, _ = s.Get(ctx, "a")
	require.Equal(t, "1", string(got), "a copy")
	c.advance(time.Minute)
	_, err = s.Get(ctx, "a")
	require.Error(t, err)
	ok, _ = s.Add(ctx, "a", []byte("3"), time.Minute)
	require.True(t, ok)
	require.NoError(t, s.Set(ctx, "a", nil, 0))
	_, err = s.Get(ctx, "a")
	require.Error(t, err)
}

// logoutToken is what VerifyLogout returns for a token of that name.
type logoutTokens map[string]map[string]any

func (l logoutTokens) verify(_ context.Context, jwt string) ([]byte, error) {
	claims, ok := l[jwt]
	if !ok {
		return nil, errors.New("bad signature")
	}
	return json.Marshal(claims)
}

// OpenID Connect Back-Channel Logout 1.0 section 2.6, rule by rule.
func TestBackchannelLogout(t *testing.T) {
	t.Parallel()
	c := newClock()
	good := func(change func(map[string]any)) map[string]any {
		m := map[string]any{
			"iss": "https://as.example.com", "aud": "spa", "iat": c.Now().Unix(), "jti": "j1", "sid": "s1", "sub": "ada",
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		change(m)
		return m
	}
	for _, row := range []struct {
		rule   string
		change func(map[string]any)
		status int
		ended  bool
	}{
		{"as it should be", func(map[string]any) {}, 200, true},
		{"audience in an array", func(m map[string]any) { m["aud"] = []string{"other", "spa"} }, 200, true},
		{"sub only", func(m map[string]any) { delete(m, "sid") }, 200, true},
		{"sid only", func(m map[string]any) { delete(m, "sub") }, 200, true},
		{"another session of the subject", func(m map[string]any) { m["sid"] = "s2" }, 200, false},
		{"another subject", func(m map[string]any) { delete(m, "sid"); m["sub"] = "bob" }, 200, false},
		{"neither sub nor sid", func(m map[string]any) { delete(m, "sid"); delete(m, "sub") }, 400, false},
		{"another issuer", func(m map[string]any) { m["iss"] = "https://evil.test" }, 400, false},
		{"no issuer", func(m map[string]any) { delete(m, "iss") }, 400, false},
		{"another audience", func(m map[string]any) { m["aud"] = "other" }, 400, false},
		{"no audience", func(m map[string]any) { delete(m, "aud") }, 400, false},
		{"no iat", func(m map[string]any) { delete(m, "iat") }, 400, false},
		{"too old", func(m map[string]any) { m["iat"] = c.Now().Add(-6 * time.Minute).Unix() }, 400, false},
		{"from the future", func(m map[string]any) { m["iat"] = c.Now().Add(2 * time.Minute).Unix() }, 400, false},
		{"no jti", func(m map[string]any) { delete(m, "jti") }, 400, false},
		{"no events", func(m map[string]any) { delete(m, "events") }, 400, false},
		{"another event", func(m map[string]any) { m["events"] = map[string]any{"x": map[string]any{}} }, 400, false},
		{"event that is no object", func(m map[string]any) {
			m["events"] = map[string]any{"http://schemas.openid.net/event/backchannel-logout": true}
		}, 400, false},
		{"a nonce", func(m map[string]any) { m["nonce"] = "n" }, 400, false},
		{"a null nonce", func(m map[string]any) { m["nonce"] = nil }, 400, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			tokens := logoutTokens{"jwt": good(row.change)}
			f := setup(t, func(f *fixture) {
				f.config.Now, f.config.VerifyLogout, f.config.Issuer = c.Now, tokens.verify, "https://as.example.com"
			})
			f.login()
			require.Equal(t, row.status, f.backchannel("jwt"))
			res := f.do(request("GET", "/v1/x", ""))
			require.Equal(t, row.ended, res.StatusCode == 400, read(t, res))
			if row.ended {
				require.Len(t, f.as.revoked, 2, "the session's tokens are revoked")
			}
			if row.status == 200 {
				require.Equal(t, 400, f.backchannel("jwt"), "replayed")
			}
			require.Equal(t, 400, f.backchannel("forged"))
		})
	}
}

func (f *fixture) backchannel(jwt string) int {
	r := request("POST", "/.tokenvault/backchannel-logout", url.Values{"logout_token": {jwt}}.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.send(r).StatusCode
}

// After the log-out somebody logs in again: the mark ends older sessions only.
func TestLoginAfterBackchannelLogout(t *testing.T) {
	t.Parallel()
	c := newClock()
	tokens := logoutTokens{"jwt": {
		"iss": "https://as.example.com", "aud": "spa", "iat": c.Now().Unix(), "jti": "j", "sub": "ada",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}}
	f := setup(t, func(f *fixture) { f.config.Now, f.config.VerifyLogout = c.Now, tokens.verify })
	f.login()
	require.Equal(t, 200, f.backchannel("jwt"))
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	c.advance(time.Second)
	f.login()
	require.Equal(t, 200, f.do(request("GET", "/v1/x", "")).StatusCode)
}

func TestEndSessionRedirectsOnlyToTheApp(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		appOrigin: appOrigin, appOrigin + "/bye": appOrigin + "/bye", "https://evil.test/": "",
		appOrigin + ".evil.test/": "", "javascript:alert(1)": "", "//evil.test": "",
	} {
		f := setup(t, nil)
		res := f.send(request("GET", "/oauth2/logout?state=s&post_logout_redirect_uri="+url.QueryEscape(to), ""))
		location, err := res.Location()
		require.NoError(t, err)
		require.Equal(t, want, location.Query().Get("post_logout_redirect_uri"), to)
		require.Empty(t, location.Query().Get("id_token_hint"), "there was no session")
	}
}

// A server that is down keeps nobody from logging out here.
func TestLogoutWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	cookie := f.cookie
	f.as.Close()
	require.Equal(t, http.StatusFound, f.send(request("GET", "/oauth2/logout", "")).StatusCode)
	f.cookie = cookie
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Empty(t, f.api.requests())
}

func TestConfigErrorsNameTheField(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		field  string
		change func(*spa.Config)
	}{
		{"Config.Vault", func(c *spa.Config) { c.Vault = nil }},
		{"Config.Provider", func(c *spa.Config) { c.Provider = "other" }},
		{"Config.Issuer", func(c *spa.Config) { c.Issuer, c.Endpoints = "", spa.Endpoints{} }},
		{"Config.Issuer", func(c *spa.Config) { c.Issuer = "not a url" }},
		{"Config.Endpoints.UserInfo", func(c *spa.Config) {
			c.Endpoints.UserInfo, c.InsecureHTTP = "http://as.example.com/me", false
			c.Endpoints.Authorization = ""
		}},
		{"Config.Endpoints.EndSession", func(c *spa.Config) { c.Endpoints.EndSession = "https://user@as.example.com/" }},
		{"Config.Origin", func(c *spa.Config) { c.Origin = "http://vault.example.com" }},
		{"Config.Origin", func(c *spa.Config) { c.Origin = "https://vault.example.com/" }},
		{"Config.Origin", func(c *spa.Config) { c.Origin = "https://Vault.example.com" }},
		{"Config.Origin", func(c *spa.Config) { c.Origin = "https://vault.example.com:443" }},
		{"Config.Origins", func(c *spa.Config) { c.Origins = nil }},
		{"Config.Origins[0]", func(c *spa.Config) { c.Origins = []string{"https://a';b.example.com"} }},
		{"Config.Origins[1]", func(c *spa.Config) { c.Origins = append(c.Origins, "*") }},
		{"Config.Origins[0]", func(c *spa.Config) { c.Origins = []string{vaultOrigin} }},
		{"Config.Origins[0]", func(c *spa.Config) { c.Origins = []string{vaultOrigin + ":8443"} }},
		{"Config.Origins[0]", func(c *spa.Config) { c.Origins = []string{"https://app.example.org"} }},
		{"Config.Origins[0]", func(c *spa.Config) {
			c.Origin, c.Origins = "https://vault.github.io", []string{"https://app.github.io"}
		}},
		{"Config.RedirectURIs", func(c *spa.Config) { c.RedirectURIs = nil }},
		{"Config.RedirectURIs[0]", func(c *spa.Config) { c.RedirectURIs = []string{"/callback"} }},
		{"Config.Resources[0].Pattern", func(c *spa.Config) { c.Resources[0].Pattern = "example.com/v1/" }},
		{"Config.Resources[0].Pattern", func(c *spa.Config) { c.Resources[0].Pattern = "v1" }},
		{"Config.Resources[0].Pattern", func(c *spa.Config) { c.Resources[0].Pattern = "GET /.tokenvault/session" }},
		{"Config.Resources[1].Pattern", func(c *spa.Config) { c.Resources[1].Pattern = c.Resources[0].Pattern }},
		{"Config.Resources[0].Upstream", func(c *spa.Config) { c.Resources[0].Upstream = "" }},
		{"Config.Resources[0].Upstream", func(c *spa.Config) { c.Resources[0].Upstream = "https://elsewhere.example.net" }},
		{"Config.Resources[0].Exclude[0]", func(c *spa.Config) { c.Resources[0].Exclude = []string{"x"} }},
		{"Config.Redact[0]", func(c *spa.Config) { c.Redact = []string{"$.["} }},
		{"Config.Cookie", func(c *spa.Config) { c.Cookie = "session" }},
		{"Config.Cookie", func(c *spa.Config) { c.Cookie = "__Host-a b" }},
		{"Config.Idle", func(c *spa.Config) { c.Idle = -1 }},
	} {
		f := setup(t, nil)
		c := f.config
		c.Resources = append([]spa.Resource{}, c.Resources...)
		row.change(&c)
		p, err := spa.New(c)
		require.ErrorContains(t, err, "spa: "+row.field)
		require.Nil(t, p)
	}
}

// Discovery happens when it is first needed; a server that is down, or that
// speaks for another issuer, is 503 and asked again.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	var answer func(w http.ResponseWriter)
	var asked int
	up := newUpstream(t)
	up.handle(func(w http.ResponseWriter, _ *http.Request) { asked++; answer(w) })
	f := setup(t, func(f *fixture) { f.config.Issuer, f.config.Endpoints = up.URL, spa.Endpoints{} })
	require.Zero(t, asked, "New does no I/O")
	good := `{"issuer":"` + up.URL + `","authorization_endpoint":"` + up.URL + `/auth","end_session_endpoint":"` + up.URL + `/end","jwks_uri":"` + up.URL + `/jwks"}`
	for name, bad := range map[string]func(w http.ResponseWriter){
		"500": func(w http.ResponseWriter) { w.WriteHeader(500) },
		"other issuer": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, strings.Replace(good, up.URL, "https://evil.test", 1))
		},
		"not JSON": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"redirect": func(w http.ResponseWriter) { w.Header().Set("Location", "https://evil.test"); w.WriteHeader(302) },
		"huge":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, good+strings.Repeat(" ", 300<<10)) },
		"bad endpoint": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, strings.Replace(good, `"authorization_endpoint":"`, `"authorization_endpoint":"javascript:`, 1))
		},
	} {
		answer = bad
		res := f.send(request("GET", "/oauth2/authorize?client_id=spa", ""))
		require.Equal(t, 503, res.StatusCode, name)
	}
	answer = func(w http.ResponseWriter) { _, _ = io.WriteString(w, good) }
	before := asked
	for range 3 {
		res := f.send(request("GET", "/oauth2/authorize?client_id=spa&state=x", ""))
		require.Equal(t, up.URL+"/auth?client_id=spa&state=x", res.Header.Get("Location"))
	}
	require.Equal(t, before+1, asked)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(read(t, f.send(request("GET", "/.well-known/openid-configuration", "")))), &m))
	require.Equal(t, up.URL, m["issuer"])
	require.Equal(t, vaultOrigin+"/oauth2/token", m["token_endpoint"])
	require.Equal(t, up.URL+"/jwks", m["jwks_uri"])
}

// The same paths as the Ping SDK uses reach the same handlers.
func TestPingPaths(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	r := request("POST", "/am/oauth2/realms/root/access_token", exchangeForm().Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, 200, f.do(r).StatusCode)
	r = request("GET", "/am/oauth2/realms/root/userinfo", "")
	r.Header.Set("Authorization", "Bearer null")
	require.Equal(t, `{"sub":"ada"}`, read(t, f.do(r)))
	require.Equal(t, 302, f.send(request("GET", "/am/oauth2/realms/root/connect/endSession", "")).StatusCode)
	require.Len(t, f.as.revoked, 2)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for _, row := range []struct {
		r    *http.Request
		want string
	}{
		{request("GET", "/v1/x", ""), "GET matches resource /v1/, but is refused: the X-Tokenvault header is missing"},
		{request("GET", "/v2/x", ""), "GET is refused: the request matches no listed resource"},
		{request("GET", "/", ""), "GET matches the proxy's own address: bridge page"},
		{request("TRACE", "/v1/x", ""), "TRACE is refused: the method is not allowed"},
	} {
		require.Equal(t, row.want, f.proxy.Explain(row.r))
	}
	r := request("GET", "/v1/x", "")
	r.Header.Set("X-Tokenvault", "1")
	require.Contains(t, f.proxy.Explain(r), "the session's token is attached for 127.0.0.1:")
}

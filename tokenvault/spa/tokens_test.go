package spa_test

import (
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
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// What the application may ask about its session, with one and without.
func TestTokenStates(t *testing.T) {
	t.Parallel()
	f, s, _ := stubborn(t)
	has := func() string { return read(t, f.do(request("GET", "/.tokenvault/session", ""))) }
	require.JSONEq(t, `{"hasTokens":false}`, has(), "no session")
	require.Equal(t, 400, f.do(request("POST", "/.tokenvault/refresh", "")).StatusCode)
	require.Equal(t, 400, f.do(request("POST", "/.tokenvault/remove", "")).StatusCode)
	res := f.do(request("POST", "/oauth2/revoke", ""))
	require.Equal(t, 200, res.StatusCode, "RFC 7009 section 2.2: nothing is left to revoke")
	require.JSONEq(t, `{}`, read(t, res))

	f.login()
	require.JSONEq(t, `{}`, read(t, f.do(request("POST", "/oauth2/revoke", ""))))
	require.JSONEq(t, `{"hasTokens":false}`, has())
	f.as.revoked = nil
	f.login()
	require.JSONEq(t, `{"hasTokens":true}`, has())
	for _, path := range []string{"/.tokenvault/remove", "/oauth2/revoke", "/.tokenvault/refresh"} {
		s.set(func() { s.failGet = func(int) bool { return true } })
		require.Equal(t, 503, f.do(request("POST", path, "")).StatusCode, path)
	}
	require.Equal(t, 503, f.do(request("GET", "/.tokenvault/session", "")).StatusCode)
	s.set(func() { s.failGet, s.failSet = nil, func(int) bool { return true } })
	require.Equal(t, 503, f.do(request("POST", "/.tokenvault/remove", "")).StatusCode)
	require.Empty(t, f.as.revoked, "what could not be noted has not been done")
	s.set(func() { s.failSet = nil })

	for range 2 {
		res := f.do(request("POST", "/.tokenvault/remove", ""))
		require.Equal(t, 200, res.StatusCode)
		require.JSONEq(t, `{"removeToken":true}`, read(t, res))
		require.JSONEq(t, `{"hasTokens":false}`, has())
		require.Len(t, f.as.revoked, 2)
	}
	require.Equal(t, 400, f.do(request("POST", "/.tokenvault/refresh", "")).StatusCode)
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Empty(t, f.api.requests())
	location, err := f.send(request("GET", "/oauth2/logout", "")).Location()
	require.NoError(t, err)
	require.NotEmpty(t, location.Query().Get("id_token_hint"), "kept for this")
	require.Len(t, f.as.revoked, 2)
}

// deafStore is a vault's store that fails when told to: to read, or to write.
type deafStore struct {
	vault.Store
	deaf, mute bool
}

func (s *deafStore) Swap(ctx context.Context, r vault.Row) (bool, error) {
	if s.mute {
		return false, errDown
	}
	return s.Store.Swap(ctx, r)
}

func (s *deafStore) Get(ctx context.Context, id string) (vault.Row, error) {
	if s.deaf {
		return vault.Row{}, errDown
	}
	return s.Store.Get(ctx, id)
}

// ownVault gives f a vault on store for hosts.
func ownVault(f *fixture, store vault.Store, hosts ...string) {
	jwk, err := tokenvault.NewKey()
	require.NoError(f, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(f, err)
	f.vault, err = vault.New(vault.Config{Sealer: keys, Store: store, Providers: []*vault.Provider{{
		Name: "as", RevocationURL: f.as.URL + "/revoke", Client: f.as.Client(), InsecureHTTP: true, Hosts: hosts,
		OAuth2: &oauth2.Config{ClientID: "spa", ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: f.as.URL + "/token"}},
	}}})
	require.NoError(f, err)
	f.Cleanup(func() { _ = f.vault.Close(context.Background()) })
	f.config.Vault = f.vault
}

func TestTokensAreNotRemovedWhileTheGrantCannotBeRead(t *testing.T) {
	t.Parallel()
	store := &deafStore{Store: vault.NewMemoryStore()}
	f := setup(t, func(f *fixture) { ownVault(f, store, hostOf(t, f.api.URL)) })
	f.login()
	store.deaf = true
	require.Equal(t, 503, f.do(request("POST", "/.tokenvault/remove", "")).StatusCode)
	store.deaf = false
	require.Equal(t, 200, f.do(request("GET", "/v1/x", "")).StatusCode, "the session still has them")
	require.Empty(t, f.as.revoked)
}

// A session whose tokens were removed has none, though the vault could not take
// note.
func TestRemovedTokensStayUnusedIfRevokingFails(t *testing.T) {
	t.Parallel()
	store := &deafStore{Store: vault.NewMemoryStore()}
	f := setup(t, func(f *fixture) { ownVault(f, store, hostOf(t, f.api.URL)) })
	f.login()
	store.mute = true
	require.Equal(t, 200, f.do(request("POST", "/.tokenvault/remove", "")).StatusCode)
	store.mute = false
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Equal(t, 400, f.do(request("POST", "/.tokenvault/refresh", "")).StatusCode)
	require.Empty(t, f.api.requests())
	require.Zero(t, f.as.count("/token refresh_token"))
	logout := f.last("logout")
	require.Error(t, logout.Err, "whoever watches learns of it")
}

func (f *fixture) last(kind string) (found spa.Event) {
	f.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.Kind == kind {
			found = e
		}
	}
	require.Equal(f, kind, found.Kind)
	return found
}

// A grant that the vault no longer has is no session, and logging out of it is
// no failure.
func TestAGrantThatIsGone(t *testing.T) {
	t.Parallel()
	store := &deafStore{Store: vault.NewMemoryStore()}
	f := setup(t, func(f *fixture) { ownVault(f, store, hostOf(t, f.api.URL)) })
	f.login()
	store.Store = vault.NewMemoryStore()
	require.Equal(t, 400, f.do(request("GET", "/v1/x", "")).StatusCode)
	require.Empty(t, f.api.requests())
	require.Equal(t, 302, f.send(request("GET", "/oauth2/logout", "")).StatusCode)
	require.NoError(t, f.last("logout").Err)
}

// RP-Initiated Logout 1.0 section 2: state comes back only where we lead.
func TestEndSessionParameters(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ query, end, want string }{
		{"?state=s&post_logout_redirect_uri=" + appOrigin, "/end", "/end?client_id=spa&post_logout_redirect_uri=" + url.QueryEscape(appOrigin) + "&state=s"},
		{"?post_logout_redirect_uri=" + appOrigin, "/end", "/end?client_id=spa&post_logout_redirect_uri=" + url.QueryEscape(appOrigin)},
		{"?state=s", "/end", "/end?client_id=spa"},
		{"", "/end?tenant=a", "/end?tenant=a&client_id=spa"},
	} {
		f := setup(t, func(f *fixture) { f.config.Endpoints.EndSession = f.as.URL + row.end })
		res := f.send(request("GET", "/oauth2/logout"+row.query, ""))
		require.Equal(t, f.as.URL+row.want, res.Header.Get("Location"))
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
	}
	f := setup(t, func(f *fixture) { f.as.extra["id_token"] = nil })
	f.login()
	res := f.send(request("GET", "/oauth2/logout", ""))
	require.Equal(t, f.as.URL+"/end?client_id=spa", res.Header.Get("Location"), "there is no ID token")
}

func TestEndpointsThatAreNotThere(t *testing.T) {
	t.Parallel()
	f := setup(t, func(f *fixture) {
		f.config.Endpoints = spa.Endpoints{Token: f.as.URL + "/token"}
	})
	f.login()
	require.Equal(t, 503, f.send(request("GET", "/oauth2/authorize?client_id=spa", "")).StatusCode)
	require.Equal(t, 503, f.send(request("GET", "/oauth2/logout", "")).StatusCode)
	require.Equal(t, 404, f.do(request("GET", "/oauth2/userinfo", "")).StatusCode)

	foreign := newUpstream(t)
	f = setup(t, func(f *fixture) { f.config.Endpoints.UserInfo = foreign.URL + "/me" })
	f.login()
	require.Equal(t, 404, f.do(request("GET", "/oauth2/userinfo", "")).StatusCode, "its host is not the provider's")
	require.Empty(t, foreign.requests())

	f = setup(t, func(f *fixture) { f.config.Issuer, f.config.Endpoints = f.as.URL, spa.Endpoints{} })
	for _, path := range []string{"/oauth2/authorize?client_id=spa", "/oauth2/logout", "/oauth2/userinfo"} {
		require.Equal(t, 503, f.do(request("GET", path, "")).StatusCode, "discovery fails: "+path)
	}
}

func logoutClaims(at time.Time, change func(map[string]any)) map[string]any {
	m := map[string]any{
		"iss": "https://as.example.com", "aud": "spa", "iat": at.Unix(), "jti": "j", "sub": "ada", "sid": "s1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	change(m)
	return m
}

// The request of a back-channel logout is read as strictly as its token.
func TestBackchannelRequests(t *testing.T) {
	t.Parallel()
	c := newClock()
	whole := now(c)
	none := func(map[string]any) {}
	verify := func(claims any, err error) func(context.Context, string) ([]byte, error) {
		return func(context.Context, string) ([]byte, error) {
			b, _ := json.Marshal(claims)
			return b, err
		}
	}
	good := verify(logoutClaims(whole, none), nil)
	exact := func(d time.Duration) func(context.Context, string) ([]byte, error) {
		return verify(logoutClaims(whole.Add(d), none), nil)
	}
	pad := "logout_token=jwt&x="
	for _, row := range []struct {
		rule, body string
		verify     func(context.Context, string) ([]byte, error)
		status     int
	}{
		{"as it should be", "logout_token=jwt", good, 200},
		{"64 KiB", pad + strings.Repeat("x", 64<<10-len(pad)), good, 200},
		{"64 KiB and a byte", pad + strings.Repeat("x", 64<<10-len(pad)+1), good, 400},
		{"no token", "x=y", good, 400},
		{"two tokens", "logout_token=jwt&logout_token=jwt", good, 400},
		{"no form", "logout_token=jwt&%zz", good, 400},
		{"refused, whatever is returned with it", "logout_token=jwt", verify(logoutClaims(whole, none), errors.New("bad")), 400},
		{"no claims", "logout_token=jwt", verify([]string{"x"}, nil), 400},
		{"no issuer, where none is configured", "logout_token=jwt", verify(logoutClaims(whole, func(m map[string]any) { delete(m, "iss") }), nil), 400},
		{"a subject of another type", "logout_token=jwt", verify(logoutClaims(whole, func(m map[string]any) { m["sub"] = 7 }), nil), 400},
		{"an audience of others", "logout_token=jwt", verify(logoutClaims(whole, func(m map[string]any) { m["aud"] = []string{"a", "b"} }), nil), 400},
		{"five minutes old", "logout_token=jwt", exact(-5 * time.Minute), 200},
		{"older", "logout_token=jwt", exact(-5*time.Minute - time.Second), 400},
		{"a minute ahead", "logout_token=jwt", exact(time.Minute), 200},
		{"further ahead", "logout_token=jwt", exact(time.Minute + time.Second), 400},
	} {
		f := setup(t, func(f *fixture) {
			f.config.VerifyLogout, f.config.Now = row.verify, func() time.Time { return whole }
		})
		f.login()
		r := request("POST", "/.tokenvault/backchannel-logout", row.body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res := f.send(r)
		require.Equal(t, row.status, res.StatusCode, row.rule)
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"), row.rule)
		require.Equal(t, row.status == 200, f.do(request("GET", "/v1/x", "")).StatusCode == 400, row.rule)
		if row.status == 200 {
			require.Equal(t, 200, f.last("backchannel-logout").Status, row.rule)
		}
	}
	f := setup(t, func(f *fixture) { f.config.VerifyLogout = good })
	r := request("POST", "/.tokenvault/backchannel-logout", "x")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("logout_token=jwt"), brokenReader{}))
	require.Equal(t, 400, f.send(r).StatusCode)
}

// now is c in whole seconds, as an iat is.
func now(c *clock) time.Time { return c.Now().Truncate(time.Second) }

// brittleSessions fails to add, or returns a logout mark that cannot be read.
type brittleSessions struct {
	*stubbornSessions
	failAdd bool
}

func (s *brittleSessions) Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	if s.failAdd {
		return false, errDown
	}
	return s.Sessions.Add(ctx, key, value, ttl)
}

func TestBackchannelWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := &brittleSessions{&stubbornSessions{Sessions: spa.NewMemorySessions(nil)}, true}
	tokens := logoutTokens{"jwt": logoutClaims(c.Now(), func(map[string]any) {})}
	f := setup(t, func(f *fixture) { f.config.Now, f.config.Sessions, f.config.VerifyLogout = c.Now, s, tokens.verify })
	f.login()
	require.Equal(t, 503, f.backchannel("jwt"), "whether it was used before cannot be told")
	s.failAdd = false
	s.set(func() { s.failSet = func(int) bool { return true } })
	require.Equal(t, 503, f.backchannel("jwt"), "the mark cannot be left")
	require.Empty(t, f.as.revoked)
}

func TestEventsTellWhatCameOfIt(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	f.api.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	res := f.do(request("GET", "/v1/x", ""))
	require.Equal(t, "same-site", res.Header.Get("Cross-Origin-Resource-Policy"))
	f.api.Close()
	require.Equal(t, 502, f.do(request("GET", "/v1/x", "")).StatusCode)
	var attached []spa.Event
	f.mu.Lock()
	for _, e := range f.events {
		if e.Kind == "attach" {
			attached = append(attached, e)
		}
	}
	f.mu.Unlock()
	require.Len(t, attached, 2)
	require.Equal(t, http.StatusTeapot, attached[0].Status)
	require.NoError(t, attached[0].Err)
	require.Equal(t, http.StatusBadGateway, attached[1].Status)
	require.Error(t, attached[1].Err)
}

// What is replayed after a 401 is safe and has no body.
func TestOnlySafeRequestsWithoutABodyAreReplayed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		method, body string
		requests     int
	}{{"GET", "", 2}, {"HEAD", "", 2}, {"OPTIONS", "", 2}, {"GET", "x", 1}, {"POST", "", 1}, {"DELETE", "", 1}} {
		f := setup(t, nil)
		f.login()
		f.api.handle(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+f.as.good() {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		f.as.kill()
		status := f.do(request(row.method, "/v1/x", row.body)).StatusCode
		require.Len(t, f.api.requests(), row.requests, row.method+row.body)
		require.Equal(t, map[int]int{1: 401, 2: 200}[row.requests], status)
		require.NoError(t, f.vault.Close(t.Context()))
	}
}

func TestRangesAreOfTheBytesAsTheyAre(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	r := request("GET", "/v1/x", "")
	r.Header.Set("Range", "bytes=0-1")
	r.Header.Set("Accept-Encoding", "br")
	require.NotContains(t, f.do(r).Header, "Location")
	require.Equal(t, []string{"identity"}, f.api.requests()[0].Header.Values("Accept-Encoding"))
}

// A redirect stays within the resource's base, or leads nowhere.
func TestRedirectsWithinABase(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"/base/v1/y?a=b": vaultOrigin + "/v1/y?a=b", "y": vaultOrigin + "/v1/y",
		"/other/y": "", "/basement/y": "", "/base": "", "/base//evil.test/": "", "https://evil.test/base/v1/y": "", "//evil.test/base/y": "",
		"%zz": "", "https:" + "//user@": "",
	} {
		f := setup(t, func(f *fixture) {
			f.config.Resources = []spa.Resource{{Pattern: "/v1/", Upstream: f.api.URL + "/base"}}
		})
		f.login()
		f.api.handle(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		res := f.do(request("GET", "/v1/x", ""))
		require.Equal(t, 302, res.StatusCode, location)
		require.Equal(t, want, res.Header.Get("Location"), location)
		_, there := res.Header["Location"]
		require.Equal(t, want != "", there, location)
	}
	f := setup(t, nil)
	f.login()
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://"+r.Host+"/v1/y")
		w.WriteHeader(http.StatusFound)
	})
	require.Empty(t, f.do(request("GET", "/v1/x", "")).Header.Get("Location"), "another scheme is another server")
}

func TestUpstreamsArePlainBaseURLsOfTheProvidersHosts(t *testing.T) {
	t.Parallel()
	for upstream, ok := range map[string]bool{
		"http://api.example.com": true, "http://api.example.com:80/base": true, "http://api.example.com/?": true,
		"https://api.example.com": false, "http://api.example.com:8080": false,
		"https://tls.example.com": true, "http://tls.example.com": false, "https://u@tls.example.com": false, "https://tls.example.com/#x": false, "http://other.example.com": false,
		"http://api.example.com/?a=b": false, "http://api.example.com/a%2fb": false, "http://[::1%25a]/": false,
		"http://api.example.com/%zz": false, "ftp://tls.example.com": false, "http://127.1": false,
	} {
		f := setup(t, func(f *fixture) { ownVault(f, nil, "api.example.com:80", "tls.example.com"); f.config.Resources = nil })
		c := f.config
		c.Resources = []spa.Resource{{Pattern: "/v1/", Upstream: upstream}}
		_, err := spa.New(c)
		require.Equal(t, ok, err == nil, "%s: %v", upstream, err)
		if !ok {
			require.ErrorContains(t, err, "spa: Config.Resources[0].Upstream")
		}
	}
}

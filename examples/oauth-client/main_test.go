package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// visitor is a browser, and remembers all that it was shown.
type visitor struct {
	*testing.T
	client *http.Client
	base   string
	shown  *bytes.Buffer
}

func newVisitor(t *testing.T, base string, shown *bytes.Buffer) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	leave := func(req *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(req.URL.String(), base+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &visitor{t, &http.Client{Jar: jar, CheckRedirect: leave}, base, shown}
}

func (v *visitor) page(resp *http.Response, err error) (int, string) {
	v.Helper()
	require.NoError(v, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v, err)
	v.shown.Write(body)
	for _, h := range resp.Header {
		v.shown.WriteString(strings.Join(h, "\n"))
	}
	return resp.StatusCode, string(body)
}

func (v *visitor) get(address string) (int, string) { v.Helper(); return v.page(v.client.Get(address)) }

func (v *visitor) post(path, id string) (int, string) {
	v.Helper()
	return v.page(v.client.PostForm(v.base+path, url.Values{"id": {id}}))
}

// crossSite posts a form as a page of another site makes a browser do.
func (v *visitor) crossSite(path, id string) int {
	v.Helper()
	req, err := http.NewRequestWithContext(v.Context(), http.MethodPost, v.base+path, strings.NewReader("id="+id))
	require.NoError(v, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	status, _ := v.page(v.client.Do(req))
	return status
}

func TestConnectCallRestartDisconnect(t *testing.T) {
	t.Parallel()
	var current http.Handler
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current.ServeHTTP(w, r) }))
	defer web.Close()
	idp := testserver.OIDC(t, authserver.Config{Clients: []authserver.Client{registration(web.URL)}})
	dir := t.TempDir()
	s, err := start(t.Context(), settings{dir: dir, issuer: idp.Issuer, base: web.URL})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.stop()) }()
	current = s

	var shown bytes.Buffer
	ada := newVisitor(t, web.URL, &shown)
	_, page := ada.get(web.URL)
	require.Contains(t, page, "No account is connected yet.")

	resp, err := ada.client.PostForm(web.URL+"/connect", nil)
	require.NoError(t, err)
	resp.Body.Close()
	back, err := idp.Login(t.Context(), nil, resp.Header.Get("Location"), "ada")
	require.NoError(t, err)
	forged := *back
	forged.RawQuery = strings.Replace(back.RawQuery, "state=", "state=x", 1)
	mallory := newVisitor(t, web.URL, &shown)
	status, _ := mallory.get(back.String())
	require.Equal(t, http.StatusBadRequest, status, "another browser's login")
	_, page = ada.get(back.String())
	require.Contains(t, page, "connected")
	id, owner := account(t, s)
	require.Contains(t, page, id)
	status, _ = ada.get(forged.String())
	require.Equal(t, http.StatusBadRequest, status, "a login is good once")

	_, page = ada.post("/call", id)
	require.Contains(t, page, "User ada")
	before, err := s.app.Load().grants.Reveal(t.Context(), id, owner)
	require.NoError(t, err)
	status, _ = mallory.post("/call", id)
	require.Equal(t, http.StatusNotFound, status)
	status, _ = mallory.post("/disconnect", id)
	require.Equal(t, http.StatusNotFound, status)

	old := s.app.Load()
	_, page = ada.post("/restart", "")
	require.NotSame(t, old, s.app.Load())
	require.Contains(t, page, id, "the grant survives")
	require.NoError(t, s.app.Load().grants.Refresh(t.Context(), id, owner), "and its refresh token works")
	_, page = ada.post("/call", id)
	require.Contains(t, page, "User ada")
	after, err := s.app.Load().grants.Reveal(t.Context(), id, owner)
	require.NoError(t, err)
	require.NotEqual(t, before.AccessToken, after.AccessToken)

	for _, path := range []string{"/restart", "/disconnect", "/connect", "/call"} {
		require.Equal(t, http.StatusForbidden, ada.crossSite(path, id), path)
	}
	require.Equal(t, http.StatusOK, throughRelay(t, s.app.Load(), id, owner, owner), "a sealed token, for what wants an oauth2.TokenSource")
	require.Zero(t, throughRelay(t, s.app.Load(), id, owner, "mallory"))
	_, page = ada.post("/disconnect", id)
	require.NotContains(t, page, id)
	status, _ = ada.post("/call", id)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, http.StatusUnauthorized, userinfo(t, idp.Issuer, after.AccessToken), "revoked at the server")

	secrets := []string{clientSecret, before.AccessToken, before.RefreshToken, after.AccessToken, after.RefreshToken}
	leaktest.None(t, shown.Bytes(), secrets...)
	leaktest.None(t, files(t, dir), secrets...)
}

// throughRelay calls the API as subject with owner's sealed token; 0 means that
// the relay refused it.
func throughRelay(t *testing.T, a *app, id, owner, subject string) int {
	t.Helper()
	transport, err := relay.New(relay.Config{Sealer: a.keys, Destinations: []relay.Destination{{
		Host: strings.TrimPrefix(a.issuer, "http://"), Routes: []string{"GET /me"}, RequireSubject: true, InsecureHTTP: true,
	}}})
	require.NoError(t, err)
	client := &http.Client{Transport: &oauth2.Transport{Source: a.grants.TokenSource(t.Context(), id, owner), Base: transport.As(subject)}}
	resp, err := client.Get(a.issuer + "/me")
	if err != nil {
		require.ErrorIs(t, err, tokenvault.ErrLabel)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// account returns the one grant that is stored.
func account(t *testing.T, s *service) (id, owner string) {
	t.Helper()
	require.NoError(t, s.app.Load().db.QueryRowContext(t.Context(), "SELECT id, owner FROM tokenvault_grants").Scan(&id, &owner))
	return id, owner
}

func userinfo(t *testing.T, issuer, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, issuer+"/me", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// files returns what is on disk: the database, its write-ahead log, the keys.
func files(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 3)
	var all []byte
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		all = append(all, content...)
	}
	return all
}

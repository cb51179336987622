package spa

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

//go:embed testdata
var testdata embed.FS

const (
	clientID     = "spa"
	clientSecret = "the confidential client's secret, long enough"
	cookieName   = "__Host-tokenvault"
)

// world is an authorization server, an API, the vault, the application on
// another host name of the vault's site, a control application that keeps its
// tokens itself, and an attacker on another site.
type world struct {
	cert    authserver.Cert
	client  *http.Client // reaches every name
	as      *authserver.Server
	asView  *site // through which the browser sees the authorization server
	api     *site
	app     *site
	vault   *site
	control *site
	evil    *site
	grants  *vault.Vault
	config  spa.Config
	tokens  ledger       // of the vault
	others  ledger       // of the control application
	ahead   atomic.Int64 // nanoseconds, of the clock by which the vault judges expiry
}

// newWorld starts a world with access tokens that live ttl seconds. Change,
// which may be nil, adjusts the proxy's configuration.
func newWorld(t testing.TB, ttl int, change func(*world)) *world {
	t.Helper()
	w := &world{}
	var err error
	w.cert, err = authserver.SelfSigned("*.example.test", "evil.test", "127.0.0.1")
	require.NoError(t, err)
	for name, s := range map[string]**site{
		"api.example.test": &w.api, "app.example.test": &w.app, "vault.example.test": &w.vault,
		"control.example.test": &w.control, "evil.test": &w.evil,
	} {
		*s = newSite(t, w.cert, name)
	}
	w.client = &http.Client{Transport: loopback(t, w.cert)}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, w.cert.CertPEM, 0o600))
	w.as = testserver.OIDC(t, authserver.Config{
		CAFile: ca, Host: "auth.example.test", CertPEM: w.cert.CertPEM, KeyPEM: w.cert.KeyPEM, Scopes: []string{"read"}, AccessTokenTTL: ttl,
		Clients: []authserver.Client{
			{
				"client_id": clientID, "client_secret": clientSecret, "redirect_uris": []string{w.app.URL + "/callback"},
				"post_logout_redirect_uris": []string{w.app.URL + "/bye"}, "grant_types": []string{"authorization_code", "refresh_token"},
				"backchannel_logout_uri": "https://" + w.vault.server.Listener.Addr().String() + "/.tokenvault/backchannel-logout", "backchannel_logout_session_required": true,
			},
			{
				"client_id": "control", "token_endpoint_auth_method": "none", "redirect_uris": []string{w.control.URL + "/callback"},
				"grant_types": []string{"authorization_code", "refresh_token"},
			},
		},
	})
	issuer, err := url.Parse(w.as.Issuer)
	require.NoError(t, err)
	w.asView = window(t, w.cert, "auth.example.test", issuer, &recordingTransport{w.client.Transport, &w.others})
	w.startVault(t, issuer, change)
	w.serve(t)
	return w
}

func (w *world) startVault(t testing.TB, issuer *url.URL, change func(*world)) {
	t.Helper()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	w.config = spa.Config{
		Provider: "as", Issuer: w.as.Issuer, Origin: w.vault.URL, Origins: []string{w.app.URL},
		RedirectURIs: []string{w.app.URL + "/callback"},
		Resources:    []spa.Resource{{Pattern: "/v1/", Upstream: w.api.URL, Exclude: []string{"/v1/public/"}}},
		Base:         w.client.Transport,
	}
	logouts, err := jwks.New(jwks.Config{Client: w.client, Issuers: []jwks.Issuer{{
		URL: w.as.Issuer, Audience: []string{clientID}, Types: []string{"logout+jwt"}, MaxAge: 5 * time.Minute,
	}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, logouts.Close()) })
	w.config.VerifyLogout = logouts.Payload
	if change != nil {
		change(w)
	}
	var failures sync.Map
	w.grants, err = vault.New(vault.Config{Sealer: keys, Providers: []*vault.Provider{w.provider(issuer)}, Now: w.now, Observe: func(_ context.Context, e vault.Event) {
		if e.Err != nil {
			failures.Store(fmt.Sprintf("vault: %s after %v: %v", e.Kind, e.Duration, e.Err), nil)
		}
	}})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, w.grants.Close(context.Background()))
		if t.Failed() {
			failures.Range(func(k, _ any) bool { t.Log(k); return true })
		}
	})
	w.config.Vault = w.grants
	proxy, err := spa.New(w.config)
	require.NoError(t, err)
	w.vault.handle(weakened(proxy))
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) provider(issuer *url.URL) *vault.Provider {
	return &vault.Provider{
		Name: "as",
		OAuth2: &oauth2.Config{
			ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"openid", "profile"},
			Endpoint: oauth2.Endpoint{AuthURL: w.as.Issuer + "/auth", TokenURL: w.as.Issuer + "/token"},
		},
		RevocationURL: w.as.Issuer + "/token/revocation",
		Hosts:         []string{w.api.Host, issuer.Host},
		Client:        &http.Client{Transport: &recordingTransport{w.client.Transport, &w.tokens}},
	}
}

// weakened is the vault's host as it would be without some of its defences: it
// sets a cookie without the protection that the session's has, in which shows
// what is sent from elsewhere, and serves the bridge page without its policy.
func weakened(proxy http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/set-control-cookie":
			http.SetCookie(rw, &http.Cookie{Name: "control", Value: "1", Path: "/", Secure: true, SameSite: http.SameSiteNoneMode})
		case r.URL.RawQuery == "without-policy":
			page := httptest.NewRecorder()
			proxy.ServeHTTP(page, r)
			rw.Header().Set("Content-Type", page.Header().Get("Content-Type"))
			_, _ = rw.Write(page.Body.Bytes())
		default:
			proxy.ServeHTTP(rw, r)
		}
	})
}

// serve fills the other sites.
func (w *world) serve(t testing.TB) {
	t.Helper()
	scripts, err := spa.AppScripts(w.vault.URL)
	require.NoError(t, err)
	files, err := fs.Sub(testdata, "testdata")
	require.NoError(t, err)
	page := func(config map[string]any) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/tokenvault/", scripts)
		mux.HandleFunc("/config.js", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/javascript")
			text, _ := json.Marshal(config)
			_, _ = rw.Write(append([]byte("export default "), text...))
		})
		mux.Handle("/app.js", http.FileServerFS(files))
		mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { http.ServeFileFS(rw, r, files, "app.html") })
		return mux
	}
	config := func(client string, s *site, vault bool) map[string]any {
		return map[string]any{"clientId": client, "issuer": w.as.Issuer, "api": w.api.URL, "redirectUri": s.URL + "/callback", "vault": vault}
	}
	w.app.handle(page(config(clientID, w.app, true)))
	w.control.handle(page(config("control", w.control, false)))
	w.evil.handle(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<!doctype html><title>evil</title><body>evil")
	}))
	w.api.handle(http.HandlerFunc(w.serveAPI))
}

// serveAPI is a resource server that knows nothing of the vault: it asks the
// authorization server about each token (RFC 7662).
func (w *world) serveAPI(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Content-Type", "application/json")
	if r.Method == http.MethodOptions {
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	sub := w.introspect(token)
	if sub == "" {
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(rw, `{"error":"invalid_token"}`)
		return
	}
	switch r.URL.Path {
	case "/v1/empty":
		rw.WriteHeader(http.StatusNoContent)
		return
	case "/v1/text":
		rw.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(rw, "plain")
		return
	case "/v1/broken":
		_, _ = io.WriteString(rw, "{not JSON")
		return
	case "/v1/moved":
		http.Redirect(rw, r, "/v1/me", http.StatusFound)
		return
	case "/v1/stream":
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, "data: 1\n\n")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
		return
	}
	body, _ := io.ReadAll(r.Body)
	_ = json.NewEncoder(rw).Encode(map[string]any{
		"sub": sub, "path": r.URL.Path, "method": r.Method, "body": string(body),
		"which": slices.Index(w.tokens.accessTokens(), token), // which access token it was, counted from 0
	})
}

// introspect returns the subject of a token that is good.
func (w *world) introspect(token string) string {
	if token == "" {
		return ""
	}
	req, err := http.NewRequest(http.MethodPost, w.as.Issuer+"/token/introspection", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return ""
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret))
	res, err := w.client.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Active bool   `json:"active"`
		Sub    string `json:"sub"`
	}
	if json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&answer) != nil || !answer.Active {
		return ""
	}
	return answer.Sub
}

// browser starts Chromium in this world.
func (w *world) browser(t testing.TB) *browser.Browser {
	t.Helper()
	return browser.Start(t, w.cert, "MAP auth.example.test "+w.asView.server.Listener.Addr().String(),
		"MAP *.example.test 127.0.0.1", "MAP evil.test 127.0.0.1")
}

// counts are the authorization server's.
func (w *world) counts(t testing.TB) map[string]int {
	t.Helper()
	counts, err := w.as.Counts()
	require.NoError(t, err)
	return counts
}

// script returns a file of testdata.
func script(t testing.TB, name string) string {
	t.Helper()
	b, err := testdata.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(b)
}

func artifact(name string) string { return filepath.Join("..", "artifacts", name+".png") }

package spa

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

// npm returns a directory with the locked packages of ping, installed without
// their scripts at first use and named by the lock file's content.
func npm(t *testing.T) string {
	t.Helper()
	program := testserver.Need(t, "node", "npm")[1]
	lock, err := os.ReadFile("ping/package-lock.json")
	require.NoError(t, err)
	manifest, err := os.ReadFile("ping/package.json")
	require.NoError(t, err)
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "tokenvault", fmt.Sprintf("ping-%x", sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	work, err := os.MkdirTemp(filepath.Dir(dir), "installing-")
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(work) }()
	require.NoError(t, os.WriteFile(filepath.Join(work, "package.json"), manifest, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(work, "package-lock.json"), lock, 0o644))
	install := exec.CommandContext(t.Context(), program, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = work
	out, err := install.CombinedOutput()
	require.NoError(t, err, "npm ci: %s", out)
	if err := os.Rename(work, dir); err != nil { // somebody else was first
		require.DirExists(t, dir)
	}
	return dir
}

// bundle makes one script of an entry point in ping, with the packages as they
// are and a config.js that holds config.
func bundle(t *testing.T, entry string, config map[string]any) []byte {
	t.Helper()
	var text bytes.Buffer
	for name, value := range config {
		v, err := json.Marshal(value)
		require.NoError(t, err)
		fmt.Fprintf(&text, "export const %s = %s;\n", name, v)
	}
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{"ping/" + entry}, Bundle: true, Format: api.FormatESModule, Target: api.ES2022,
		NodePaths: []string{filepath.Join(npm(t), "node_modules")}, LogLevel: api.LogLevelSilent,
		Plugins: []api.Plugin{{Name: "config", Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: `^\./config\.js$`}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: "config.js", Namespace: "config"}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: "config"}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
				contents := text.String()
				return api.OnLoadResult{Contents: &contents}, nil
			})
		}}},
	})
	require.Empty(t, result.Errors)
	return result.OutputFiles[0].Contents
}

// servePing puts the Ping application in place of the world's own.
func (w *world) servePing(t *testing.T) {
	t.Helper()
	config := map[string]any{
		"forgerock": map[string]any{
			"clientId": clientID, "realmPath": "root", "scope": "openid profile",
			"serverConfig": map[string]any{"baseUrl": w.vault.URL + "/am/", "timeout": 20000},
		},
		"vault": w.vault.URL, "redirectUri": w.app.URL + "/callback", "bye": w.app.URL + "/bye",
		"urls": []string{w.api.URL + "/*"},
	}
	mux := http.NewServeMux()
	for _, name := range []string{"app.js", "interceptor.js"} {
		code := bundle(t, name, config)
		mux.HandleFunc("/"+name, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/javascript")
			_, _ = rw.Write(code)
		})
	}
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, "ping/index.html") })
	w.app.handle(mux)
}

// pingDay is one user's day with the Ping client.
type pingDay struct {
	*world
	tab   *browser.Tab
	found bytes.Buffer
}

// The npm packages @forgerock/token-vault and @forgerock/javascript-sdk as they
// are, against this proxy's bridge page.
func TestPingClient(t *testing.T) {
	t.Parallel()
	d := &pingDay{world: newWorld(t, life, nil)}
	d.servePing(t)
	d.tab = d.browser(t).Tab(t, script(t, "spy.js"))
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"login", d.login},
		{"has", d.has},
		{"protected call", d.call},
		{"refresh", d.refresh},
		{"five parallel calls after expiry are one refresh", d.expire},
		{"remove", d.remove},
		{"logout", d.logout},
	} {
		require.True(t, t.Run(step.name, func(t *testing.T) {
			d.tab.TB = t
			step.run(t)
		}))
	}
	for name, data := range map[string][]byte{"page": d.found.Bytes(), "app": d.app.seen(), "vault": d.vault.seen(), "authorization server": d.asView.seen()} {
		require.NotEmpty(t, data, name)
		leaktest.None(t, data, d.tokens.all()...)
	}
}

// me calls the API as the application does.
func (d *pingDay) me() string { return `app.api('` + d.api.URL + `/v1/me')` }

func (d *pingDay) login(t *testing.T) {
	d.tab.Open(d.app.URL)
	state(d.tab, "logged out")
	browser.Eval[any](d.tab, `void app.login()`)
	d.tab.Login("ada")
	state(d.tab, "logged in")
	d.tab.Shot(artifact("ping-logged-in"))
	tokens := browser.Eval[map[string]any](d.tab, `app.exchanged`)
	require.Equal(t, "REDACTED", tokens["accessToken"])
	require.Equal(t, "REDACTED", tokens["refreshToken"])
	require.Regexp(t, `^ey`, tokens["idToken"])
	d.found.Write(loot(d.tab))
}

func (d *pingDay) has(t *testing.T) {
	require.Equal(t, map[string]any{"hasTokens": true}, browser.Eval[map[string]any](d.tab, `app.store.has()`))
	require.Nil(t, browser.Eval[any](d.tab, `app.store.get()`))
}

func (d *pingDay) call(t *testing.T) {
	got := browser.Eval[answer](d.tab, d.me())
	require.Equal(t, 200, got.Status)
	require.Equal(t, "ada", got.Body.Sub)
	posted := browser.Eval[answer](d.tab, `app.api('`+d.api.URL+`/v1/things', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' })`)
	require.Equal(t, `POST {"a":1}`, posted.Body.Method+" "+posted.Body.Body)
	require.Equal(t, 204, browser.Eval[answer](d.tab, `app.api('`+d.api.URL+`/v1/empty')`).Status)
	require.Equal(t, "User ada", browser.Eval[map[string]any](d.tab, `app.user()`)["name"])
}

func (d *pingDay) refresh(t *testing.T) {
	before := d.counts(t)["grant.success refresh_token"]
	require.Equal(t, map[string]any{"refreshTokens": true}, browser.Eval[map[string]any](d.tab, `app.store.refresh()`))
	require.Equal(t, before+1, d.counts(t)["grant.success refresh_token"])
	got := browser.Eval[answer](d.tab, d.me())
	require.Equal(t, len(d.tokens.accessTokens())-1, got.Body.Which, "the newest token")
}

func (d *pingDay) expire(t *testing.T) {
	d.ahead.Store(int64((life + 1) * time.Second))
	before := d.counts(t)["grant.success refresh_token"]
	for _, got := range browser.Eval[[]answer](d.tab, `Promise.all([1, 2, 3, 4, 5].map(() => `+d.me()+`))`) {
		require.Equal(t, 200, got.Status)
	}
	require.Equal(t, before+1, d.counts(t)["grant.success refresh_token"])
	d.found.Write(loot(d.tab))
}

func (d *pingDay) remove(t *testing.T) {
	browser.Eval[any](d.tab, `app.store.remove('`+clientID+`')`)
	require.Equal(t, map[string]any{"hasTokens": false}, browser.Eval[map[string]any](d.tab, `app.store.has()`))
	got := browser.Eval[answer](d.tab, d.me())
	require.Equal(t, 400, got.Status)
	require.Equal(t, "invalid_token", got.Body.Error)
	refused := browser.Eval[map[string]any](d.tab, `app.store.refresh()`)
	require.Equal(t, "invalid_token", refused["error"])
	for _, token := range d.tokens.accessTokens() {
		require.Empty(t, d.introspect(token))
	}
}

func (d *pingDay) logout(t *testing.T) {
	browser.Eval[any](d.tab, `void app.logout()`)
	d.tab.Wait(`document.querySelector('button[name=logout]')`)
	d.tab.Click("button[name=logout]")
	state(d.tab, "logged out")
	require.Equal(t, d.app.URL+"/bye", browser.Eval[string](d.tab, `location.origin + location.pathname`))
	hinted := false
	for _, r := range d.asView.got() {
		hinted = hinted || r.URL.Path == "/session/end" && r.URL.Query().Has("id_token_hint")
	}
	require.True(t, hinted, "the vault added the id_token_hint")
	d.found.Write(loot(d.tab))
}

package spa

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

// state waits for what the application says of itself.
func state(tab *browser.Tab, want string) {
	tab.Helper()
	tab.Wait(`/^(` + want + `|failed)/.test(document.getElementById('state')?.textContent)`)
	require.Equal(tab, want, browser.Eval[string](tab, `document.getElementById('state').textContent`))
}

// login logs a user in by the application's button and the real login page.
func login(tab *browser.Tab, app *site) {
	tab.Helper()
	tab.Open(app.URL)
	state(tab, "logged out")
	browser.Eval[any](tab, `void app.login()`)
	tab.Login("ada")
	state(tab, "logged in")
}

type answer struct {
	Status int `json:"status"`
	Body   struct {
		Sub, Path, Method, Body, Error, Name string
		Which                                int
	} `json:"body"`
}

// loot is what a script could find in a tab.
func loot(tab *browser.Tab) []byte {
	tab.Helper()
	return []byte(browser.Eval[string](tab, script(tab, "scan.js")))
}

// day is one user's day: each step is followed by a look everywhere.
type day struct {
	*world
	browser    *browser.Browser
	tab, other *browser.Tab // of the application, and of the control application
	found      bytes.Buffer
}

func (d *day) look(tab *browser.Tab) { tab.Helper(); d.found.Write(loot(tab)) }

func TestNoTokenInTheBrowser(t *testing.T) {
	t.Parallel()
	d := &day{world: newWorld(t, 8, nil)}
	d.browser = d.world.browser(t)
	d.tab, d.other = d.browser.Tab(t, script(t, "spy.js")), d.browser.Tab(t, script(t, "spy.js"))
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"login through the real login page", d.login},
		{"unchanged fetch calls get the token attached", d.calls},
		{"what is not listed goes its own way without a token", d.unlisted},
		{"refresh", d.refresh},
		{"two tabs", d.twoTabs},
		{"reload", func(t *testing.T) { d.reload(t, false) }},
		{"hard reload", func(t *testing.T) { d.reload(t, true) }},
		{"vault's own origin", d.ownOrigin},
		{"logout", d.logout},
		{"nothing was found, in the page or on the wire", d.nothingFound},
		{"the same script finds the control application's token", d.controlFound},
		{"nor on the disk", d.disk},
	} {
		require.True(t, t.Run(step.name, func(t *testing.T) {
			d.tab.TB, d.other.TB = t, t
			step.run(t)
		}))
	}
}

func (d *day) login(t *testing.T) {
	login(d.tab, d.app)
	d.tab.Shot(artifact("app-logged-in"))
	require.Equal(t, "REDACTED", browser.Eval[string](d.tab, `app.tokens().access_token`))
	require.Equal(t, "REDACTED", browser.Eval[string](d.tab, `app.tokens().refresh_token`))
	require.Regexp(t, `^ey`, browser.Eval[string](d.tab, `app.tokens().id_token`), "which the application needs")
	require.Len(t, d.tokens.all(), 2)
	d.look(d.tab)
}

func (d *day) calls(t *testing.T) {
	me := browser.Eval[answer](d.tab, `app.api('/v1/me')`)
	require.Equal(t, 200, me.Status)
	require.Equal(t, "ada", me.Body.Sub)
	post := browser.Eval[answer](d.tab, `app.api('/v1/things?a=1', { method: 'POST', body: JSON.stringify({ a: 'ü' }) })`)
	require.Equal(t, 200, post.Status)
	require.Equal(t, `POST {"a":"ü"}`, post.Body.Method+" "+post.Body.Body)
	info := browser.Eval[answer](d.tab, `app.userinfo()`)
	require.Equal(t, "User ada", info.Body.Name)
	d.look(d.tab)
}

func (d *day) unlisted(t *testing.T) {
	require.Equal(t, 401, browser.Eval[answer](d.tab, `app.api('/v1/public/x')`).Status)
	require.Equal(t, 401, browser.Eval[answer](d.tab, `app.api('/v2/x')`).Status)
	for _, r := range d.api.got() {
		if !strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/v1/public/") {
			leaktest.None(t, []byte(r.Header.Get("Authorization")), d.tokens.all()...)
		}
	}
	require.Zero(t, d.vault.count("GET /v2/")+d.vault.count("GET /v1/public/"), "and past the vault")
}

func (d *day) refresh(t *testing.T) {
	require.Equal(t, 1, browser.Eval[answer](d.tab, `(async () => {
		for (;;) {
			const answer = await app.api('/v1/me');
			if (answer.status !== 200 || answer.body.which > 0) return answer;
			await new Promise((resolve) => setTimeout(resolve, 200));
		}
	})()`).Body.Which)
	d.look(d.tab)
}

func (d *day) twoTabs(t *testing.T) {
	second := d.browser.Tab(t, script(t, "spy.js"))
	second.Open(d.app.URL)
	state(second, "logged in")
	require.True(t, browser.Eval[bool](second, `app.vault.has()`))
	before := d.counts(t)["grant.success refresh_token"]
	require.True(t, browser.Eval[bool](second, `app.vault.refresh()`))
	for _, each := range []*browser.Tab{d.tab, second} {
		require.Equal(t, 200, browser.Eval[answer](each, `app.api('/v1/me')`).Status)
	}
	require.GreaterOrEqual(t, d.counts(t)["grant.success refresh_token"], before+1)
	d.look(second)
	second.Close()
}

func (d *day) ownOrigin(t *testing.T) {
	own := d.browser.Tab(t)
	own.Open(d.vault.URL)
	d.look(own)
	own.Close()
}

func (d *day) logout(t *testing.T) {
	browser.Eval[any](d.tab, `void location.assign(app.vault.logoutURL('`+d.app.URL+`/bye'))`)
	d.tab.Wait(`document.querySelector('button[name=logout]')`)
	d.tab.Click("button[name=logout]")
	state(d.tab, "logged in") // the application has not forgotten its REDACTED
	require.Equal(t, 400, browser.Eval[answer](d.tab, `app.api('/v1/me')`).Status)
	require.Equal(t, "invalid_token", browser.Eval[answer](d.tab, `app.api('/v1/me')`).Body.Error)
	require.False(t, browser.Eval[bool](d.tab, `app.vault.has()`))
	for i, token := range d.tokens.accessTokens() {
		require.Empty(t, d.introspect(token), "access token %d is of no more use", i)
	}
	require.Equal(t, 2, d.counts(t)["POST /token/revocation"], "refresh and access token")
	d.look(d.tab)
}

func (d *day) nothingFound(t *testing.T) {
	for name, data := range map[string][]byte{
		"page": d.found.Bytes(), "app": d.app.seen(), "vault": d.vault.seen(), "authorization server": d.asView.seen(),
	} {
		require.NotEmpty(t, data, name)
		leaktest.None(t, data, d.tokens.all()...)
	}
	for _, r := range d.vault.got() {
		require.Empty(t, r.Header.Get("Authorization"), "nor what stands for one")
	}
	require.Zero(t, d.counts(t)["grant.error refresh token already used"])
}

func (d *day) controlFound(t *testing.T) {
	login(d.other, d.world.control)
	require.Equal(t, 200, browser.Eval[answer](d.other, `app.api('/v1/me')`).Status)
	d.other.Shot(artifact("control-logged-in"))
	require.NotEmpty(t, d.others.all())
	for _, token := range d.others.all() {
		require.Contains(t, leaktest.Find(loot(d.other), token), "raw")
		require.Contains(t, leaktest.Find(d.asView.seen(), token), "raw", "the recorder sees it too")
	}
}

func (d *day) disk(t *testing.T) {
	d.browser.Close()
	disk := profile(t, d.browser)
	leaktest.None(t, disk, d.tokens.all()...)
	require.NotEmpty(t, leaktest.Find(disk, d.others.accessTokens()[0]), "where the control application's token is")
}

func (d *day) reload(t *testing.T, hard bool) {
	d.tab.Reload(hard)
	state(d.tab, "logged in")
	require.Equal(t, 200, browser.Eval[answer](d.tab, `app.api('/v1/me')`).Status)
	d.look(d.tab)
}

// profile is all that the browser has written down.
func profile(t *testing.T, b *browser.Browser) []byte {
	t.Helper()
	var all bytes.Buffer
	require.NoError(t, filepath.WalkDir(b.Profile, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > 8<<20 {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	}))
	return all.Bytes()
}

// Whoever logs out at the authorization server is logged out of the vault, by
// its logout token (OpenID Connect Back-Channel Logout 1.0).
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, nil)
	tab := w.browser(t).Tab(t)
	login(tab, w.app)
	require.Equal(t, 200, browser.Eval[answer](tab, `app.api('/v1/me')`).Status)
	browser.Eval[any](tab, `void location.assign('`+w.as.Issuer+`/session/end?id_token_hint=' + app.tokens().id_token)`)
	tab.Wait(`document.querySelector('button[name=logout]')`)
	tab.Click("button[name=logout]")
	tab.Wait(`location.pathname === '/session/end/success'`)
	require.Equal(t, 1, w.vault.count("POST /.tokenvault/backchannel-logout"))
	reopened(tab, w)
	before := w.api.count("GET /v1/me")
	got := browser.Eval[answer](tab, `app.api('/v1/me')`)
	require.Equal(t, 400, got.Status)
	require.Equal(t, "invalid_token", got.Body.Error)
	require.Equal(t, before, w.api.count("GET /v1/me"), "nothing was sent")
	for _, token := range w.tokens.accessTokens() {
		require.Empty(t, w.introspect(token))
	}
}

func reopened(tab *browser.Tab, w *world) *browser.Tab {
	tab.Open(w.app.URL)
	state(tab, "logged in")
	return tab
}

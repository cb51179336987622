package spa

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
)

// The worker and its module while the vault comes, goes and refuses: every call
// ends, and none goes past the vault.
func TestWorkerAndModule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, nil)
	tab := w.browser(t).Tab(t)
	outcome := func(js string) string {
		return browser.Eval[string](tab, js+`.then((v) => JSON.stringify(v), (e) => e.code ? e.code + ' ' + e.status : e.name)`)
	}
	up := w.vault.handler
	down := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	w.vault.handle(down)
	tab.Open(w.app.URL)
	state(tab, "logged out")
	t.Run("before the list is known a call fails", func(t *testing.T) {
		require.Equal(t, "TypeError", outcome(`app.api('/v1/me')`))
		require.Zero(t, w.api.count(""), "past the vault it would find itself logged out")
		require.Equal(t, "200", outcome(`fetch('/config.js').then((r) => r.status)`), "the application's own origin is not concerned")
	})
	w.vault.handle(up)
	t.Run("once it is there the call goes through", func(t *testing.T) {
		require.Equal(t, 400, browser.Eval[answer](tab, `app.api('/v1/me')`).Status, "nobody is logged in")
		login(tab, w.app)
		require.Equal(t, 200, browser.Eval[answer](tab, `app.api('/v1/me')`).Status)
	})
	t.Run("XMLHttpRequest", func(t *testing.T) {
		require.EqualValues(t, 200, browser.Eval[int](tab, `new Promise((done) => {
			const x = new XMLHttpRequest(); x.onloadend = () => done(x.status); x.open('GET', '`+w.api.URL+`/v1/me'); x.send();
		})`))
	})
	t.Run("a stream streams", func(t *testing.T) {
		require.Equal(t, "1", browser.Eval[string](tab, `new Promise((done) => {
			const source = new EventSource('`+w.api.URL+`/v1/stream');
			source.onmessage = (event) => { source.close(); done(event.data); };
		})`))
	})
	w.vault.handle(down)
	t.Run("a vault that is down later", func(t *testing.T) {
		require.Equal(t, "TypeError", outcome(`app.api('/v1/me')`), "without CORS headers the answer is not for the page")
		require.NotContains(t, outcome(`app.vault.has()`), "true")
	})
	w.vault.handle(up)
	t.Run("the module", func(t *testing.T) {
		require.Equal(t, "true", outcome(`app.vault.has()`))
		require.Equal(t, "true", outcome(`app.vault.refresh()`))
		require.Equal(t, "true", outcome(`app.vault.remove()`))
		require.Equal(t, "false", outcome(`app.vault.has()`))
		require.Equal(t, "invalid_token 400", outcome(`app.vault.refresh()`))
		require.Equal(t, w.vault.URL+"/oauth2/logout", browser.Eval[string](tab, `app.vault.logoutURL()`))
	})
}

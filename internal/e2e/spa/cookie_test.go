package spa

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
)

// Cookies: the session's stays with the application's site; a control cookie
// without its protection does not, so the test could see it.
func TestSessionCookieIsNotSentFromAnotherSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, nil)
	b := w.browser(t)
	tab := b.Tab(t)
	login(tab, w.app)
	tab.Open(w.vault.URL + "/set-control-cookie")
	evil := b.Tab(t)
	evil.Open(w.evil.URL)
	target := w.vault.URL + "/v1/cookie-probe"
	cases := []struct {
		name, js string
		arrived  string
	}{
		{"fetch", `fetch('` + target + `?fetch', { credentials: 'include', mode: 'no-cors' }).then(() => 1, () => 1)`, "GET"},
		{"image", `new Promise((done) => { const i = new Image(); i.onload = i.onerror = () => done(1); i.src = '` + target + `?image'; })`, "GET"},
		{"frame", `new Promise((done) => { const f = document.createElement('iframe'); f.onload = () => done(1); f.src = '` + target + `?frame'; document.body.append(f); })`, "GET"},
		{"form post into a frame", `new Promise((done) => {
			const f = document.createElement('iframe'); f.name = 'f'; document.body.append(f);
			const form = Object.assign(document.createElement('form'), { method: 'POST', action: '` + target + `?form', target: 'f' });
			document.body.append(form); f.onload = () => done(1); form.submit();
		})`, "POST"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := len(w.vault.got())
			browser.Eval[int](evil, c.js)
			arrived := probes(w.vault.got()[before:])
			require.NotEmpty(t, arrived)
			for _, r := range arrived {
				require.Equal(t, c.arrived, r.Method)
				require.NotEmpty(t, r.CookiesNamed("control"), "a SameSite=None cookie is sent")
				require.Empty(t, r.CookiesNamed(cookieName))
			}
		})
	}
	t.Run("navigation", func(t *testing.T) {
		before := len(w.vault.got())
		browser.Eval[any](evil, `void location.assign('`+target+`?navigation')`)
		evil.Wait(`location.host === '` + w.vault.Host + `'`)
		arrived := probes(w.vault.got()[before:])
		require.Len(t, arrived, 1)
		require.NotEmpty(t, arrived[0].CookiesNamed("control"))
		require.Empty(t, arrived[0].CookiesNamed(cookieName))
	})
	require.Zero(t, w.api.count("GET /v1/cookie-probe")+w.api.count("POST /v1/cookie-probe"), "nothing reached the API")
	require.Equal(t, 200, browser.Eval[answer](reopened(tab, w), `app.api('/v1/me')`).Status, "still logged in")
	sent := false
	for _, r := range w.vault.got() {
		sent = sent || len(r.CookiesNamed(cookieName)) == 1 && r.Header.Get("Origin") == w.app.URL
	}
	require.True(t, sent, "from the application it is sent")
}

func probes(rs []*http.Request) []*http.Request {
	var out []*http.Request
	for _, r := range rs {
		if r.URL.Path == "/v1/cookie-probe" {
			out = append(out, r)
		}
	}
	return out
}

package spa

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
)

// What a page of another origin may try: evil.test, another site, and a sibling
// host of the vault's own site, where the session's cookie does come along.
func TestForeignOriginsDoNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, nil)
	b := w.browser(t)
	tab := b.Tab(t)
	login(tab, w.app)
	before := w.counts(t)
	for name, foreign := range map[string]*site{"another site": w.evil, "a sibling of the same site": w.control} {
		page := b.Tab(t)
		page.Open(foreign.URL)
		for _, path := range []string{"/v1/me", "/.tokenvault/session", "/oauth2/userinfo"} {
			for _, init := range []string{
				`{ credentials: 'include' }`,
				`{ credentials: 'include', headers: { 'X-Tokenvault': '1' } }`,
			} {
				t.Run(fmt.Sprintf("fetch %s from %s with %s", path, name, init), func(t *testing.T) {
					got := browser.Eval[string](page, `fetch('`+w.vault.URL+path+`', `+init+`).then((r) => r.text(), (e) => e.name)`)
					require.Equal(t, "TypeError", got, "the browser hands nothing over")
				})
			}
		}
		for _, path := range []string{"/.tokenvault/remove", "/.tokenvault/refresh", "/oauth2/revoke", "/oauth2/token", "/v1/things"} {
			t.Run(fmt.Sprintf("form post to %s from %s", path, name), func(t *testing.T) {
				arrived := w.vault.count("POST " + path)
				require.True(t, browser.Eval[bool](page, `new Promise((done) => {
					const frame = Object.assign(document.createElement('iframe'), { name: 'f' + Math.random() });
					document.body.append(frame);
					const form = Object.assign(document.createElement('form'), { method: 'POST', action: '`+w.vault.URL+path+`', target: frame.name });
					document.body.append(form);
					frame.onload = () => done(true);
					form.submit();
				})`))
				require.Equal(t, arrived+1, w.vault.count("POST "+path), "it arrived and was refused")
			})
		}
	}
	require.Zero(t, w.api.count("GET /v1/")+w.api.count("POST /v1/"))
	after := w.counts(t)
	for _, what := range []string{"POST /token", "POST /token/revocation", "GET /me"} {
		require.Equal(t, before[what], after[what], what)
	}
	require.Equal(t, 200, browser.Eval[answer](tab, `app.api('/v1/me')`).Status, "still logged in")
	cookie := false
	for _, r := range w.vault.got() {
		cookie = cookie || r.Header.Get("Origin") == w.control.URL && len(r.CookiesNamed(cookieName)) == 1
	}
	require.True(t, cookie, "the sibling's requests did carry the cookie")
}

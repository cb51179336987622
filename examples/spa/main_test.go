package main

import (
	"bytes"
	"context"
	"flag"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

var update = flag.Bool("update", false, "write docs/spa.png")

func TestMain(m *testing.M) { leaktest.Main(m) }

func newDemo(t *testing.T) *demo {
	t.Helper()
	if !authserver.Available() {
		testserver.Missing(t, "node and npm")
	}
	d, err := start(context.Background(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(d.close)
	return d
}

// A user's way through the application, in a browser.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	tab := browser.Start(t, d.cert, "MAP *.example.test 127.0.0.1").Tab(t)
	tab.Open(d.appOrigin)
	tab.Wait(`document.body.dataset.state === 'out'`)
	tab.Click("#login")
	tab.Login("Ada")
	tab.Wait(`document.body.dataset.state === 'in'`)
	require.Equal(t, "User Ada", text(tab, "#name"), "the profile")
	require.Contains(t, text(tab, "#page"), `"access_token": "REDACTED"`)

	tab.Type("#text", "Buy milk")
	tab.Click("#form .primary")
	tab.Wait(`document.querySelector('#list li')`)
	require.Equal(t, "Buy milk", text(tab, "#list li"))
	require.Regexp(t, `"Authorization": "Bearer ey.{13,20}… \(\d{3,} characters\)"`, text(tab, "#api"))
	require.Contains(t, text(tab, "#api"), `"Cookie": ""`)

	tab.Click("#attack")
	tab.Wait(`document.querySelector('#loot .note')`)
	require.Empty(t, text(tab, "#error"))
	require.Equal(t, 8, browser.Eval[int](tab, `document.querySelectorAll('#loot li:not(.note)').length`))
	require.Empty(t, browser.Eval[[]any](tab, `import('/attack.js').then((a) => a.lookEverywhere()).then(({ loot }) => loot.filter((l) => l.value !== 'REDACTED'))`))
	require.Zero(t, browser.Eval[int](tab, `document.querySelectorAll('#loot .found').length`))
	tab.Shot(filepath.Join("..", "..", "internal", "e2e", "artifacts", "example-spa.png"))
	if *update {
		tab.Shot(filepath.Join("..", "..", "docs", "spa.png"))
	}
	requireAttackerSees(t, tab)

	tab.Click("#logout")
	tab.Wait(`document.querySelector('button[name=logout]')`)
	tab.Click("button[name=logout]")
	tab.Wait(`document.body.dataset.state === 'out'`)
	require.Equal(t, 400, browser.Eval[int](tab, `fetch('`+d.apiOrigin+`/v1/notes').then((r) => r.status)`), "the vault has no session")
}

func text(tab *browser.Tab, css string) string {
	return browser.Eval[string](tab, `document.querySelector('`+css+`').textContent`)
}

// requireAttackerSees plants a token in each place in turn, for the script to
// find: one that finds nothing anywhere would be no proof.
func requireAttackerSees(t *testing.T, tab *browser.Tab) {
	t.Helper()
	planted := strings.Repeat("opaque-Token_", 4)
	for place, js := range map[string]string{
		"localStorage": `localStorage.planted = '` + planted + `'`, "sessionStorage": `sessionStorage.planted = '` + planted + `'`,
		"readable cookies":          `document.cookie = 'planted=` + planted + `'`,
		"service-worker caches":     `await (await caches.open('planted')).put('/x', new Response('` + planted + `'))`,
		"the document":              `document.body.dataset.planted = '` + planted + `'`,
		"addresses of all requests": `performance.mark('` + planted + `')`,
		"IndexedDB": `await new Promise((done) => {
			const open = indexedDB.open('planted');
			open.onupgradeneeded = () => open.result.createObjectStore('s').put('` + planted + `', 1);
			open.onsuccess = () => { open.result.close(); done(); };
		})`,
		"the address and the history": `history.replaceState('` + planted + `', '')`,
	} {
		found := browser.Eval[[]string](tab, `(async () => {
			`+js+`;
			const { lookEverywhere } = await import('/attack.js');
			return (await lookEverywhere()).loot.filter((l) => l.value === '`+planted+`').map((l) => l.place);
		})()`)
		require.Contains(t, found, place)
	}
}

// The API turns away who comes without the vault.
func TestAPIWithoutTheVault(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.apiOrigin+"/v1/notes", nil)
	require.NoError(t, err)
	res, err := d.network.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
}

func TestRunSaysHowToOpenIt(t *testing.T) {
	t.Parallel()
	if !authserver.Available() {
		testserver.Missing(t, "node and npm")
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := &firstWrite{done: cancel}
	require.NoError(t, run(ctx, "127.0.0.1:0", out))
	for _, part := range []string{"https://app.example.test:", "--host-resolver-rules=", "--ignore-certificate-errors-spki-list=", "/etc/hosts"} {
		require.Contains(t, out.String(), part)
	}
}

// firstWrite ends the program once it has spoken.
type firstWrite struct {
	bytes.Buffer
	done func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	defer w.done()
	return w.Buffer.Write(p)
}

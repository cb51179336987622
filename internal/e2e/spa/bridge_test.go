package spa

import (
	_ "embed"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/e2e/browser"
)

//go:embed testdata/frame.js
var frameJS string

const askAll = `(async (target, probe) => {
	const answers = [];
	for (const type of ['TVP_FETCH_RESOURCE', 'TVP_HAS_TOKENS', 'TVP_REFRESH_TOKENS', 'TVP_REMOVE_TOKENS', 'nonsense']) {
		answers.push(await bridge.ask(target, { type, clientId: 'spa', request: { url: '%[1]s/v1/me', options: {} } }, probe));
	}
	return answers;
})`

var silence = []any{"silence", "silence", "silence", "silence", "silence"}

func TestBridgeIsInertForForeignWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, nil)
	b := w.browser(t)
	tab := b.Tab(t, frameJS)
	login(tab, w.app)
	ask := fmt.Sprintf(askAll, w.api.URL)
	probe := w.vault.URL + "/.tokenvault/bridge"
	before := w.counts(t)

	for name, opener := range map[string]*site{"evil.test": w.evil, "the application": w.app} {
		t.Run("opened by window.open from "+name, func(t *testing.T) { windowIsInert(t, w, b, opener, ask, probe) })
	}
	t.Run("framed by evil.test", func(t *testing.T) {
		page := b.Tab(t, frameJS)
		page.Open(w.evil.URL)
		scripts := w.vault.count("GET /.tokenvault/bridge.js")
		pages := w.vault.count("GET /")
		require.True(t, browser.Eval[bool](page, `bridge.open('`+w.vault.URL+`/')`))
		require.Equal(t, silence, browser.Eval[[]any](page, ask+`(document.getElementById('bridge').contentWindow, '`+probe+`')`))
		require.Greater(t, w.vault.count("GET /"), pages, "the page was asked for")
		require.Equal(t, scripts, w.vault.count("GET /.tokenvault/bridge.js"), "and did not run")
	})
	t.Run("framed by evil.test, were it not for the policy", func(t *testing.T) {
		page := b.Tab(t, frameJS)
		page.Open(w.evil.URL)
		scripts := w.vault.count("GET /.tokenvault/bridge.js")
		require.True(t, browser.Eval[bool](page, `bridge.open('`+w.vault.URL+`/?without-policy')`))
		require.Greater(t, w.vault.count("GET /.tokenvault/bridge.js"), scripts, "the script runs")
		require.Equal(t, silence, browser.Eval[[]any](page, ask+`(document.getElementById('bridge').contentWindow, '`+probe+`')`))
	})
	require.True(t, browser.Eval[bool](tab, `bridge.open('`+w.vault.URL+`/')`))
	w.serveBeside(ask)
	for name, s := range map[string]*site{"evil.test": w.evil, "the application": w.app} {
		t.Run("a frame beside it from "+name, func(t *testing.T) {
			got := browser.Eval[[]any](tab, `new Promise((resolve) => {
				const frame = Object.assign(document.createElement('iframe'), { src: '`+s.URL+`/frame' });
				frame.onload = () => frame.contentWindow.postMessage('go', '*');
				window.addEventListener('message', (event) => { if (event.data.heard && event.source === frame.contentWindow) resolve(event.data.heard); });
				document.body.append(frame);
			})`)
			require.Equal(t, silence, got)
			heard := browser.Eval[map[string]any](tab, `bridge.ask(document.getElementById('bridge').contentWindow, { type: 'TVP_HAS_TOKENS', clientId: 'spa' })`)
			require.Equal(t, map[string]any{"hasTokens": true}, heard, "the application is heard all the while")
		})
	}
	require.Zero(t, w.api.count("GET /v1/"))
	after := w.counts(t)
	for _, what := range []string{"POST /token", "POST /token/revocation"} {
		require.Equal(t, before[what], after[what], what)
	}
}

// serveBeside gives two sites a page /frame that, when told to, speaks to the
// first frame of the window that holds it, and tells that window what it heard.
func (w *world) serveBeside(ask string) {
	beside := pageWith(frameJS + `
		window.onmessage = async () => top.postMessage({ heard: await ` + ask + `(top.frames[0], location.href) }, '*');`)
	for _, s := range []*site{w.evil, w.app} {
		mux := http.NewServeMux()
		mux.Handle("/", s.handler)
		mux.Handle("/frame", beside)
		s.handle(mux)
	}
}

// windowIsInert opens the bridge as a window and speaks to it.
func windowIsInert(t *testing.T, w *world, b *browser.Browser, opener *site, ask, probe string) {
	page := b.Tab(t, frameJS)
	page.Open(opener.URL)
	window := page.Opened(func() { browser.Eval[any](page, `void (window.opened = window.open('`+w.vault.URL+`/'))`) })
	window.Wait(`document.readyState === 'complete' && location.origin === '` + w.vault.URL + `'`)
	require.Nil(t, browser.Eval[any](window, `window.opener`))
	page.Wait(`opened.closed`) // the opener has lost it
	// A message that does arrive, from the window itself, is not heard.
	browser.Eval[any](window, frameJS)
	require.Equal(t, silence, browser.Eval[[]any](window, ask+`(window, '`+probe+`')`))
}

var bridgeAnswers = map[string]struct {
	path, options string
	status        float64
	body          any
}{
	"a call":             {"/v1/text", `{}`, 200, "plain"},
	"a post":             {"/v1/text", `{ method: 'POST', headers: { 'content-type': 'text/plain' }, body: new Blob(['x']) }`, 200, "plain"},
	"204":                {"/v1/empty", `{}`, 204, nil},
	"HEAD":               {"/v1/text", `{ method: 'HEAD' }`, 200, nil},
	"JSON that is none":  {"/v1/broken", `{}`, 200, "{not JSON"},
	"a stream":           {"/v1/stream", `{}`, 400, map[string]any{"error": "unsupported", "message": "a stream does not go through messages"}},
	"not listed":         {"/v2/x", `{}`, 400, map[string]any{"error": "not_found", "message": "the request matches no listed resource"}},
	"excluded":           {"/v1/public/x", `{}`, 400, map[string]any{"error": "not_found", "message": "the request matches no listed resource"}},
	"a method not known": {"/v1/x", `{ method: 'TRACE' }`, 400, map[string]any{"error": "server_error", "message": "the vault could not be reached"}},
}

// The bridge's answers, as the Ping client reads them; none is missing.
func TestBridgeAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, nil)
	tab := w.browser(t).Tab(t, frameJS)
	login(tab, w.app)
	require.True(t, browser.Eval[bool](tab, `bridge.open('`+w.vault.URL+`/')`))
	ask := func(message string) map[string]any {
		return browser.Eval[map[string]any](tab, `bridge.ask(document.getElementById('bridge').contentWindow, `+message+`)`)
	}
	request := func(path string, options string) map[string]any {
		return ask(`{ type: 'TVP_FETCH_RESOURCE', request: { url: '` + w.api.URL + path + `', options: ` + options + ` } }`)
	}
	for name, c := range bridgeAnswers {
		t.Run(name, func(t *testing.T) {
			got := request(c.path, c.options)
			require.Equal(t, c.status, got["status"])
			require.Equal(t, c.body, got["body"])
			require.Equal(t, c.status < 300, got["ok"])
			require.Equal(t, w.api.URL+c.path, got["url"])
			for _, member := range []string{"headers", "redirected", "statusText", "type"} {
				require.Contains(t, got, member)
			}
		})
	}
	t.Run("a redirect within the resource", func(t *testing.T) {
		got := request("/v1/moved", `{}`)
		require.EqualValues(t, 200, got["status"])
		require.Equal(t, "/v1/me", got["body"].(map[string]any)["path"])
		require.Equal(t, true, got["redirected"])
	})
	t.Run("what is no URL", func(t *testing.T) {
		require.EqualValues(t, 400, ask(`{ type: 'TVP_FETCH_RESOURCE', request: { url: 'nonsense' } }`)["status"])
		require.EqualValues(t, 400, ask(`{ type: 'TVP_FETCH_RESOURCE' }`)["status"])
	})
	t.Run("control", func(t *testing.T) {
		require.Equal(t, map[string]any{"hasTokens": true}, ask(`{ type: 'TVP_HAS_TOKENS' }`))
		require.Equal(t, map[string]any{"refreshTokens": true}, ask(`{ type: 'TVP_REFRESH_TOKENS' }`))
		require.Equal(t, map[string]any{"removeToken": true}, ask(`{ type: 'TVP_REMOVE_TOKENS' }`))
		require.Equal(t, map[string]any{"hasTokens": false}, ask(`{ type: 'TVP_HAS_TOKENS' }`))
		require.Equal(t, map[string]any{"error": "invalid_token", "message": "there is no session with usable tokens; log in again"}, ask(`{ type: 'TVP_REFRESH_TOKENS' }`))
		require.Equal(t, map[string]any{"error": "unrecognized_event", "message": "the message is of no known type"}, ask(`{ type: 'constructor' }`))
	})
	t.Run("a vault that is down", func(t *testing.T) {
		w.vault.server.CloseClientConnections()
		require.NoError(t, w.vault.server.Listener.Close())
		require.Equal(t, map[string]any{"error": "server_error", "message": "the vault could not be reached"}, ask(`{ type: 'TVP_HAS_TOKENS' }`))
		require.EqualValues(t, 400, request("/v1/text", `{}`)["status"])
	})
}

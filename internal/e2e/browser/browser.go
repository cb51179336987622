// Package browser drives headless Chromium in tests, with host names that lead
// to loopback and a certificate of the test's own.
package browser

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

// patience is for one action, on a machine that does other things too.
const patience = 45 * time.Second

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	Profile string // its user-data directory

	ctx   context.Context
	close func()
}

// Start starts Chromium for the test. Rules are those of --host-resolver-rules,
// "MAP *.example.test 127.0.0.1"; every other name is unknown. The browser
// accepts cert under any name.
func Start(t testing.TB, cert authserver.Cert, rules ...string) *Browser {
	t.Helper()
	program := testserver.Need(t, "chromium")[0]
	b := &Browser{Profile: t.TempDir()}
	if err := b.preferences(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.Pair.Leaf.RawSubjectPublicKeyInfo)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(b.Profile), chromedp.WindowSize(1180, 820),
		chromedp.DisableGPU, chromedp.Flag("no-sandbox", os.Getuid() == 0),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", strings.Join(append(rules, "MAP * ~NOTFOUND"), ", ")),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(sum[:])),
		chromedp.WSURLReadTimeout(patience),
	)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	b.ctx = ctx
	b.close = func() {
		grace, stop := context.WithTimeout(ctx, 30*time.Second)
		defer stop()
		_ = chromedp.Cancel(grace)
		cancel() // and waits
		b.close = func() {}
	}
	t.Cleanup(func() { b.close() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return b
}

// preferences lets third-party cookies through: with the default a test that
// sees none sent from another site would prove nothing.
func (b *Browser) preferences() error {
	dir := filepath.Join(b.Profile, "Default")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "Preferences"), []byte(`{"profile":{"cookie_controls_mode":0}}`), 0o600)
}

// Close ends the browser before the test does, so that its profile can be read.
func (b *Browser) Close() { b.close() }

// Tab is a page; its methods fail the test when they do not succeed in time.
type Tab struct {
	testing.TB
	ctx    context.Context
	cancel func()
}

// Tab opens a page. Scripts run in it before every document's own.
func (b *Browser) Tab(t testing.TB, scripts ...string) *Tab {
	t.Helper()
	return newTab(b.ctx, t, scripts)
}

// Opened runs do and returns the window that it opens.
func (t *Tab) Opened(do func()) *Tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	found := chromedp.WaitNewTarget(t.ctx, func(info *target.Info) bool { return info.Type == "page" })
	do()
	select {
	case id := <-found:
		return newTab(t.ctx, t.TB, nil, chromedp.WithTargetID(id))
	case <-ctx.Done():
		t.Fatal("no window was opened")
		return nil
	}
}

func newTab(parent context.Context, t testing.TB, scripts []string, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{TB: t}
	tab.ctx, tab.cancel = chromedp.NewContext(parent, options...)
	t.Cleanup(tab.cancel)
	if err := chromedp.Do(tab.ctx); err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: s})
			return err
		}))
	}
	return tab
}

// Close closes the page.
func (t *Tab) Close() { t.cancel() }

func (t *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.fatal(err)
	}
}

// fatal adds where the page was.
func (t *Tab) fatal(err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	where, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body?.innerText.slice(0, 400)"))
	t.Fatalf("%v\nat %s\n%s", err, where, text)
}

// Open navigates to address and waits for the page to load.
func (t *Tab) Open(address string) { t.Helper(); t.do(chromedp.Navigate(address)) }

// Click clicks the element.
func (t *Tab) Click(css string) { t.Helper(); t.do(chromedp.Click(chromedp.CSS(css))) }

// Type types into the element.
func (t *Tab) Type(css, text string) { t.Helper(); t.do(chromedp.SendKeys(chromedp.CSS(css), text)) }

// Reload reloads the page; hard means past every cache and the service worker,
// as Shift+Reload does.
func (t *Tab) Reload(hard bool) {
	t.Helper()
	t.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		reload := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, page.Reload, page.ReloadParams{IgnoreCache: &hard})
			return err
		})
		_, err := chromedp.WaitEvent(page.LoadEventFired, nil, reload)(ctx, target)
		return err
	}))
}

// Wait waits until the expression is true.
func (t *Tab) Wait(expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		if ctx.Err() != nil { // between two documents there may be no context to evaluate in
			t.fatal(errors.Join(fmt.Errorf("never true: %s", expression), err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Eval evaluates a JavaScript expression, awaiting a promise.
func Eval[T any](t *Tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.fatal(fmt.Errorf("%s: %w", expression, err))
	}
	return v
}

// Login fills in the authorization server's login page, which the tab is on its
// way to, and consents.
func (t *Tab) Login(user string) {
	t.Helper()
	t.Type("input[name=login]", user)
	t.Type("input[name=password]", "any password")
	t.Click("button[type=submit]")
	t.Wait(`document.querySelector('input[name=prompt][value=consent]')`)
	t.Click("button[type=submit]")
}

// Shot writes a screenshot of the whole page to file.
func (t *Tab) Shot(file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, image, 0o644)); err != nil {
		t.Fatal(err)
	}
}

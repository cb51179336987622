package spa_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

// hostile is a request that a browser with a live session could be made to
// send, or that somebody sends with a stolen cookie's shape.
type hostile struct {
	rule   string
	method string
	target string
	header string // "Name: value" lines; Origin and X-Tokenvault are the app's unless given; "-Name" removes
	body   string
	status int
}

const form = "Content-Type: application/x-www-form-urlencoded"

var hostileRequests = []hostile{
	// Paths that two parsers could read differently.
	{"dot segment", "GET", "/v1/../admin/x", "", "", 400},
	{"dot segment inside", "GET", "/v1/a/../../admin/x", "", "", 400},
	{"dot segment at the end", "GET", "/v1/..", "", "", 400},
	{"single dot", "GET", "/v1/./x", "", "", 400},
	{"encoded dot segment", "GET", "/v1/%2e%2e/admin/x", "", "", 400},
	{"half encoded dot segment", "GET", "/v1/.%2e/admin/x", "", "", 400},
	{"encoded slash", "GET", "/v1%2fprivate/x", "", "", 400},
	{"encoded slash in a segment", "GET", "/v1/a%2Fb", "", "", 400},
	{"double encoded slash", "GET", "/v1/%252fx", "", "", 400},
	{"double encoded dots", "GET", "/v1/%252e%252e/admin", "", "", 400},
	{"encoded backslash", "GET", "/v1/%5c..%5cadmin", "", "", 400},
	{"backslash", "GET", `/v1/\..\admin`, "", "", 400},
	{"double slash", "GET", "/v1//private/x", "", "", 400},
	{"double slash first", "GET", "//v1/x", "", "", 400},
	{"path parameter", "GET", "/v1;a=b/x", "", "", 400},
	{"path parameter before dots", "GET", "/v1/..;/admin/x", "", "", 400},
	{"encoded semicolon", "GET", "/v1/%3b/x", "", "", 400},
	{"encoded NUL", "GET", "/v1/%00", "", "", 400},
	{"encoded newline", "GET", "/v1/%0a", "", "", 400},
	{"encoded carriage return", "GET", "/v1/%0d%0aHost:evil", "", "", 400},
	{"encoded DEL", "GET", "/v1/%7f", "", "", 400},
	// What is not listed.
	{"unlisted path", "GET", "/v2/x", "", "", 404},
	{"listed path as a substring", "GET", "/x/v1/y", "", "", 404},
	{"listed path as a prefix of a segment", "GET", "/v10/y", "", "", 404},
	{"listed path in the query", "GET", "/?u=/v1/x", "-X-Tokenvault", "", 200},
	{"without the slash", "GET", "/v1", "", "", 404},
	{"other case", "GET", "/V1/x", "", "", 404},
	{"excluded path", "GET", "/v1/private/x", "", "", 404},
	{"excluded path by POST", "POST", "/v1/private/x", "", "{}", 404},
	{"unlisted method", "DELETE", "/admin/x", "", "", 404},
	{"unlisted method PUT", "PUT", "/admin/x", "", "{}", 404},
	{"scope that was not granted", "GET", "/admin/x", "", "", 403},
	{"unknown file", "GET", "/.tokenvault/secrets.js", "", "", 404},
	{"file beside the scripts", "GET", "/.tokenvault/bridge.html", "", "", 404},
	{"POST to the bridge", "POST", "/", "", "", 404},
	{"DELETE of the session", "DELETE", "/.tokenvault/session", "", "", 404},
	// Methods.
	{"TRACE", "TRACE", "/v1/x", "", "", 405},
	{"CONNECT", "CONNECT", "/v1/x", "", "", 405},
	{"method override in a header is not forwarded", "GET", "/admin/x", "X-HTTP-Method-Override: DELETE", "", 403},
	{"websocket upgrade", "GET", "/v1/x", "Connection: Upgrade\nUpgrade: websocket", "", 405},
	{"h2c upgrade", "GET", "/v1/x", "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c", "", 405},
	{"refresh by GET", "GET", "/.tokenvault/refresh", "", "", 404},
	{"remove by GET", "GET", "/.tokenvault/remove", "", "", 404},
	{"exchange by GET", "GET", "/oauth2/token?grant_type=authorization_code", "", "", 404},
	// Origins.
	{"foreign origin GET", "GET", "/v1/x", "Origin: https://evil.test", "", 403},
	{"foreign origin POST", "POST", "/v1/x", "Origin: https://evil.test", "{}", 403},
	{"null origin", "GET", "/v1/x", "Origin: null", "", 403},
	{"origin with a suffix", "GET", "/v1/x", "Origin: https://app.example.com.evil.test", "", 403},
	{"origin with a prefix", "GET", "/v1/x", "Origin: https://evilapp.example.com", "", 403},
	{"sibling origin", "GET", "/v1/x", "Origin: https://other.example.com", "", 403},
	{"origin by http", "GET", "/v1/x", "Origin: http://app.example.com", "", 403},
	{"origin with another port", "GET", "/v1/x", "Origin: https://app.example.com:8443", "", 403},
	{"origin with a path", "GET", "/v1/x", "Origin: https://app.example.com/", "", 403},
	{"origin in upper case", "GET", "/v1/x", "Origin: https://APP.example.com", "", 403},
	{"two origins", "GET", "/v1/x", "Origin: https://app.example.com\nOrigin: https://evil.test", "", 403},
	{"two origins in one", "GET", "/v1/x", "Origin: https://app.example.com, https://evil.test", "", 403},
	{"no origin, cross-site", "GET", "/v1/x", "-Origin\nSec-Fetch-Site: cross-site", "", 403},
	{"no origin, same-site sibling", "GET", "/v1/x", "-Origin\nSec-Fetch-Site: same-site", "", 403},
	{"no origin, navigation", "GET", "/v1/x", "-Origin\nSec-Fetch-Site: none", "", 403},
	{"no required header", "GET", "/v1/x", "-X-Tokenvault", "", 403},
	{"no required header by POST", "POST", "/v1/x", "-X-Tokenvault", "{}", 403},
	{"required header twice", "GET", "/v1/x", "X-Tokenvault: 1\nX-Tokenvault: 1", "", 403},
	{"form post from a foreign page", "POST", "/oauth2/token", "Origin: https://evil.test\n-X-Tokenvault\n" + form, "grant_type=authorization_code", 403},
	{"refresh from a foreign page", "POST", "/.tokenvault/refresh", "Origin: https://evil.test", "", 403},
	{"remove from a foreign page", "POST", "/.tokenvault/remove", "Origin: https://evil.test\n-X-Tokenvault", "", 403},
	{"revoke from a foreign page", "POST", "/oauth2/revoke", "Origin: https://evil.test\n" + form, "token=x", 403},
	// Preflights.
	{"preflight from a foreign origin", "OPTIONS", "/v1/x", "Origin: https://evil.test\nAccess-Control-Request-Method: GET", "", 403},
	{"preflight from null", "OPTIONS", "/v1/x", "Origin: null\nAccess-Control-Request-Method: GET", "", 403},
	{"preflight without origin", "OPTIONS", "/v1/x", "-Origin\nAccess-Control-Request-Method: GET", "", 403},
	{"preflight of an unlisted path", "OPTIONS", "/v2/x", "Access-Control-Request-Method: GET", "", 404},
	{"preflight of an unlisted method", "OPTIONS", "/admin/x", "Access-Control-Request-Method: DELETE", "", 404},
	{"preflight of an excluded path", "OPTIONS", "/v1/private/x", "Access-Control-Request-Method: GET", "", 404},
	{"preflight with a header list of 3 KiB", "OPTIONS", "/v1/x", "Access-Control-Request-Method: GET\nAccess-Control-Request-Headers: " + strings.Repeat("x", 3<<10), "", 400},
	// The exchange.
	{"client_credentials", "POST", "/oauth2/token", form, "grant_type=client_credentials", 400},
	{"refresh_token", "POST", "/oauth2/token", form, "grant_type=refresh_token&refresh_token=REDACTED", 400},
	{"password", "POST", "/oauth2/token", form, "grant_type=password&username=a&password=b", 400},
	{"token exchange", "POST", "/oauth2/token", form, "grant_type=urn:ietf:params:oauth:grant-type:token-exchange", 400},
	{"device code", "POST", "/oauth2/token", form, "grant_type=urn:ietf:params:oauth:grant-type:device_code", 400},
	{"no grant type", "POST", "/oauth2/token", form, "code=x", 400},
	{"repeated grant type", "POST", "/oauth2/token", form, exchangeForm().Encode() + "&grant_type=client_credentials", 400},
	{"repeated code", "POST", "/oauth2/token", form, exchangeForm().Encode() + "&code=2", 400},
	{"no code", "POST", "/oauth2/token", form, without("code"), 400},
	{"no verifier", "POST", "/oauth2/token", form, without("code_verifier"), 400},
	{"short verifier", "POST", "/oauth2/token", form, with("code_verifier", "short"), 400},
	{"long verifier", "POST", "/oauth2/token", form, with("code_verifier", strings.Repeat("v", 129)), 400},
	{"verifier with a space", "POST", "/oauth2/token", form, with("code_verifier", strings.Repeat("v", 43)+" "), 400},
	{"other client", "POST", "/oauth2/token", form, with("client_id", "other"), 400},
	{"other redirect URI", "POST", "/oauth2/token", form, with("redirect_uri", "https://evil.test/cb"), 400},
	{"redirect URI with a suffix", "POST", "/oauth2/token", form, with("redirect_uri", redirectURI+"/x"), 400},
	{"no redirect URI", "POST", "/oauth2/token", form, without("redirect_uri"), 400},
	{"JSON body", "POST", "/oauth2/token", "Content-Type: application/json", `{"grant_type":"authorization_code"}`, 400},
	{"no content type", "POST", "/oauth2/token", "", exchangeForm().Encode(), 400},
	{"broken form", "POST", "/oauth2/token", form, "a=%zz", 400},
	{"oversized body", "POST", "/oauth2/token", form, with("code", strings.Repeat("c", 65<<10)), 413},
	// Cookies.
	{"cookie twice", "GET", "/v1/x", "Cookie: " + cookieName + "=" + strings.Repeat("A", 43), "", 400},
	{"planted cookie beside the real one", "POST", "/.tokenvault/refresh", "Cookie: " + cookieName + "=planted", "", 400},
	// Authorization server pages.
	{"authorize as another client", "GET", "/oauth2/authorize?client_id=other", "", "", 400},
	{"authorize as two clients", "GET", "/oauth2/authorize?client_id=spa&client_id=other", "", "", 400},
	{"back-channel logout that is not configured", "POST", "/.tokenvault/backchannel-logout", form, "logout_token=x", 404},
	// Cache probes.
	{"range of an unlisted path", "GET", "/v2/x", "Range: bytes=0-1", "", 404},
	{"conditional request to an unlisted path", "GET", "/v2/x.css", "If-None-Match: *", "", 404},
	{"static suffix on an excluded path", "GET", "/v1/private/x.css", "", "", 404},
}

func with(name, value string) string { f := exchangeForm(); f.Set(name, value); return f.Encode() }
func without(name string) string     { f := exchangeForm(); f.Del(name); return f.Encode() }

// Each is refused with the stated status, and no upstream sees a token.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(hostileRequests), 80)
	for _, h := range hostileRequests {
		t.Run(h.rule, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil)
			f.login()
			cookie, posts := f.cookie, f.as.count("/token authorization_code")
			r := h.request()
			r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
			w := httptest.NewRecorder()
			f.proxy.ServeHTTP(w, r)
			require.Equal(t, h.status, w.Code, w.Body.String())
			for _, got := range f.api.requests() {
				require.Empty(t, got.Header.Get("Authorization"))
			}
			require.Empty(t, f.api.requests())
			require.Equal(t, posts, f.as.count("/token authorization_code"), "nothing was redeemed")
			require.Zero(t, f.as.count("/token refresh_token"), "nothing was refreshed")
			require.Empty(t, f.as.revoked, "nothing was revoked")
			if o := w.Header().Get("Access-Control-Allow-Origin"); o != "" {
				require.Equal(t, appOrigin, o, "never reflected")
			}
			if w.Code != http.StatusOK {
				require.Equal(t, "application/json", w.Header().Get("Content-Type"))
				require.Contains(t, w.Body.String(), `"error":"`)
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			}
			require.NotContains(t, f.proxy.Explain(h.request()), "evil", "nothing of the request is repeated")
			leaktest.None(t, append(w.Body.Bytes(), headerText(w.Header())...), append(f.as.tokens(), cookie)...)
		})
	}
}

func (h hostile) request() *http.Request {
	r := httptest.NewRequest("GET", vaultOrigin+"/", strings.NewReader(h.body))
	r.Method, r.RequestURI = h.method, h.target
	u, err := url.ParseRequestURI(h.target)
	if err != nil || strings.HasPrefix(h.target, "//") {
		path, query, _ := strings.Cut(h.target, "?")
		u = &url.URL{Path: path, RawQuery: query}
	}
	r.URL = u
	r.Header.Set("Origin", appOrigin)
	r.Header.Set("X-Tokenvault", "1")
	seen := map[string]bool{}
	for line := range strings.Lines(h.header) {
		line = strings.TrimSuffix(line, "\n")
		if name, remove := strings.CutPrefix(line, "-"); remove {
			r.Header.Del(name)
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		if !seen[name] {
			r.Header.Del(name)
		}
		seen[name] = true
		r.Header.Add(name, value)
	}
	return r
}

func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

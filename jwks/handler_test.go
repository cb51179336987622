package jwks_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

const metadata = `resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1"`

// serve sends a request through h and tells whether it got to the end.
func serve(h func(http.Handler) http.Handler, r *http.Request) (res *http.Response, reached bool) {
	w := httptest.NewRecorder()
	h(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := jwks.FromContext(r.Context())
		reached = ok && c.Subject() == "user-1"
	})).ServeHTTP(w, r)
	return w.Result(), reached
}

// Each row is a request and its answer, as RFC 6750 section 3 has it.
func TestHandlerAnswers(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Realm, c.Resource, c.Cookie = "api", "https://api.example/v1", "authorization"
		c.Issuers[0].Scopes = []string{"read", "write"}
	})
	good, second := iss.Sign(iss.Claims(api)), iss.Sign(with(iss.Claims(api), object{"jti": "2"}))
	expired := iss.Sign(with(iss.Claims(api), object{"exp": 1}))
	over := iss.Sign(with(iss.Claims(api), object{"scope": "admin"}))
	bare := `Bearer realm="api", ` + metadata
	invalid := `Bearer realm="api", error="invalid_token", ` + metadata
	twice := `Bearer realm="api", error="invalid_request", ` + metadata
	for _, row := range []struct {
		rule      string
		method    string
		header    []string
		cookies   []string
		site      string
		status    int
		challenge string
	}{
		{"good", "GET", []string{"Bearer " + good}, nil, "", 200, ""},
		{"scheme in any case", "GET", []string{"bEARER " + good}, nil, "", 200, ""},
		{"more spaces", "GET", []string{"Bearer   " + good}, nil, "", 200, ""},
		{"no token", "GET", nil, nil, "", 401, bare},
		{"an empty header", "GET", []string{""}, nil, "", 401, bare},
		{"another scheme", "GET", []string{"Basic eDp5"}, nil, "", 401, bare},
		{"a scheme that only begins so", "GET", []string{"Bearerx " + good}, nil, "", 401, bare},
		{"Basic with a token", "GET", []string{"Basic x" + good}, nil, "", 401, bare},
		{"scheme alone", "GET", []string{"Bearer"}, nil, "", 401, invalid},
		{"tab for a space", "GET", []string{"Bearer\t" + good}, nil, "", 401, bare},
		{"two tokens", "GET", []string{"Bearer " + good + " " + good}, nil, "", 401, invalid},
		{"a list", "GET", []string{"Bearer " + good + ", Bearer " + good}, nil, "", 401, invalid},
		{"a parameter", "GET", []string{"Bearer t&client_id=evil"}, nil, "", 401, invalid},
		{"expired", "GET", []string{"Bearer " + expired}, nil, "", 401, invalid},
		{"malformed", "GET", []string{"Bearer abc"}, nil, "", 401, invalid},
		{"two headers", "GET", []string{"Bearer " + good, "Bearer " + good}, nil, "", 400, twice},
		{"two headers, one Basic", "GET", []string{"Basic eDp5", "Bearer " + good}, nil, "", 400, twice},
		{"scope beyond the issuer's", "GET", []string{"Bearer " + over}, nil, "", 403, `Bearer realm="api", error="insufficient_scope", ` + metadata},
		{"cookie", "GET", nil, []string{good}, "cross-site", 200, ""},
		{"cookie, expired", "GET", nil, []string{expired}, "", 401, invalid},
		{"cookie, empty", "GET", nil, []string{""}, "", 401, bare},
		{"cookie twice", "GET", nil, []string{good, good}, "", 400, twice},
		{"cookie and the same header", "POST", []string{"Bearer " + good}, []string{good}, "cross-site", 200, ""},
		{"cookie and another header", "GET", []string{"Bearer " + good}, []string{second}, "", 400, twice},
		{"cookie and Basic", "GET", []string{"Basic eDp5"}, []string{good}, "", 400, twice},
		{"cookie, unsafe, same origin", "POST", nil, []string{good}, "same-origin", 200, ""},
		{"cookie, unsafe, no browser", "POST", nil, []string{good}, "", 200, ""},
		{"cookie, unsafe, cross-site", "POST", nil, []string{good}, "cross-site", 403, ""},
		{"cookie, unsafe, same site", "DELETE", nil, []string{good}, "same-site", 403, ""},
		{"header, unsafe, cross-site", "POST", []string{"Bearer " + good}, nil, "cross-site", 200, ""},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(row.method, "https://api.example/v1/things", nil)
			r.Header["Authorization"] = row.header
			for _, c := range row.cookies {
				r.AddCookie(&http.Cookie{Name: "authorization", Value: c})
			}
			if row.site != "" {
				r.Header.Set("Sec-Fetch-Site", row.site)
			}
			before := r.Header.Clone()
			res, reached := serve(v.Handler, r)
			require.Equal(t, row.status, res.StatusCode)
			require.Equal(t, row.status == 200, reached)
			require.Equal(t, row.challenge, res.Header.Get("WWW-Authenticate"))
			require.Equal(t, before, r.Header)
			if row.status != 200 {
				require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			}
		})
	}
}

func TestHandlerChallengeIsBareWithoutRealm(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, jwkstest.NewIssuer(t))
	res, _ := serve(v.Handler, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, "Bearer", res.Header.Get("WWW-Authenticate"))
}

func TestHandlerIgnoresTheCookieUnlessConfigured(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	v := newVerifier(t, iss)
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "authorization", Value: iss.Sign(iss.Claims(api))})
	res, reached := serve(v.Handler, r)
	require.Equal(t, 401, res.StatusCode)
	require.False(t, reached)
}

func TestHandlerWhileKeysCannotBeHad(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	iss.Fail(500)
	v := newVerifier(t, iss)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+iss.Sign(iss.Claims(api)))
	res, reached := serve(v.Handler, r)
	require.Equal(t, 503, res.StatusCode)
	require.Equal(t, "1", res.Header.Get("Retry-After"))
	require.Empty(t, res.Header.Get("WWW-Authenticate"), "clients must not log out")
	require.False(t, reached)
}

func TestRequire(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t, "EdDSA")
	var events []jwks.Event
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Resource = "https://api.example/v1"
		c.Observe = func(_ context.Context, e jwks.Event) {
			if e.Kind == jwks.EventScope {
				events = append(events, e)
			}
		}
	})
	behind := func(h func(http.Handler) http.Handler) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler { return v.Handler(h(next)) }
	}
	ask := func(h func(http.Handler) http.Handler, token string) (*http.Response, bool) {
		r := httptest.NewRequest("GET", "/", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return serve(h, r)
	}
	good := iss.Sign(iss.Claims(api)) // read write
	for _, h := range []func(http.Handler) http.Handler{v.Require("read", "write"), behind(v.Require("read")), v.Require()} {
		res, reached := ask(h, good)
		require.Equal(t, 200, res.StatusCode)
		require.True(t, reached)
	}
	for _, h := range []func(http.Handler) http.Handler{v.Require("read", "admin"), behind(v.Require("read", "admin"))} {
		for range 2 { // the second time the token is cached
			res, reached := ask(h, good)
			require.Equal(t, 403, res.StatusCode)
			require.Equal(t, `Bearer error="insufficient_scope", scope="read admin", `+metadata, res.Header.Get("WWW-Authenticate"))
			require.False(t, reached)
		}
	}
	require.Len(t, events, 4)
	require.Equal(t, jwks.ErrScope, events[0].Err)
	res, reached := ask(v.Require(), "")
	require.Equal(t, 401, res.StatusCode)
	require.False(t, reached)
}

func TestVerifyRequest(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	var kinds []error
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Observe = func(_ context.Context, e jwks.Event) {
			if e.Kind == jwks.EventVerify {
				kinds = append(kinds, e.Err)
			}
		}
	})
	r := httptest.NewRequest("GET", "/", nil)
	_, err := v.VerifyRequest(r)
	require.ErrorIs(t, err, jwks.ErrNoToken)
	r.Header.Set("Authorization", "Bearer "+iss.Sign(iss.Claims(api)))
	c, err := v.VerifyRequest(r)
	require.NoError(t, err)
	require.Equal(t, "user-1", c.Subject())
	_, ok := jwks.FromContext(r.Context())
	require.False(t, ok)
	require.Equal(t, []error{jwks.ErrNoToken, nil}, kinds)
}

func TestMetadataDocument(t *testing.T) {
	t.Parallel()
	a, b := jwkstest.NewIssuer(t), jwkstest.NewIssuer(t)
	b.URL = "https://b.test"
	v := newVerifier(t, a, func(c *jwks.Config) {
		c.Resource = "https://api.example/v1"
		c.Issuers = []jwks.Issuer{a.Config(api), b.Config(api)}
		c.Issuers[0].Scopes, c.Issuers[1].Scopes = []string{"write", "read"}, []string{"read"}
	})
	w := httptest.NewRecorder()
	v.Metadata().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var got map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, map[string]any{
		"resource":                 "https://api.example/v1",
		"authorization_servers":    []any{"https://issuer.test", "https://b.test"},
		"bearer_methods_supported": []any{"header"},
		"scopes_supported":         []any{"read", "write"},
	}, got)
	w = httptest.NewRecorder()
	v.Metadata().ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	require.Equal(t, 405, w.Code)
	w = httptest.NewRecorder()
	newVerifier(t, a).Metadata().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 404, w.Code)
}

// Where RFC 9728 section 3.1 puts the well-known part.
func TestMetadataURL(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		"https://api.example":       "https://api.example/.well-known/oauth-protected-resource",
		"https://api.example/":      "https://api.example/.well-known/oauth-protected-resource",
		"https://api.example/v1":    "https://api.example/.well-known/oauth-protected-resource/v1",
		"https://api.example/v1?a=": "https://api.example/.well-known/oauth-protected-resource/v1?a=",
		"http://127.0.0.1:8080/v1":  "http://127.0.0.1:8080/.well-known/oauth-protected-resource/v1",
	} {
		v := newVerifier(t, jwkstest.NewIssuer(t), func(c *jwks.Config) { c.Resource = resource })
		res, _ := serve(v.Handler, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, `Bearer resource_metadata="`+want+`"`, res.Header.Get("WWW-Authenticate"))
	}
}

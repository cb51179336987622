package spa_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

type rule struct{ Method, Path string }

type routes struct {
	Header string
	Routes []struct {
		rule
		From, To string
		Except   []rule
	}
}

func routeList(f *fixture) routes {
	f.Helper()
	res := f.send(request("GET", "/.tokenvault/routes", ""))
	require.Equal(f, http.StatusOK, res.StatusCode)
	var list routes
	require.NoError(f, json.Unmarshal([]byte(read(f.T, res)), &list))
	return list
}

func TestRouteListNamesTheEndpointsAndResources(t *testing.T) {
	t.Parallel()
	f := setup(t, func(f *fixture) {
		f.config.Endpoints.Token, f.config.Endpoints.Revocation = f.as.URL+"/token", f.as.URL+"/revoke"
		f.config.Resources = []spa.Resource{{Pattern: "GET /v1/{id}", Upstream: f.api.URL + "/base/", Exclude: []string{"POST /v1/x"}}}
	})
	list := routeList(f)
	require.Equal(t, "X-Tokenvault", list.Header)
	require.Len(t, list.Routes, 4)
	for i, path := range []string{"token", "revoke"} {
		require.Equal(t, f.as.URL+"/"+path, list.Routes[i].From)
		require.Equal(t, vaultOrigin+"/oauth2/"+path, list.Routes[i].To)
		require.Equal(t, rule{"", "^$"}, list.Routes[i].rule, "that URL and no other")
	}
	resource := list.Routes[3]
	require.Equal(t, f.api.URL+"/base", resource.From)
	require.Equal(t, vaultOrigin, resource.To)
	require.Equal(t, rule{"GET", "^/v1/[^/]+$"}, resource.rule)
	require.Equal(t, []rule{{"POST", "^/v1/x$"}}, resource.Except)
}

// What the browser is told to send here is what is attached here.
func TestRouteListAgreesWithTheRouteTable(t *testing.T) {
	t.Parallel()
	paths := []string{
		"/", "/v1", "/v1/", "/v1/a", "/v1/a/", "/v1/a/b", "/v1/a/b/c", "/v1/a.b", "/v1/aXb", "/v10/", "/V1/", "/x/v1/", "/%C3%A4/a", "/v1/$", "/v1/a(b", "/v2/a",
	}
	for _, pattern := range []string{"/", "/v1", "/v1/", "/v1/{$}", "/v1/{id}", "/v1/{id}/", "/v1/{id}/b", "/v1/{rest...}", "/v1/a.b", "/v1/$", "/v1/a(b", "/ä/", "/{$}x"} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil)
			f.config.Resources = []spa.Resource{{Pattern: "PUT " + pattern, Upstream: f.api.URL}}
			var err error
			if f.proxy, err = spa.New(f.config); err != nil {
				require.ErrorContains(t, err, "Config.Resources[0].Pattern")
				return
			}
			list := routeList(f)
			expression := regexp.MustCompile(list.Routes[len(list.Routes)-1].Path)
			for _, path := range paths {
				attached := strings.Contains(f.proxy.Explain(asApp(request("PUT", path, ""))), "token is attached")
				require.Equal(t, attached, expression.MatchString(path), path)
			}
		})
	}
}

func asApp(r *http.Request) *http.Request {
	r.Header.Set("Origin", appOrigin)
	r.Header.Set("X-Tokenvault", "1")
	return r
}

func TestBridgePage(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	for _, path := range []string{"/", "/.tokenvault/bridge"} {
		res := f.send(request("GET", path, ""))
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Contains(t, read(t, res), `content="`+appOrigin+`"`)
		policy := res.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'; ", "script-src 'self'; ", "connect-src 'self'; ", "frame-ancestors " + appOrigin} {
			require.Contains(t, policy, part)
		}
		require.NotContains(t, policy, "unsafe")
		require.Equal(t, "same-origin", res.Header.Get("Cross-Origin-Opener-Policy"))
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	app, err := spa.AppScripts(vaultOrigin)
	require.NoError(t, err)
	for _, c := range []struct {
		name              string
		atVault, atTheApp int
	}{
		{"worker.js", 200, 200}, {"client.js", 200, 200}, {"bridge.js", 200, 404}, {"bridge.html", 404, 404}, {"other.js", 404, 404},
	} {
		res := f.send(request("GET", "/.tokenvault/"+c.name, ""))
		require.Equal(t, c.atVault, res.StatusCode, c.name)
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest("GET", appOrigin+"/tokenvault/"+c.name, nil))
		require.Equal(t, c.atTheApp, w.Code, c.name)
		if c.atTheApp == http.StatusOK {
			require.Equal(t, "text/javascript; charset=utf-8", w.Header().Get("Content-Type"))
			require.Equal(t, "/", w.Header().Get("Service-Worker-Allowed"))
			require.Contains(t, w.Body.String(), "'"+vaultOrigin+"'")
			require.NotContains(t, w.Body.String(), "__TOKENVAULT")
		}
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("POST", appOrigin+"/tokenvault/worker.js", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	_, err = spa.AppScripts("https://vault.example.com/")
	require.ErrorContains(t, err, "AppScripts: origin")
}

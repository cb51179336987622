package relay

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireSameAsMux compares what a destination says with what the mux of its
// route says.
func requireSameAsMux(t *testing.T, pattern, method, path, rawPath string) {
	t.Helper()
	r, err := newRoute(pattern)
	if err != nil {
		require.Nil(t, r.mux)
		return
	}
	asked, u := method, url.URL{Path: path, RawPath: rawPath}
	if asked == "" {
		asked = "GET"
	}
	if path == "" {
		u.Path = "/"
	}
	want := r.asks(asked, &u)
	d := destination{routes: []route{r}}
	require.Equal(t, want, d.allows(method, &url.URL{Path: path, RawPath: rawPath}), "%q: %q %q %q", pattern, method, path, rawPath)
}

// The quick answer is the mux's own, whatever pattern, method and path.
func TestRouteAnswersAsTheMux(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"/", "/v1/", "/v1", "GET /v1/", "HEAD /v1/", "POST  /v1/x", "POST \t/v1/", "get /v1/", "CONNECT /v1/", "CONNECT //v1", "/v1/{id}", "/v1/{$}", "/{rest...}", "/v1/{id}/",
		"/a%2fb", "/a%62c/", "//v1/", "/v1//", "/./v1", "/v1/.well-known/", "/v1/..", "/*", "/caf\u00e9/", "/a:b", "P\tQ /v1/", "/a}",
	} {
		for _, method := range []string{"", "GET", "HEAD", "POST", "get", "CONNECT", "P", "P\tQ"} {
			for _, path := range []string{
				"", "/", "/v1", "/v1/", "/v1/x", "/v1/x/", "/v1//x", "/v1/./x", "/v1/../x", "/v1/.well-known/x", "v1/x", "*", "//v1/", "/abc/", "/a/b", "/a:b", "/caf\u00e9/x", "/a b", "/V1/", "/v1x", "/a}",
			} {
				requireSameAsMux(t, pattern, method, path, "")
			}
			requireSameAsMux(t, pattern, method, "/a/b", "/a%2fb")
			requireSameAsMux(t, pattern, method, "/abc/x", "/a%62c/x")
			requireSameAsMux(t, pattern, method, "/v1/x", "/v1/x")
		}
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("GET /v1/", "HEAD", "/v1/x", "")
	f.Add("/v1/{id}", "", "/v1/a/b", "/v1/a%2fb")
	f.Add("//v1/..", "POST", "/v1/.x", "/v1/.x")
	f.Fuzz(requireSameAsMux)
}

// What the quick answer is for.
func TestRoutesAreMostlyLiteral(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"/", "/v1/", "GET /v1/", "POST /oauth/token"} {
		r, err := newRoute(pattern)
		require.NoError(t, err)
		require.True(t, r.literal, pattern)
	}
}

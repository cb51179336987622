package spa_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// inMemory is an authorization server and an API without a network.
type inMemory struct{}

func (inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"id":12345,"name":"the quick brown fox"}`
	if r.Method == http.MethodPost {
		body = `{"access_token":"eyJhbGciOiJSUzI1NiJ9.` + strings.Repeat("x", 680) + `","refresh_token":"the-refresh-token","token_type":"Bearer","expires_in":86400}`
	}
	h := http.Header{"Content-Type": {"application/json"}, "Date": {"Tue, 01 Jan 2030 00:00:00 GMT"}}
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

// BenchmarkAttach is what an attached request costs beside the network, and
// what a ReverseProxy that attaches nothing does.
func BenchmarkAttach(b *testing.B) {
	jwk, err := tokenvault.NewKey()
	require.NoError(b, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(b, err)
	grants, err := vault.New(vault.Config{Sealer: keys, Providers: []*vault.Provider{{
		Name: "as", OAuth2: &oauth2.Config{ClientID: "spa", Endpoint: oauth2.Endpoint{TokenURL: "https://as.example.com/token"}},
		Hosts: []string{"api.example.com"}, Client: &http.Client{Transport: inMemory{}},
	}}})
	require.NoError(b, err)
	api := &url.URL{Scheme: "https", Host: "api.example.com"}
	proxy, err := spa.New(spa.Config{
		Vault: grants, Provider: "as", Endpoints: spa.Endpoints{Authorization: "https://as.example.com/auth"}, Base: inMemory{},
		Origin: vaultOrigin, Origins: []string{appOrigin}, RedirectURIs: []string{redirectURI},
		Resources: []spa.Resource{{Pattern: "/v1/", Upstream: api.String()}},
	})
	require.NoError(b, err)
	login := request("POST", "/oauth2/token", exchangeForm().Encode())
	login.Header = http.Header{"Origin": {appOrigin}, "X-Tokenvault": {"1"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	answer := httptest.NewRecorder()
	proxy.ServeHTTP(answer, login)
	require.Equal(b, http.StatusOK, answer.Code)
	cookie := answer.Result().Cookies()[0]
	for name, h := range map[string]http.Handler{
		"bare ReverseProxy": &httputil.ReverseProxy{Transport: inMemory{}, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(api) }},
		"spa":               proxy,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), "GET", vaultOrigin+"/v1/x", bytes.NewReader(nil))
				if err != nil {
					b.Fatal(err)
				}
				r.RequestURI = "/v1/x"
				r.Header = http.Header{"Origin": {appOrigin}, "X-Tokenvault": {"1"}}
				r.AddCookie(cookie)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}

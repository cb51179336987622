package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// spaRows measure a request that gets its token attached, against a
// ReverseProxy that attaches nothing.
func spaRows() []ratio.Row {
	w := newPage()
	return []ratio.Row{{
		Name: "spa: an attached request",
		Cases: []ratio.Case{
			{Name: "bare ReverseProxy", Run: func(n int) { repeat(n, func() { w.get(w.bare) }) }},
			{Name: "tokenvault/spa", Run: func(n int) { repeat(n, func() { w.get(w.proxy) }) }},
		},
	}}
}

// page is a browser's page with a live session, and two ways to its API.
type page struct {
	bare, proxy http.Handler
	cookie      *http.Cookie
}

const (
	pageOrigin   = "https://app.example.com"
	pageVerifier = "0123456789012345678901234567890123456789012"
)

func newPage() *page {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":12345,"name":"the quick brown fox"}`)
	}))
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"eyJhbGciOiJSUzI1NiJ9.%s","refresh_token":"refresh-token-of-the-bench","token_type":"Bearer","expires_in":86400}`, strings.Repeat("x", 680))
	}))
	upstream := must(url.Parse(api.URL))
	v := must(vault.New(vault.Config{
		Sealer: must(tokenvault.ParseKeyring(must(tokenvault.NewKey()))),
		Providers: []*vault.Provider{{
			Name: "as", OAuth2: &oauth2.Config{ClientID: "spa", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: as.URL + "/token"}},
			Hosts: []string{upstream.Host}, InsecureHTTP: true,
		}},
	}))
	p := &page{
		bare: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }},
		proxy: must(spa.New(spa.Config{
			Vault: v, Provider: "as", Endpoints: spa.Endpoints{Authorization: as.URL + "/auth"}, InsecureHTTP: true,
			Origin: "https://vault.example.com", Origins: []string{pageOrigin}, RedirectURIs: []string{pageOrigin + "/cb"},
			Resources: []spa.Resource{{Pattern: "/v1/", Upstream: api.URL}},
		})),
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"c"}, "code_verifier": {pageVerifier}, "redirect_uri": {pageOrigin + "/cb"}}
	r := p.request("POST", "/oauth2/token", []byte(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	p.proxy.ServeHTTP(answer, r)
	p.cookie = answer.Result().Cookies()[0]
	return p
}

func (p *page) request(method, path string, body []byte) *http.Request {
	r := must(http.NewRequestWithContext(context.Background(), method, "https://vault.example.com"+path, bytes.NewReader(body)))
	r.RequestURI = path
	r.Header.Set("Origin", pageOrigin)
	r.Header.Set("X-Tokenvault", "1")
	if p.cookie != nil {
		r.AddCookie(p.cookie)
	}
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	return r
}

func (p *page) get(h http.Handler) {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, p.request("GET", "/v1/x", nil))
	if answer.Code != http.StatusOK {
		panic(fmt.Sprint("status ", answer.Code, answer.Body.String()))
	}
}

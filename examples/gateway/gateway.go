package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
)

// A gateway takes opaque tokens from clients and gives JWTs to services.
type gateway struct {
	exchanger *phantom.Exchanger
	answers   *jwks.Verifier // of the authorization server's signed answers
	mint      *minter
}

// newGateway is the part to copy. The server signs its introspection answers (RFC
// 9701); those are about a token and not for forwarding, so services get a JWT of
// the gateway's own.
func newGateway(issuer string, mint *minter) (*gateway, error) {
	answers, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{{
		URL: issuer, JWKSURL: issuer + "/jwks", InsecureHTTP: true, // it is on this machine
		Audience: []string{gatewayID}, Types: []string{"token-introspection+jwt"}, MaxAge: time.Minute,
	}}})
	if err != nil {
		return nil, err
	}
	exchanger, err := phantom.New(phantom.Config{
		Endpoint:       issuer + "/token/introspection",
		InsecureHTTP:   true,
		Auth:           clientauth.Basic(gatewayID, gatewaySecret),
		Accept:         []phantom.Format{phantom.Introspection},
		VerifyResponse: answers.Payload,
		Mint:           mint.jwt,
		Scopes:         []string{"orders"},
		Audience:       []string{publicAPI},
		Realm:          "shop",
		MinTTL:         10 * time.Second, // the server stamps no-store on every answer
		MaxTTL:         time.Minute,
		SkipPreflight:  true,
	})
	if err != nil {
		_ = answers.Close()
		return nil, err
	}
	return &gateway{exchanger: exchanger, answers: answers, mint: mint}, nil
}

func (g *gateway) close() {
	_ = g.exchanger.Close()
	_ = g.answers.Close()
}

// handler sends /orders/ and /stock/ to their services, and answers nginx at /auth.
func (g *gateway) handler(orders, stock *url.URL) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/orders/", g.exchanger.Handler(proxyTo(orders)))
	mux.Handle("/stock/", g.exchanger.Handler(proxyTo(stock)))
	mux.Handle("/auth", g.authRequest())
	return mux
}

func proxyTo(service *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(service)
		r.SetXForwarded()
	}}
}

// authRequest is for nginx's auth_request (see nginx.conf), which takes the JWT
// from a response header of the subrequest. It must be reachable by nginx only.
// nginx passes 401 and 403 on and makes any other failure a 500.
func (g *gateway) authRequest() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var token phantom.Token
		g.exchanger.Handler(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			token, _ = phantom.FromContext(inner.Context())
		})).ServeHTTP(w, r)
		if jwt := token.JWT(); jwt != "" { // otherwise the exchanger has answered
			w.Header().Set("Authorization", "Bearer "+jwt)
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

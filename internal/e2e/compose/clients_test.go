package compose

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// The middleware in front of the routers that people use, and within them.
func TestRouters(t *testing.T) {
	t.Parallel()
	issuer := jwkstest.NewIssuer(t)
	config := issuer.Config(audience)
	config.Scopes = nil
	v, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{config}, Client: issuer.Client()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	who := func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwks.FromContext(r.Context())
		_, _ = io.WriteString(w, claims.Subject()+" asks for "+r.URL.Path)
	}

	chiRouter := chi.NewRouter()
	chiRouter.Use(v.Handler)
	chiRouter.Get("/things/{id}", who)

	echoRouter := echo.New()
	echoRouter.Use(echo.WrapMiddleware(v.Handler))
	echoRouter.GET("/things/:id", echo.WrapHandler(http.HandlerFunc(who)))

	gin.SetMode(gin.ReleaseMode)
	ginRouter := gin.New()
	ginRouter.GET("/things/:id", gin.WrapF(who))

	claims := issuer.Claims(audience)
	good := issuer.Sign(claims)
	for name, handler := range map[string]http.Handler{"chi": chiRouter, "echo": echoRouter, "gin": v.Handler(ginRouter)} {
		for token, status := range map[string]int{good: 200, good + "x": 401, "": 401} {
			r := httptest.NewRequest("GET", "/things/17", nil)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, name)
			if status == 200 {
				require.Equal(t, claims["sub"].(string)+" asks for /things/17", w.Body.String(), name)
			} else {
				require.Contains(t, w.Header().Get("WWW-Authenticate"), "Bearer", name)
			}
		}
	}
}

// go-oidc as a relying party, unchanged, over a relay: its client secret is a
// sealed value, and so is the access token that it gets.
func TestGoOIDCOverTheRelay(t *testing.T) {
	t.Parallel()
	const clientSecret = "secret: of the relying party+"
	cert, err := authserver.SelfSigned("127.0.0.1")
	require.NoError(t, err)
	server := testserver.OIDC(t, authserver.Config{
		CertPEM: cert.CertPEM, KeyPEM: cert.KeyPEM,
		Clients: []authserver.Client{{
			"client_id": "rp", "client_secret": clientSecret, "redirect_uris": []string{"https://rp.example.test/cb"},
			"grant_types": []string{"authorization_code"},
		}},
	})
	network := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cert.Pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(network.CloseIdleConnections)
	u, err := url.Parse(server.Issuer)
	require.NoError(t, err)
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	transport, err := relay.New(relay.Config{Sealer: keys, Base: network, Destinations: []relay.Destination{
		{Host: u.Host, Routes: []string{"POST /token"}, Seal: []relay.Field{{At: "$.access_token"}}},
		{Host: u.Host},
	}})
	require.NoError(t, err)
	secret, err := keys.Seal(t.Context(), []byte(clientSecret), tokenvault.Label{Hosts: []string{u.Host}})
	require.NoError(t, err)

	ctx := oidc.ClientContext(context.WithoutCancel(t.Context()), &http.Client{Transport: transport})
	provider, err := oidc.NewProvider(ctx, server.Issuer)
	require.NoError(t, err)
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	config := oauth2.Config{ClientID: "rp", ClientSecret: secret, RedirectURL: "https://rp.example.test/cb", Scopes: []string{"openid", "profile"}, Endpoint: endpoint}
	pkce := oauth2.GenerateVerifier()
	back, err := server.Login(ctx, &http.Client{Transport: network}, config.AuthCodeURL("s", oauth2.S256ChallengeOption(pkce), oidc.Nonce("n")), "ada")
	require.NoError(t, err)
	token, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(pkce))
	require.NoError(t, err)
	require.Contains(t, token.AccessToken, tokenvault.Prefix)
	raw, _ := token.Extra("id_token").(string)
	idToken, err := provider.Verifier(&oidc.Config{ClientID: "rp"}).Verify(ctx, raw)
	require.NoError(t, err)
	require.Equal(t, "ada", idToken.Subject)
	require.Equal(t, "n", idToken.Nonce)
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	require.NoError(t, err)
	require.Equal(t, "ada", info.Subject)
}

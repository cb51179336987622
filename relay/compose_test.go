package relay

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

const clientSecret = "p%ss+w/rd é:&= with form characters"

// authorization is a token endpoint that knows the client in either style and
// rotates refresh tokens; without "offline" there is none.
type authorization struct{ n int }

func (a *authorization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api" {
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer access-token-number-%d", a.n) {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return
	}
	id, secret, basic := r.BasicAuth()
	if basic {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	good := r.FormValue("grant_type") == "authorization_code" && r.FormValue("code") == "the-authorization-code" ||
		r.FormValue("grant_type") == "refresh_token" && r.FormValue("refresh_token") == fmt.Sprintf("refresh-token-number-%d", a.n)
	w.Header().Set("Content-Type", "application/json")
	if id != "client" || secret != clientSecret || !good {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, secret+r.FormValue("refresh_token"))
		return
	}
	a.n++
	answer := map[string]any{"access_token": fmt.Sprintf("access-token-number-%d", a.n), "token_type": "Bearer", "expires_in": 1, "id_token": "id-token-of-alice"}
	if r.FormValue("grant_type") == "refresh_token" || r.FormValue("scope") != "online" {
		answer["refresh_token"] = fmt.Sprintf("refresh-token-number-%d", a.n)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func oauthRig(t *testing.T) *rig {
	return newRigWith(t, rigConfig{answer: new(authorization).ServeHTTP, config: Config{Destinations: []Destination{{
		Host: host, Routes: []string{"POST /token"}, Open: []string{"header:Authorization", "form:client_secret", "form:refresh_token", "form:code"},
		Seal: []Field{{At: "$.access_token"}, {At: "$.refresh_token"}, {At: "$.id_token"}}, RequireSubject: false,
	}, {Host: host, Routes: []string{"/api"}}}}})
}

// golang.org/x/oauth2, unchanged, never holds a plaintext.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	for name, style := range map[string]oauth2.AuthStyle{"Basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := oauthRig(t)
			config := &oauth2.Config{ClientID: "client", ClientSecret: r.seal(clientSecret), Endpoint: oauth2.Endpoint{TokenURL: "https://" + host + "/token", AuthStyle: style}}
			ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: r.relay.As("issuer", "alice")})
			code := r.sealAs("the-authorization-code", tokenvault.Label{Hosts: []string{host}, Subject: joinSubject([]string{"issuer", "alice"})})
			token, err := config.Exchange(ctx, code)
			require.NoError(t, err)
			held := fmt.Sprintf("%+v %v %v", token, token.Extra("id_token"), token.Extra("access_token"))
			source := config.TokenSource(ctx, token)
			token.Expiry = time.Now().Add(-time.Hour)
			refreshed, err := source.Token()
			require.NoError(t, err)
			require.NotEqual(t, token.RefreshToken, refreshed.RefreshToken)
			held += fmt.Sprintf("%+v", refreshed)
			leaktest.None(t, []byte(held), "access-token-number-1", "refresh-token-number-1", "access-token-number-2", "refresh-token-number-2", "id-token-of-alice", clientSecret)
			require.GreaterOrEqual(t, len(sealedIn(held)), 7, "every credential, sealed")
			refreshed.Expiry = time.Now().Add(time.Hour)
			client := config.Client(ctx, refreshed)
			resp, err := client.Get("https://" + host + "/api")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)

			// what belongs to alice is not bob's
			bob := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: r.relay.As("issuer", "bob")})
			before := len(r.requests())
			_, err = config.TokenSource(bob, &oauth2.Token{RefreshToken: refreshed.RefreshToken}).Token()
			require.ErrorIs(t, err, tokenvault.ErrLabel)
			require.Len(t, r.requests(), before)

			// an error answer holds no credential either
			_, err = config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
			var retrieve *oauth2.RetrieveError
			require.ErrorAs(t, err, &retrieve)
			leaktest.None(t, []byte(err.Error()+string(retrieve.Body)), clientSecret, "refresh-token-number-1")
		})
	}
}

func TestOAuth2WithoutRefreshToken(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"access_token":"x"}`, `{"access_token":"x","refresh_token":null}`, `{"access_token":"x","refresh_token":""}`} {
		r := oauthRig(t)
		r.answer = answering(200, "application/json", answer)
		config := &oauth2.Config{ClientID: "client", ClientSecret: r.seal(clientSecret), Endpoint: oauth2.Endpoint{TokenURL: "https://" + host + "/token", AuthStyle: oauth2.AuthStyleInHeader}}
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, r.client)
		token, err := config.Exchange(ctx, "code")
		require.NoError(t, err)
		require.Empty(t, token.RefreshToken)
		require.Len(t, sealedIn(token.AccessToken), 1)
		got, err := base64.StdEncoding.DecodeString(r.only().Header.Get("Authorization")[len("Basic "):])
		require.NoError(t, err)
		require.Equal(t, "client:"+url.QueryEscape(clientSecret), string(got))
	}
}

// httputil.ReverseProxy with Rewrite and SetURL, in front of the third party.
func TestReverseProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"header:Authorization", "json:$.k"}})
	r.answer = func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Trailer", "X-Trailer")
		_, _ = io.WriteString(w, "you sent "+req.Header.Get("Authorization"))
		w.Header().Set("X-Trailer", "t")
	}
	target, err := url.Parse("https://" + host + "/base")
	require.NoError(t, err)
	front := httptest.NewServer(&httputil.ReverseProxy{
		Transport: r.relay, ErrorLog: quietLog,
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) },
	})
	t.Cleanup(front.Close)
	sealed := r.seal(secret)
	req := newRequest(t, "POST", front.URL+"/x", "application/json", `{"k":"`+sealed+`"}`)
	req.Header.Set("Authorization", "Bearer "+sealed)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "you sent Bearer "+sealed, string(body))
	require.Equal(t, "t", resp.Trailer.Get("X-Trailer"))
	got := r.only()
	require.Equal(t, "/base/x", got.URI)
	require.Equal(t, host, got.Host)
	require.Equal(t, `{"k":"`+secret+`"}`, got.Body)

	req = newRequest(t, "POST", front.URL+"/x", "application/json", `{"comment":"`+sealed+`"}`)
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	require.Len(t, r.requests(), 1)
	http.DefaultClient.CloseIdleConnections()
}

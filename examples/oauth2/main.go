// Command oauth2 logs somebody in with golang.org/x/oauth2, unchanged, at a
// real authorization server. Every credential that the program holds is sealed:
// the client secret, the access token, the refresh token. It needs Node.js for
// the authorization server.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"golang.org/x/oauth2"
)

const (
	clientID    = "app"
	redirectURL = "https://app.example.test/callback"
	// Characters that form-encoding changes (RFC 6749 section 2.3.1).
	clientSecret = "a secret: with + signs/and % signs"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oauth2:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	for _, style := range []struct {
		name string
		auth oauth2.AuthStyle
	}{{"client_secret_basic", oauth2.AuthStyleInHeader}, {"client_secret_post", oauth2.AuthStyleInParams}} {
		fmt.Fprintf(out, "== %s\n", style.name)
		if err := login(ctx, out, style.name, style.auth); err != nil {
			return fmt.Errorf("%s: %w", style.name, err)
		}
	}
	return nil
}

// login goes once through the life of a grant.
func login(ctx context.Context, out io.Writer, method string, style oauth2.AuthStyle) error {
	server, network, err := start(ctx, method)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	config, client, err := sealedClient(ctx, server.Issuer, style, network)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "client secret   %s\n", short(config.ClientSecret))

	// From here on it is what the documentation of x/oauth2 shows.
	ctx = context.WithValue(relay.WithSubject(ctx, "ada"), oauth2.HTTPClient, client)
	verifier := oauth2.GenerateVerifier()
	address := config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "consent"))
	back, err := server.Login(ctx, &http.Client{Transport: network}, address, "ada") // the browser's part
	if err != nil {
		return err
	}
	token, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return err
	}
	if err := show(out, "after login", token); err != nil {
		return err
	}
	if err := callAPI(ctx, out, config, token, server.Issuer+"/me"); err != nil {
		return err
	}

	token.Expiry = time.Now().Add(-time.Minute) // as if an hour had passed
	renewed, err := config.TokenSource(ctx, token).Token()
	if err != nil {
		return err
	}
	if renewed.AccessToken == token.AccessToken || renewed.RefreshToken == token.RefreshToken {
		return errors.New("the refresh brought nothing new")
	}
	if err := show(out, "after refresh", renewed); err != nil {
		return err
	}
	return callAPI(ctx, out, config, renewed, server.Issuer+"/me")
}

// start runs the authorization server, and returns a way to reach it.
func start(ctx context.Context, method string) (*authserver.Server, http.RoundTripper, error) {
	cert, err := authserver.SelfSigned("127.0.0.1")
	if err != nil {
		return nil, nil, err
	}
	server, err := authserver.Start(ctx, authserver.Config{
		CertPEM: cert.CertPEM, KeyPEM: cert.KeyPEM,
		Clients: []authserver.Client{{
			"client_id": clientID, "client_secret": clientSecret, "token_endpoint_auth_method": method,
			"redirect_uris": []string{redirectURL}, "grant_types": []string{"authorization_code", "refresh_token"},
		}},
	})
	return server, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cert.Pool, MinVersion: tls.VersionTLS12}}, err
}

// sealedClient is the application's configuration: an oauth2.Config that holds
// a sealed secret, and an http.Client that opens it where it belongs.
func sealedClient(ctx context.Context, issuer string, style oauth2.AuthStyle, network http.RoundTripper) (*oauth2.Config, *http.Client, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, nil, err
	}
	jwk, err := tokenvault.NewKey()
	if err != nil {
		return nil, nil, err
	}
	keys, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		return nil, nil, err
	}
	secret, err := keys.Seal(ctx, []byte(clientSecret), tokenvault.Label{Hosts: []string{u.Host}})
	if err != nil {
		return nil, nil, err
	}
	transport, err := relay.New(relay.Config{
		Sealer: keys,
		Base:   network,
		Destinations: []relay.Destination{
			{
				Host: u.Host, Routes: []string{"POST /token"},
				Open: []string{"header:Authorization", "form:client_secret", "form:refresh_token"},
				Seal: []relay.Field{{At: "$.access_token"}, {At: "$.refresh_token"}},
			},
			{Host: u.Host, Routes: []string{"GET /me"}},
		},
	})
	if err != nil {
		return nil, nil, err
	}
	return &oauth2.Config{
		ClientID: clientID, ClientSecret: secret, RedirectURL: redirectURL,
		Scopes:   []string{"openid", "profile", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/auth", TokenURL: issuer + "/token", AuthStyle: style},
	}, &http.Client{Transport: transport}, nil
}

// callAPI asks who is logged in, with oauth2.Transport over the relay.
func callAPI(ctx context.Context, out io.Writer, config *oauth2.Config, token *oauth2.Token, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := config.Client(ctx, token).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	var who struct{ Sub, Name string }
	if err := json.NewDecoder(res.Body).Decode(&who); err != nil || res.StatusCode != http.StatusOK || who.Sub != "ada" {
		return fmt.Errorf("the API answers %s", res.Status)
	}
	fmt.Fprintf(out, "the API says    hello, %s\n", who.Name)
	return nil
}

func show(out io.Writer, when string, t *oauth2.Token) error {
	fmt.Fprintf(out, "%s\n  access token  %s\n  refresh token %s\n", when, short(t.AccessToken), short(t.RefreshToken))
	for _, v := range []string{t.AccessToken, t.RefreshToken} {
		if !strings.HasPrefix(v, tokenvault.Prefix) {
			return errors.New("a token is held in the clear")
		}
	}
	return nil
}

func short(s string) string {
	if len(s) <= 60 {
		return s
	}
	return s[:40] + "…" + s[len(s)-12:]
}

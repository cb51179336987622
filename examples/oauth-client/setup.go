package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"
	_ "modernc.org/sqlite"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// What the service is known by at the authorization server.
const (
	clientID     = "oauth-client"
	clientSecret = "only the one who registers the client sees this"
	callbackPath = "/callback"
)

func registration(base string) authserver.Client {
	return authserver.Client{
		"client_id": clientID, "client_secret": clientSecret, "client_name": "Example service",
		"redirect_uris": []string{base + callbackPath}, "grant_types": []string{"authorization_code", "refresh_token"},
	}
}

// settings survive a restart.
type settings struct {
	dir    string // of grants.db and keys.json
	issuer string // the authorization server
	base   string // this service, as browsers see it
}

// newApp makes the app from what is on disk.
func newApp(ctx context.Context, s settings) (*app, error) {
	keys, err := loadKeys(filepath.Join(s.dir, "keys.json"))
	if err != nil {
		return nil, err
	}
	client, err := oauthClient(ctx, s, keys)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(s.dir, "grants.db")))
	if err != nil {
		return nil, err
	}
	store := sqlstore.NewStore(db, sqlstore.SQLite)
	if err := store.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	provider, err := client.provider(s, keys)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	grants, err := vault.New(vault.Config{Sealer: keys, Store: store, Providers: []*vault.Provider{provider}})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	a := &app{settings: s, keys: keys, oauth: client.Config, grants: grants, db: db, since: time.Now()}
	a.handler = a.routes()
	return a, nil
}

// loadKeys makes the keys at the first start. A real service reads them from a
// secret manager (tokenvault.OpenKeyring), never from beside its database.
func loadKeys(path string) (*tokenvault.Keyring, error) {
	jwk, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if jwk, err = tokenvault.NewKey(); err != nil {
			return nil, err
		}
		err = os.WriteFile(path, jwk, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return tokenvault.ParseKeyring(jwk)
}

// client is the configuration of x/oauth2, with a sealed secret in it.
type client struct {
	*oauth2.Config
	host string // of the authorization server
}

func oauthClient(ctx context.Context, s settings, keys *tokenvault.Keyring) (client, error) {
	u, err := url.Parse(s.issuer)
	if err != nil {
		return client{}, err
	}
	// An operator does this once and puts the result into the configuration.
	sealed, err := keys.Seal(ctx, []byte(clientSecret), tokenvault.Label{Hosts: []string{u.Host}})
	return client{&oauth2.Config{
		ClientID: clientID, ClientSecret: sealed, RedirectURL: s.base + callbackPath,
		Scopes:   []string{"openid", "offline_access", "profile", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: s.issuer + "/auth", TokenURL: s.issuer + "/token"},
	}, u.Host}, err
}

// provider speaks to the authorization server through a relay, which alone
// opens the client secret. The server of this example is on loopback and
// without TLS; everything else is https.
func (c client) provider(s settings, keys *tokenvault.Keyring) (*vault.Provider, error) {
	transport, err := relay.New(relay.Config{Sealer: keys, Destinations: []relay.Destination{{
		Host: c.host, Routes: []string{"POST /token", "POST /token/revocation"}, InsecureHTTP: true,
	}}})
	if err != nil {
		return nil, err
	}
	return &vault.Provider{
		Name: "example", OAuth2: c.Config, RevocationURL: s.issuer + "/token/revocation",
		Hosts: []string{c.host}, Client: &http.Client{Transport: transport}, InsecureHTTP: true,
	}, nil
}

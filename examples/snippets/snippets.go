// Package snippets holds the code that the documents quote, so that it
// compiles. Each part between "snippet: name" and "end" stands in a document
// under the same name; the test compares them.
package snippets

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"os"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"golang.org/x/oauth2"
)

func Seal(ctx context.Context, keyringFile string) error {
	// snippet: seal
	file, err := os.ReadFile(keyringFile) // a JWK Set; tokenvault.NewKey makes a key
	if err != nil {
		return err
	}
	keys, err := tokenvault.ParseKeyring(file)
	if err != nil {
		return err
	}
	sealed, err := keys.Seal(ctx, []byte("s3cret"), tokenvault.Label{
		Hosts:   []string{"api.example.com"}, // who may receive it
		Subject: "user-17",                   // whose it is
	})
	if err != nil {
		return err
	}
	slog.Info("keep this anywhere", "sealed", sealed) // tv1.eyJhbGciOiJBMjU2S1ci…
	// end
	return nil
}

func ThroughRelay(ctx context.Context, keys *tokenvault.Keyring, sealed string) error {
	// snippet: relay
	transport, err := relay.New(relay.Config{
		Sealer: keys,
		Destinations: []relay.Destination{{
			Host: "api.example.com",
			Open: []string{"header:Authorization", "json:$.password"},
			Seal: []relay.Field{{At: "$.access_token"}},
		}},
	})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport} // the one line

	req, err := http.NewRequestWithContext(relay.WithSubject(ctx, "user-17"), "GET", "https://api.example.com/me", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+sealed) // opened on the wire
	res, err := client.Do(req)
	// end
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func Grants(ctx context.Context, keys *tokenvault.Keyring, db *sql.DB, config *oauth2.Config, code, pkce string) error {
	// snippet: vault
	store := sqlstore.NewStore(db, sqlstore.SQLite)
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	v, err := vault.New(vault.Config{Sealer: keys, Store: store, Providers: []*vault.Provider{{
		Name: "example", OAuth2: config, Hosts: []string{"api.example.com"},
	}}})
	if err != nil {
		return err
	}
	// After the redirect: the code becomes a grant, sealed at rest.
	if err := v.Exchange(ctx, "grant-1", "user-17", "example", code, oauth2.VerifierOption(pkce)); err != nil {
		return err
	}
	// From now on: an http.Client that is always logged in, and refreshes once for the whole fleet.
	client := &http.Client{Transport: v.Transport("grant-1", "user-17", nil)}
	// end
	client.CloseIdleConnections()
	return nil
}

func Proxy(v *vault.Vault) error {
	// snippet: spa
	p, err := spa.New(spa.Config{
		Vault: v, Provider: "example",
		Issuer:       "https://login.example.com",
		Origin:       "https://vault.example.com",
		Origins:      []string{"https://app.example.com"},
		RedirectURIs: []string{"https://app.example.com/callback"},
		Resources:    []spa.Resource{{Pattern: "/v1/", Upstream: "https://api.example.com"}},
	})
	if err != nil {
		return err
	}
	http.Handle("vault.example.com/", p)
	// end
	return nil
}

func ResourceServer(api http.Handler) error {
	// snippet: jwks
	verifier, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{{
		URL:      "https://login.example.com",
		Audience: []string{"https://api.example.com"},
	}}})
	if err != nil {
		return err
	}
	defer verifier.Close()
	http.Handle("/", verifier.Handler(api)) // jwks.FromContext(r.Context()) has the claims
	// end
	return nil
}

func Gateway(api http.Handler, verifier *jwks.Verifier, id, secret string) error {
	// snippet: phantom
	exchanger, err := phantom.New(phantom.Config{
		Endpoint: "https://login.example.com/introspect",
		Auth:     clientauth.Basic(id, secret),
		PassJWT:  true, Verify: verifier.Check,
	})
	if err != nil {
		return err
	}
	defer exchanger.Close()
	http.Handle("/", exchanger.Handler(verifier.Handler(api)))
	// end
	return nil
}

func QuietLogs() error {
	// snippet: redact
	r, err := redact.New(redact.Default())
	if err != nil {
		return err
	}
	slog.SetDefault(slog.New(r.Log(slog.NewJSONHandler(os.Stderr, nil))))
	slog.Info("answer", "access_token", "s3cret", "status", 200) // "access_token":"REDACTED"
	// end
	return nil
}

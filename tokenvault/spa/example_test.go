package spa_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func ExampleNew() {
	jwk, err := tokenvault.NewKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := vault.New(vault.Config{Sealer: keys, Providers: []*vault.Provider{{
		Name: "example", Hosts: []string{"api.example.com"},
		OAuth2: &oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: "https://login.example.com/token"}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := spa.New(spa.Config{
		Vault: v, Provider: "example",
		Endpoints:    spa.Endpoints{Token: "https://login.example.com/token"},
		Origin:       "https://vault.example.com",
		Origins:      []string{"https://app.example.com"},
		RedirectURIs: []string{"https://app.example.com/callback"},
		Resources:    []spa.Resource{{Pattern: "/v1/", Upstream: "https://api.example.com"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/me", nil)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("X-Tokenvault", "1") // as the service worker does
	fmt.Println(p.Explain(r))
	r.Header.Set("Origin", "https://evil.example.com")
	fmt.Println(p.Explain(r))
	// Output:
	// GET matches resource /v1/: the session's token is attached for api.example.com
	// GET matches resource /v1/, but is refused: this origin may not call the vault
}

func ExampleNewMemorySessions() {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	sessions := spa.NewMemorySessions(func() time.Time { return now })
	ctx := context.Background()
	fmt.Println(sessions.Add(ctx, "key", []byte("value"), time.Minute))
	fmt.Println(sessions.Add(ctx, "key", []byte("another"), time.Minute))
	now = now.Add(time.Minute)
	_, err := sessions.Get(ctx, "key")
	fmt.Println(err)
	// Output:
	// true <nil>
	// false <nil>
	// file does not exist
}

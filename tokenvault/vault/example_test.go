package vault_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func Example() {
	ctx := context.Background()
	api := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("the API received:", r.Header.Get("Authorization"))
	}))
	defer api.Close()

	v, err := vault.New(vault.Config{
		Sealer: exampleKeyring(),
		Providers: []*vault.Provider{{
			Name: "example",
			OAuth2: &oauth2.Config{
				ClientID: "client", ClientSecret: "secret",
				Endpoint: oauth2.Endpoint{TokenURL: "https://login.example.com/token"},
			},
			Hosts: []string{strings.TrimPrefix(api.URL, "https://")},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close(ctx)

	token := &oauth2.Token{AccessToken: "opaque", RefreshToken: "rotating", Expiry: time.Now().Add(time.Hour)}
	if err := v.Put(ctx, "calendar", "alice", "example", token); err != nil {
		log.Fatal(err)
	}

	client := &http.Client{Transport: v.Transport("calendar", "alice", api.Client().Transport)}
	resp, err := client.Get(api.URL)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()

	sealed, err := v.TokenSource(ctx, "calendar", "alice").Token()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the application sees:", sealed.AccessToken[:4]+"…")
	// Output:
	// the API received: Bearer opaque
	// the application sees: tv1.…
}

func ExampleNew() {
	_, err := vault.New(vault.Config{
		Sealer: exampleKeyring(),
		Providers: []*vault.Provider{{
			Name:   "example",
			OAuth2: &oauth2.Config{ClientID: "client", Endpoint: oauth2.Endpoint{TokenURL: "http://login.example.com/token"}},
			Hosts:  []string{"api.example.com"},
		}},
	})
	fmt.Println(err)
	// Output: vault: Config.Providers[0].OAuth2.Endpoint.TokenURL is http; https, or InsecureHTTP
}

func ExampleNewMemoryStore() {
	store := vault.NewMemoryStore()
	ok, err := store.Swap(context.Background(), vault.Row{ID: "a", Owner: "alice", State: vault.Active})
	fmt.Println(ok, err)
	ok, err = store.Swap(context.Background(), vault.Row{ID: "a", Owner: "bob", State: vault.Active})
	fmt.Println(ok, err)
	// Output:
	// true <nil>
	// false <nil>
}

func exampleKeyring() *tokenvault.Keyring {
	jwk, err := tokenvault.NewKey()
	if err != nil {
		log.Fatal(err)
	}
	ring, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		log.Fatal(err)
	}
	return ring
}

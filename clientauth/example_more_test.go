package clientauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
)

func ExamplePost() {
	form := url.Values{"token": {"abc"}}
	auth := clientauth.Post("gateway", "secret")
	if err := auth(context.Background(), "https://as.example/introspect", http.Header{}, form); err != nil {
		fmt.Println(err)
	}
	fmt.Println(form.Encode())
	// Output: client_id=gateway&client_secret=secret&token=abc
}

func ExampleBearer() {
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "of-the-gateway"}) // clientcredentials.Config makes a real one
	h := http.Header{}
	auth := clientauth.Bearer(source)
	if err := auth(context.Background(), "https://as.example/introspect", h, url.Values{"token": {"abc"}}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(h.Get("Authorization"))
	// Output: Bearer of-the-gateway
}

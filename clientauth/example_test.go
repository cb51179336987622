package clientauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
)

func ExampleBasic() {
	form := url.Values{"token": {"abc"}}
	h := http.Header{}
	auth := clientauth.Basic("my app", "p:w")
	if err := auth(context.Background(), "https://as.example/introspect", h, form); err != nil {
		fmt.Println(err)
	}
	fmt.Println(h.Get("Authorization"))
	// Output: Basic bXkrYXBwOnAlM0F3
}

func ExampleNone() {
	form := url.Values{"token": {"abc"}}
	auth := clientauth.None("gateway") // the http.Client presents the certificate
	if err := auth(context.Background(), "https://as.example/introspect", http.Header{}, form); err != nil {
		fmt.Println(err)
	}
	fmt.Println(form.Encode())
	// Output: client_id=gateway&token=abc
}

func ExamplePrivateKeyJWT() {
	_, err := clientauth.PrivateKeyJWT("app", []byte(`{"kty":"oct","k":"c2VjcmV0"}`), "https://as.example")
	fmt.Println(err)
	// Output: clientauth: private_key_jwt: the key is not a private RSA, EC or Ed25519 key
}

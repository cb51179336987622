package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

// exampleTB stands in for the *testing.T that an Example does not have.
type exampleTB struct{}

func (exampleTB) Helper()                           {}
func (exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func ExampleNew() {
	iss := jwkstest.NewIssuer(exampleTB{}) // an issuer for the example, at https://issuer.test
	verifier, err := jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{{
			URL:      "https://issuer.test", // its keys are discovered
			Audience: []string{"https://api.example"},
		}},
		Client: iss.Client(), // leave it out to reach a real one
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwks.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, "orders of", claims.Subject(), "at", claims.Issuer())
	})
	handler := verifier.Handler(verifier.Require("read")(orders))

	for _, token := range []string{iss.Sign(iss.Claims("https://api.example")), iss.Sign(iss.Claims("https://other.example"))} {
		r := httptest.NewRequest("GET", "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body, w.Header().Get("WWW-Authenticate"), "\n")
	}
	// Output:
	// 200 orders of user-1 at https://issuer.test
	//
	// 401 Unauthorized
	// Bearer error="invalid_token"
}

func ExampleVerifier_Verify() {
	iss := jwkstest.NewIssuer(exampleTB{})
	verifier, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{iss.Config("https://api.example")}, Client: iss.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	claims := iss.Claims("https://api.example")
	claims["exp"] = 1
	_, err = verifier.Verify(context.Background(), iss.Sign(claims))
	fmt.Println(errors.Is(err, jwks.ErrExpired), err)
	// Output: true jwks: token expired
}

package jwkstest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

// plain is a testing.TB for a program; a test passes its t.
type plain struct{}

func (plain) Helper()                           {}
func (plain) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func ExampleNewIssuer() {
	issuer := jwkstest.NewIssuer(plain{}, "EdDSA")
	verifier, err := jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{issuer.Config("https://api.example")}, Client: issuer.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	fmt.Println(verifier.Check(context.Background(), issuer.Sign(issuer.Claims("https://api.example"))))
	other := verifier.Check(context.Background(), issuer.Sign(issuer.Claims("https://other.example")))
	fmt.Println(errors.Is(other, jwks.ErrAudience), issuer.Fetches())
	// Output:
	// <nil>
	// true 1
}

func ExampleNewKey() {
	issuer := jwkstest.NewIssuer(plain{})
	stranger := jwkstest.NewKey(plain{}, "ES256", "of-nobody")
	token := issuer.SignWith(stranger, nil, issuer.Claims("https://api.example"))

	verifier, err := jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{issuer.Config("https://api.example")}, Client: issuer.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	fmt.Println(verifier.Check(context.Background(), token) != nil)
	// Output: true
}

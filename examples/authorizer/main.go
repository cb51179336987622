// Command authorizer is a request authoriser for an API gateway, without any
// cloud SDK: it turns an event with a bearer token or a cookie into a policy
// that allows the call, or into the gateway's "Unauthorized". It runs a few
// events through the handler, prints what comes back, and exits with 0 only if
// that was right.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

const (
	audience = "https://orders.example"
	arn      = "arn:aws:execute-api:eu-central-1:123456789012:abcdef/prod/GET/orders"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "authorizer:", err)
		os.Exit(1)
	}
}

// A real one has its issuer's URL here and no Client.
func newAuthorizer(iss *jwkstest.Issuer) (*authorizer, error) {
	v, err := jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{{URL: iss.URL, Audience: []string{audience}}}, // keys by discovery
		Client:  iss.Client(),
	})
	return &authorizer{verifier: v}, err
}

func run(ctx context.Context, out io.Writer) error {
	iss := jwkstest.NewIssuer(fatal{})
	a, err := newAuthorizer(iss)
	if err != nil {
		return err
	}
	defer func() { _ = a.verifier.Close() }()
	good := iss.Sign(iss.Claims(audience))
	for _, step := range []struct {
		what    string
		method  string
		headers map[string][]string
		allowed bool
	}{
		{"a token in the header", "GET", headers("authorization", "Bearer "+good), true},
		{"the token in a cookie", "GET", headers("cookie", "theme=dark; authorization="+good), true},
		{"no token", "GET", nil, false},
		{"a token for another API", "GET", headers("Authorization", "Bearer "+iss.Sign(iss.Claims("https://other.example"))), false},
		{"a token with a forged signature", "GET", headers("Authorization", "Bearer "+good[:len(good)-8]+"AAAAAAAA"), false},
		{"two tokens", "GET", map[string][]string{"Authorization": {"Bearer " + good, "Bearer " + good}}, false},
		{"a cookie sent by another site", "POST", map[string][]string{"Cookie": {"authorization=" + good}, "Sec-Fetch-Site": {"cross-site"}}, false},
	} {
		res, err := a.handle(ctx, Event{MethodARN: arn, HTTPMethod: step.method, Path: "/orders", MultiValueHeaders: step.headers})
		if (err == nil) != step.allowed || (err == nil && res.Context["jwt"] != good) {
			return fmt.Errorf("%s: allowed %v: %w", step.what, err == nil, err)
		}
		if err := show(out, step.what, res, err); err != nil {
			return err
		}
	}
	return nil
}

func headers(name, value string) map[string][]string { return map[string][]string{name: {value}} }

// show prints what the gateway gets, but not the token.
func show(out io.Writer, what string, res Response, refused error) error {
	if refused != nil {
		_, err := fmt.Fprintf(out, "%s: %v (%d)\n", what, refused, http.StatusUnauthorized)
		return err
	}
	text, err := json.Marshal(res)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", what, strings.ReplaceAll(string(text), res.Context["jwt"], "eyJ..."))
	return err
}

// fatal is jwkstest's view of a program that is no test.
type fatal struct{}

func (fatal) Helper()                           {}
func (fatal) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Command resource-server is an API that accepts the access tokens of two
// issuers: one that signs with EdDSA as RFC 9068 has it, and one that signs
// with RS256, sends "typ":"JWT" and rotates its keys. It calls itself, well and
// badly, rotates keys and stops an issuer, and exits with 0 only if every
// answer was as it should be.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
)

const audience = "https://orders.example"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "resource-server:", err)
		os.Exit(1)
	}
}

// newVerifier is the part to copy.
func newVerifier(mobile, partner string, client *http.Client) (*jwks.Verifier, error) {
	return jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{
			{
				URL:        mobile,
				JWKSURL:    mobile + "/.well-known/openid-configuration/jwks",
				Audience:   []string{audience},
				Algorithms: []string{"EdDSA"},
				Types:      []string{"at+jwt"},
			},
			{
				URL:        partner,
				JWKSURL:    partner + "/v1/oauth/jwks",
				Audience:   []string{audience},
				Algorithms: []string{"RS256"},
				Types:      []string{"JWT"},
				Scopes:     []string{"orders:read"}, // partners never write
			},
		},
		Client:   client,
		Cookie:   "authorization",
		Realm:    "orders",
		Resource: audience,
	})
}

// newAPI protects two routes, each with its scope, behind one verifier.
func newAPI(v *jwks.Verifier) http.Handler {
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := jwks.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "the orders of %s at %s", c.Subject(), c.Issuer())
	})
	api := http.NewServeMux()
	api.Handle("GET /orders", v.Require("orders:read")(orders))
	api.Handle("POST /orders", v.Require("orders:write")(orders))

	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-protected-resource", v.Metadata())
	mux.Handle("/", v.Handler(api))
	return mux
}

func run(ctx context.Context, out io.Writer) error {
	iss := startIssuers()
	defer iss.close()
	v, err := newVerifier(iss.mobile.URL, iss.partner.URL, iss.client())
	if err != nil {
		return err
	}
	defer func() { _ = v.Close() }()
	api := httptest.NewServer(newAPI(v))
	defer api.Close()
	s := &story{ctx: ctx, out: out, api: api.URL, issuers: iss}
	s.twoIssuers()
	s.refusals()
	s.cookie()
	s.rotation()
	s.outage()
	return s.err
}

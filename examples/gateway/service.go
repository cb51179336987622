package main

import (
	"fmt"
	"net/http"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
)

// newService is a micro-service: it believes the gateway's JWTs and nothing else.
// This one is careless and sends its request headers back, too.
func newService(name string, gatewayKeys []byte) (http.Handler, *jwks.Verifier, error) {
	verifier, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{{
		URL: gatewayIssuer, Keys: gatewayKeys, Audience: []string{servicesAPI},
	}}})
	if err != nil {
		return nil, nil, err
	}
	work := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwks.FromContext(r.Context())
		for name, values := range r.Header {
			w.Header()["X-Echo-"+name] = values
		}
		_, _ = fmt.Fprintf(w, "%s for %s", name, claims.Subject())
	})
	return verifier.Handler(verifier.Require("orders")(work)), verifier, nil
}

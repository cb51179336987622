package snippets

import (
	"context"
	"net/http"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

func FromGolangJWT(mux *http.ServeMux, api http.Handler) error {
	// snippet: golangjwt
	verifier, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{{
		URL:      "https://login.example.com",
		Audience: []string{"https://api.example.com"},
	}}})
	if err != nil {
		return err
	}
	mux.Handle("/", verifier.Handler(api))
	// end
	return nil
}

func FromGoOIDC(ctx context.Context, verifier *jwks.Verifier, r *http.Request) error {
	// snippet: gooidc
	claims, err := verifier.VerifyRequest(r)
	if err != nil {
		return err
	}
	var own struct {
		Tenant string `json:"tenant"`
	}
	if err := claims.Decode(&own); err != nil {
		return err
	}
	// end
	_ = ctx
	return nil
}

func FromHostedRelay(ctx context.Context, keys *tokenvault.Keyring, sealedPassword string) (*http.Response, error) {
	// snippet: hostedrelay
	transport, err := relay.New(relay.Config{
		Sealer: keys,
		Destinations: []relay.Destination{{
			Host: "api.example.com",
			Open: []string{"json:$.password"},
			Seal: []relay.Field{{At: "$.accessToken"}},
		}},
	})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport}
	body := strings.NewReader(`{"password":"` + sealedPassword + `"}`)
	req, err := http.NewRequestWithContext(ctx, "POST", "https://api.example.com/api/fetchToken", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return client.Do(req)
	// end
}

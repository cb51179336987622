package peers

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

const audience = "https://api.example"

// A verifier is one library, set up as its documentation shows: keys from the
// issuer's JWKS URL, and issuer, audience and algorithms given. audience "" leaves
// that setting out.
type verifier struct {
	name    string
	fetches bool // its keys come from the JWKS URL by the library's own means
	start   func(ctx context.Context, iss *jwkstest.Issuer, audience string) (func(token string) error, error)
}

var verifiers = []verifier{
	{"tokenvault/jwks", true, startOurs},
	{"golang-jwt + keyfunc", true, startGolangJWT},
	{"go-oidc", true, startGoOIDC},
	{"lestrrat jwx", true, startJWX},
	{"go-jose", false, startGoJOSE},
}

func names() []string {
	var out []string
	for _, v := range verifiers {
		out = append(out, v.name)
	}
	return out
}

// running is v's judgement of iss's tokens until t ends.
func (v verifier) running(t *testing.T, iss *jwkstest.Issuer) func(token string) error {
	t.Helper()
	check, err := v.start(t.Context(), iss, audience)
	require.NoError(t, err, v.name)
	return check
}

var algorithms = []string{"ES256", "RS256", "RS512", "EdDSA"}

func startOurs(ctx context.Context, iss *jwkstest.Issuer, audience string) (func(string) error, error) {
	cfg := iss.Config()
	if audience != "" {
		cfg.Audience = []string{audience}
	}
	v, err := jwks.New(jwks.Config{Client: iss.Client(), Issuers: []jwks.Issuer{cfg}})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = v.Close() })
	return func(token string) error { return v.Check(ctx, token) }, nil
}

func startGolangJWT(ctx context.Context, iss *jwkstest.Issuer, audience string) (func(string) error, error) {
	return golangJWT(ctx, iss.Client(), iss.URL, audience, iss.URL+"/jwks")
}

func golangJWT(ctx context.Context, client *http.Client, issuer, audience string, urls ...string) (func(string) error, error) {
	quiet := func(string) func(context.Context, error) { return func(context.Context, error) {} }
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, urls, keyfunc.Override{Client: client, RefreshErrorHandlerFunc: quiet})
	if err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(algorithms), jwt.WithIssuer(issuer), jwt.WithExpirationRequired()}
	if audience != "" {
		options = append(options, jwt.WithAudience(audience))
	}
	parser := jwt.NewParser(options...)
	return func(token string) error {
		_, err := parser.Parse(token, keys.Keyfunc)
		return err
	}, nil
}

func startGoOIDC(ctx context.Context, iss *jwkstest.Issuer, audience string) (func(string) error, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, iss.Client()), iss.URL)
	if err != nil {
		return nil, err
	}
	v := provider.VerifierContext(oidc.ClientContext(ctx, iss.Client()), &oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms})
	return func(token string) error {
		_, err := v.Verify(ctx, token)
		return err
	}, nil
}

func startJWX(ctx context.Context, iss *jwkstest.Issuer, audience string) (func(string) error, error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	url := iss.URL + "/jwks"
	if err := cache.Register(ctx, url, jwk.WithHTTPClient(iss.Client())); err != nil {
		return nil, err
	}
	set, err := cache.CachedSet(url)
	if err != nil {
		return nil, err
	}
	options := []jwxjwt.ParseOption{jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(iss.URL)}
	if audience != "" {
		options = append(options, jwxjwt.WithAudience(audience))
	}
	return func(token string) error {
		_, err := jwxjwt.Parse([]byte(token), options...)
		return err
	}, nil
}

// startGoJOSE reads the key set once: go-jose has no part that fetches.
func startGoJOSE(_ context.Context, iss *jwkstest.Issuer, audience string) (func(string) error, error) {
	var set jose.JSONWebKeySet
	for _, key := range iss.Keys() {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(key.JWK(nil)); err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, k)
	}
	return goJOSE(set, iss, audience), nil
}

func goJOSE(set jose.JSONWebKeySet, iss *jwkstest.Issuer, audience string) func(string) error {
	var algs []jose.SignatureAlgorithm
	for _, a := range algorithms {
		algs = append(algs, jose.SignatureAlgorithm(a))
	}
	expected := josejwt.Expected{Issuer: iss.URL}
	if audience != "" {
		expected.AnyAudience = josejwt.Audience{audience}
	}
	return func(token string) error {
		parsed, err := josejwt.ParseSigned(token, algs)
		if err != nil {
			return err
		}
		var claims josejwt.Claims
		if err := parsed.Claims(&set, &claims); err != nil {
			return err
		}
		return claims.Validate(expected)
	}
}

// publishing serves keys as they stand, for verifiers that fetch and for those
// that do not.
func publishing(t *testing.T, v verifier, iss *jwkstest.Issuer, keys ...json.RawMessage) func(string) error {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	iss.PublishRaw(raw)
	if v.fetches {
		return v.running(t, iss)
	}
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(raw, &set))
	return goJOSE(set, iss, audience)
}

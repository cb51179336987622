package main

import (
	"bytes"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), `a token in the header: {"principalId":"https://issuer.test|user-1","policyDocument":`+
		`{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"`+arn+`"}]},`+
		`"context":{"jwt":"eyJ...","principalId":"https://issuer.test|user-1"}}`)
	require.Contains(t, out.String(), "no token: Unauthorized (401)")
	require.NotContains(t, out.String(), "Bearer")
}

// While keys cannot be had the gateway must not tell clients to log out.
func TestAuthorizerWhileKeysCannotBeHad(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	iss.Fail(500)
	a, err := newAuthorizer(iss)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.verifier.Close()) })
	_, err = a.handle(t.Context(), Event{MultiValueHeaders: headers("Authorization", "Bearer "+iss.Sign(iss.Claims(audience)))})
	require.ErrorIs(t, err, jwks.ErrUnavailable)
	require.NotErrorIs(t, err, errUnauthorized)
}

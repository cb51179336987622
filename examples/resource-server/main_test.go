package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResourceServer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out), "%s", &out)
	require.Contains(t, out.String(), "200  the orders of user-1 at https://127.0.0.1")
	require.Contains(t, out.String(), `401  Bearer realm="orders", error="invalid_token", resource_metadata="https://orders.example/.well-known/oauth-protected-resource"`)
	require.Contains(t, out.String(), `403  Bearer realm="orders", error="insufficient_scope", scope="orders:write", resource_metadata=`)
	require.Contains(t, out.String(), "503  Service Unavailable")
	require.NotContains(t, out.String(), "eyJ")
}

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/stretchr/testify/require"
)

func TestOAuth2(t *testing.T) {
	t.Parallel()
	if !authserver.Available() {
		testserver.Missing(t, "node and npm")
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out), out.String())
	require.Equal(t, 4, strings.Count(out.String(), "hello, User ada"), "with both ways to authenticate, before and after the refresh")
	leaktest.None(t, out.Bytes(), clientSecret)
}

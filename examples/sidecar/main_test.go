package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestSidecar(t *testing.T) {
	testserver.Need(t, "curl", "node")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), "a Node script")
	require.Contains(t, out.String(), "refused: a tunnel")
}

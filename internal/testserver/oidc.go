package testserver

import (
	"context"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
)

// OIDC starts a real authorization server for the test.
func OIDC(t testing.TB, c authserver.Config) *authserver.Server {
	t.Helper()
	if !authserver.Available() {
		Missing(t, "node and npm")
	}
	server, err := authserver.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

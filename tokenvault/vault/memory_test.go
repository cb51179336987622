package vault_test

import (
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault/storetest"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) vault.Store { return vault.NewMemoryStore() })
}

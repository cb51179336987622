package vault_test

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// keys holds the JWKs of a ring under test, which the ring itself never tells.
type keys []json.RawMessage

func newKeys(t testing.TB, n int) keys {
	t.Helper()
	var k keys
	for range n {
		jwk, err := tokenvault.NewKey()
		require.NoError(t, err)
		k = append(k, jwk)
	}
	return k
}

func (k keys) ring(t testing.TB) *tokenvault.Keyring {
	t.Helper()
	set, err := json.Marshal(map[string]any{"keys": k})
	require.NoError(t, err)
	ring, err := tokenvault.ParseKeyring(set)
	require.NoError(t, err)
	return ring
}

// counter answers 200 and counts.
type counter struct{ n atomic.Int64 }

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return answer(req, 200, nil, "{}"), nil
}

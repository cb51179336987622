package tokenvault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

func toJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func joseKey(t testing.TB, jwk map[string]string) jose.JSONWebKey {
	t.Helper()
	var k jose.JSONWebKey
	require.NoError(t, k.UnmarshalJSON(toJSON(t, jwk)))
	return k
}

// recipient is whom go-jose seals for; with a key pair, its public half.
func recipient(t testing.TB, jwk map[string]string) jose.Recipient {
	t.Helper()
	k := joseKey(t, jwk)
	if !k.IsPublic() && jwk["kty"] == "EC" {
		k = k.Public()
	}
	return jose.Recipient{Algorithm: jose.KeyAlgorithm(jwk["alg"]), Key: k.Key, KeyID: jwk["kid"]}
}

// joseSeal is a compact JWE by go-jose.
func joseSeal(t testing.TB, jwk map[string]string, enc jose.ContentEncryption, plaintext []byte, header map[jose.HeaderKey]any) string {
	t.Helper()
	e, err := jose.NewEncrypter(enc, recipient(t, jwk), &jose.EncrypterOptions{ExtraHeaders: header})
	require.NoError(t, err)
	jwe, err := e.Encrypt(plaintext)
	require.NoError(t, err)
	s, err := jwe.CompactSerialize()
	require.NoError(t, err)
	return s
}

func joseOpen(t testing.TB, jwk map[string]string, sealed string) ([]byte, jose.Header) {
	t.Helper()
	jwe, err := jose.ParseEncryptedCompact(strings.TrimPrefix(sealed, Prefix),
		[]jose.KeyAlgorithm{jose.KeyAlgorithm(jwk["alg"])}, []jose.ContentEncryption{jose.A256GCM})
	require.NoError(t, err)
	plaintext, err := jwe.Decrypt(joseKey(t, jwk).Key)
	require.NoError(t, err)
	return plaintext, jwe.Header
}

func TestSealedStringsAreJWEsForGoJose(t *testing.T) {
	t.Parallel()
	label := Label{Hosts: []string{"api.example.com", "*.example.org"}, Subject: "u", Purpose: "p", Expires: time.Unix(4102444800, 0).UTC()}
	use := Use{Host: "api.example.com", Subject: "u", Purpose: "p", AllowPublic: true}
	header := map[jose.HeaderKey]any{"aud": label.Hosts, "sub": "u", "typ": "p", "exp": 4102444800}
	for _, s := range []suite{symmetric, public} {
		jwk := newJWK(t, s, "k1")
		r := ringOf(t, jwk)
		for _, n := range []int{0, 1, 2, 3, 15, 16, 17, 100, 1023, 1024, 4096, 65535, 65536} {
			size := fmt.Sprintf("%s, %d bytes", s.alg(), n)
			plaintext := bytes.Repeat([]byte{0xfe}, n)

			got, h := joseOpen(t, jwk, mustSeal(t, r, string(plaintext), label))
			require.True(t, bytes.Equal(plaintext, got), size)
			require.Equal(t, "k1", h.KeyID, size)
			require.Equal(t, []any{"api.example.com", "*.example.org"}, h.ExtraHeaders["aud"], size)
			require.EqualValues(t, 4102444800, h.ExtraHeaders["exp"], size)

			back, l := mustOpen(t, r, Prefix+joseSeal(t, jwk, jose.A256GCM, plaintext, header), use)
			require.True(t, string(plaintext) == back, size)
			require.Equal(t, label, l, size)
		}
	}
}

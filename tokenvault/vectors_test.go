package tokenvault

import (
	"crypto/aes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v))
}

func TestKeyWrapVectorRFC3394(t *testing.T) {
	t.Parallel()
	var v struct{ KEK, Key, Wrapped string }
	readJSON(t, "rfc/rfc3394-4.6.json", &v)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	kek, err := aes.NewCipher(unhex(v.KEK))
	require.NoError(t, err)
	w := keyWrap{cek: [32]byte(unhex(v.Key))}
	w.wrap(kek)
	require.Equal(t, unhex(v.Wrapped), w.wrapped[:])
	w.cek = [32]byte{}
	require.True(t, w.unwrap(kek))
	require.Equal(t, unhex(v.Key), w.cek[:])
	for i := range w.wrapped {
		w.wrapped[i] ^= 1
		require.False(t, w.unwrap(kek), "byte %d altered", i)
		w.wrapped[i] ^= 1
	}
}

func TestKeyAgreementVectorRFC7518(t *testing.T) {
	t.Parallel()
	var v struct {
		Alice, Bob    json.RawMessage
		Z             []int
		Alg, APU, APV string
		KeyLen        int
		Derived       string
	}
	readJSON(t, "rfc/rfc7518-c.json", &v)
	alice, err := parseKey(v.Alice)
	require.NoError(t, err)
	bob, err := parseKey(v.Bob)
	require.NoError(t, err)
	z, err := alice.priv.ECDH(bob.pub)
	require.NoError(t, err)
	other, err := bob.priv.ECDH(alice.pub)
	require.NoError(t, err)
	require.Equal(t, z, other)
	want := make([]byte, len(v.Z))
	for i, b := range v.Z {
		want[i] = byte(b)
	}
	require.Equal(t, want, z)
	require.Equal(t, v.Derived, base64.RawURLEncoding.EncodeToString(concatKDF(z, v.Alg, v.APU, v.APV, v.KeyLen)))
}

// The cookbook's suites and keys are all others than the two of version 1.
func TestCookbookIsRefused(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/jose-cookbook/*.json")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, file := range files {
		var v struct {
			Input  struct{ Key json.RawMessage }
			Output struct{ Compact string }
		}
		readJSON(t, "jose-cookbook/"+filepath.Base(file), &v)
		require.NotEmpty(t, v.Output.Compact, file)
		_, err := Inspect(Prefix + v.Output.Compact)
		require.ErrorIs(t, err, ErrMalformed, file)
		if v.Input.Key != nil {
			_, err = ParseKeyring(v.Input.Key)
			require.Error(t, err, file)
		}
	}
}

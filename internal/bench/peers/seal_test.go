package peers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// A sealer seals a secret for one host, one owner and an hour, in the way the
// library has for that, and opens it again for a use.
type sealer struct {
	name string
	seal func(secret []byte) string // as it would be kept in a text column
	open func(sealed, host string, now time.Time) error
}

const sealedHost = "api.example.com"

func TestSealers(t *testing.T) {
	t.Parallel()
	secret := []byte("c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00") // 40 bytes
	soon := time.Now()
	rows := []struct {
		question, ours string
		observe        func(s sealer) string
	}{
		{"opened for another host than it was sealed for", "refused", func(s sealer) string {
			return verdict(s.open(s.seal(secret), "evil.test", soon))
		}},
		{"opened a day after its hour", "refused", func(s sealer) string {
			return verdict(s.open(s.seal(secret), sealedHost, soon.Add(24*time.Hour)))
		}},
		{"the same bytes in another spelling (unused bits of base64)", "refused", func(s sealer) string { return altered(s, secret) }},
		{"whom it is for can be read without the key", "yes", func(s sealer) string {
			if readable(s.seal(secret), sealedHost) {
				return "yes"
			}
			return "no"
		}},
		{"passes headers, cookies, URLs and JSON unescaped", "yes", func(s sealer) string {
			if strings.Trim(s.seal(secret), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == "" {
				return "yes"
			}
			return "base64 does not"
		}},
		{"a secret of 40 bytes takes, as text", "322 bytes", func(s sealer) string { return fmt.Sprintf("%d bytes", len(s.seal(secret))) }},
	}
	sealers := []sealer{ourSealer(t), joseSealer(t), tinkSealer(t), ageSealer(t)}
	tab := table{name: "sealers"}
	for _, s := range sealers {
		require.NoError(t, s.open(s.seal(secret), sealedHost, soon), s.name)
		tab.columns = append(tab.columns, s.name)
	}
	for _, r := range rows {
		made := row{question: r.question, ours: r.ours}
		for _, s := range sealers {
			made.cells = append(made.cells, r.observe(s))
		}
		tab.rows = append(tab.rows, made)
	}
	held(t, tab)
}

// altered changes the last character of each part to every other one: that is
// where base64 has unused bits.
func altered(s sealer, secret []byte) string {
	sealed := s.seal(secret)
	for i := range sealed {
		if rest := sealed[i+1:]; rest != "" && rest[0] != '.' && rest[0] != '=' {
			continue
		}
		for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
			if sealed[i] != c && s.open(sealed[:i]+string(c)+sealed[i+1:], sealedHost, time.Now()) == nil {
				return "accepted"
			}
		}
	}
	return "refused"
}

// readable looks for text in every base64url part.
func readable(sealed, text string) bool {
	for part := range strings.SplitSeq(sealed, ".") {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil && bytes.Contains(raw, []byte(text)) {
			return true
		}
	}
	return false
}

func ourSealer(t *testing.T) sealer {
	t.Helper()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	return sealer{
		name: "tokenvault",
		seal: func(secret []byte) string {
			sealed, err := keys.Seal(t.Context(), secret, tokenvault.Label{
				Hosts: []string{sealedHost}, Subject: "user-17", Expires: time.Now().Add(time.Hour),
			})
			require.NoError(t, err)
			return sealed
		},
		open: func(sealed, host string, now time.Time) error {
			_, _, err := keys.Open(t.Context(), sealed, tokenvault.Use{Host: host, Subject: "user-17", Now: now})
			return err
		},
	}
}

// joseSealer puts the same label into the protected header. Decrypt hands it
// back and judges none of it.
func joseSealer(t *testing.T) sealer {
	t.Helper()
	key := bytes.Repeat([]byte{7}, 32)
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	var named struct{ Kid string } // of the same length
	require.NoError(t, json.Unmarshal(jwk, &named))
	return sealer{
		name: "go-jose (A256KW, A256GCM)",
		seal: func(secret []byte) string {
			e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.A256KW, Key: key, KeyID: named.Kid},
				&jose.EncrypterOptions{ExtraHeaders: map[jose.HeaderKey]any{"aud": []string{sealedHost}, "sub": "user-17", "exp": time.Now().Add(time.Hour).Unix()}})
			require.NoError(t, err)
			object, err := e.Encrypt(secret)
			require.NoError(t, err)
			text, err := object.CompactSerialize()
			require.NoError(t, err)
			return text
		},
		open: func(sealed, _ string, _ time.Time) error {
			object, err := jose.ParseEncryptedCompact(sealed, []jose.KeyAlgorithm{jose.A256KW}, []jose.ContentEncryption{jose.A256GCM})
			if err != nil {
				return err
			}
			_, err = object.Decrypt(key)
			return err
		},
	}
}

// tinkSealer has the label as associated data, which is not in the ciphertext:
// whoever opens has to know it.
func tinkSealer(t *testing.T) sealer {
	t.Helper()
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	primitive, err := aead.New(handle)
	require.NoError(t, err)
	label := func(host string) []byte {
		text, err := json.Marshal(object{"aud": host, "sub": "user-17"})
		require.NoError(t, err)
		return text
	}
	return sealer{
		name: "Tink AEAD (label as associated data)",
		seal: func(secret []byte) string {
			sealed, err := primitive.Encrypt(secret, label(sealedHost))
			require.NoError(t, err)
			return base64.StdEncoding.EncodeToString(sealed)
		},
		open: func(sealed, host string, _ time.Time) error {
			raw, err := base64.StdEncoding.Strict().DecodeString(sealed)
			if err != nil {
				return err
			}
			_, err = primitive.Decrypt(raw, label(host))
			return err
		},
	}
}

func ageSealer(t *testing.T) sealer {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return sealer{
		name: "age",
		seal: func(secret []byte) string {
			var out bytes.Buffer
			w, err := age.Encrypt(&out, identity.Recipient())
			require.NoError(t, err)
			_, err = w.Write(secret)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			return base64.StdEncoding.EncodeToString(out.Bytes())
		},
		open: func(sealed, _ string, _ time.Time) error {
			raw, err := base64.StdEncoding.Strict().DecodeString(sealed)
			if err != nil {
				return err
			}
			r, err := age.Decrypt(bytes.NewReader(raw), identity)
			if err != nil {
				return err
			}
			_, err = io.ReadAll(r)
			return err
		},
	}
}

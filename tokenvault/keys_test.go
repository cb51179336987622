package tokenvault

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewKeysAreKeyrings(t *testing.T) {
	t.Parallel()
	for alg, make := range map[string]func() ([]byte, error){"A256KW": NewKey, "ECDH-ES+A256KW": NewKeyPair} {
		a, err := make()
		require.NoError(t, err)
		b, err := make()
		require.NoError(t, err)
		var jwk, other map[string]string
		require.NoError(t, json.Unmarshal(a, &jwk))
		require.NoError(t, json.Unmarshal(b, &other))
		require.Equal(t, alg, jwk["alg"])
		require.NotEqual(t, jwk["kid"], other["kid"])
		require.NotEqual(t, jwk["k"]+jwk["d"], other["k"]+other["d"])
		r, err := ParseKeyring(a)
		require.NoError(t, err)
		require.Equal(t, "["+jwk["kid"]+"]", r.String())
	}
}

// with returns a copy of the key with members set, or removed where empty.
func with(jwk map[string]string, members ...string) map[string]string {
	out := make(map[string]string)
	for k, v := range jwk {
		out[k] = v
	}
	for i := 0; i < len(members); i += 2 {
		if out[members[i]] = members[i+1]; members[i+1] == "" {
			delete(out, members[i])
		}
	}
	return out
}

func TestParseKeyringRefusesKeys(t *testing.T) {
	t.Parallel()
	sym, pair, other := newJWK(t, symmetric, "k1"), newJWK(t, public, "k2"), newJWK(t, public, "k3")
	b64 := base64.RawURLEncoding.EncodeToString
	for _, tc := range []struct {
		rule string
		key  map[string]string
		want error
	}{
		{"no kid", with(sym, "kid", ""), errKid},
		{"a kid of 257 bytes", with(sym, "kid", strings.Repeat("k", 257)), errKid},
		{"a kid that forges log lines", with(sym, "kid", "k\nk2"), errKid},
		{"128 bits", with(sym, "k", b64(bytes.Repeat([]byte{7}, 16))), errWeak},
		{"31 bytes", with(sym, "k", b64(bytes.Repeat([]byte{7}, 31))), errWeak},
		{"33 bytes", with(sym, "k", b64(bytes.Repeat([]byte{7}, 33))), errWeak},
		{"no bytes", with(sym, "k", ""), errNotJWK},
		{"zeros", with(sym, "k", b64(make([]byte, 32))), errWeak},
		{"a symmetric key for A128KW", with(sym, "alg", "A128KW"), errAlg},
		{"a symmetric key for dir", with(sym, "alg", "dir"), errAlg},
		{"a symmetric key for HS256", with(sym, "alg", "HS256"), errAlg},
		{"a symmetric key for ECDH-ES+A256KW", with(sym, "alg", "ECDH-ES+A256KW"), errAlg},
		{"a key pair for A256KW", with(pair, "alg", "A256KW"), errAlg},
		{"a key pair for ECDH-ES", with(pair, "alg", "ECDH-ES"), errAlg},
		{"a key pair for ES256", with(pair, "alg", "ES256"), errAlg},
		{"a signature key", with(pair, "use", "sig"), errUse},
		{"a point off the curve", with(pair, "x", pair["y"]), errNotJWK},
		{"halves of two pairs", with(pair, "d", other["d"]), errHalves},
		{"d of zero", with(pair, "d", b64(make([]byte, 32))), errKty},
		{"d of the order and more", with(pair, "d", b64(bytes.Repeat([]byte{0xff}, 32))), errKty},
		{"P-384", p384(t), errKty},
		{"an Ed25519 key", map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": b64(bytes.Repeat([]byte{7}, 32))}, errKty},
		{"an RSA key", map[string]string{"kty": "RSA", "kid": "k1", "e": "AQAB", "n": b64(bytes.Repeat([]byte{0xff}, 256))}, errKty},
		{"no kty", with(sym, "kty", ""), errNotJWK},
		{"an unknown kty", with(sym, "kty", "AKP"), errNotJWK},
		{"k that is no base64url", with(sym, "k", "hunter2!"), errNotJWK},
	} {
		_, err := ParseKeyring(toJSON(t, tc.key))
		requireKeyError(t, err, tc.want, "tokenvault: key: ", tc.rule, tc.key)
		set := map[string]any{"keys": []any{newJWK(t, symmetric, "first"), tc.key}}
		_, err = ParseKeyring(toJSON(t, set))
		requireKeyError(t, err, tc.want, "tokenvault: keys[1]: ", tc.rule, tc.key)
	}
}

// requireKeyError demands the reason behind the position, and nothing of the key.
func requireKeyError(t *testing.T, err, want error, position, rule string, jwk map[string]string) {
	t.Helper()
	if want == errKty || want == errNotJWK { // go-jose judges some of these first
		require.Error(t, err, rule)
		require.Contains(t, []string{position + errKty.Error(), position + errNotJWK.Error(), position + errHalves.Error()}, err.Error(), rule)
	} else {
		require.EqualError(t, err, position+want.Error(), rule)
	}
	for _, member := range []string{"k", "d", "x", "y"} {
		if jwk[member] != "" {
			require.NotContains(t, err.Error(), jwk[member], rule)
		}
	}
}

func p384(t *testing.T) map[string]string {
	t.Helper()
	priv, err := ecdh.P384().GenerateKey(rand.Reader)
	require.NoError(t, err)
	b64, point := base64.RawURLEncoding.EncodeToString, priv.PublicKey().Bytes()
	return map[string]string{"kty": "EC", "crv": "P-384", "kid": "k1", "x": b64(point[1:49]), "y": b64(point[49:])}
}

func TestParseKeyringRefusesSets(t *testing.T) {
	t.Parallel()
	k := string(toJSON(t, newJWK(t, symmetric, "k1")))
	for rule, tc := range map[string]struct{ set, want string }{
		"nothing":                   {``, "key set is not a JSON object"},
		"no JSON":                   {`tv`, "key set is not a JSON object"},
		"an array":                  {`[` + k + `]`, "key set is not a JSON object"},
		"null":                      {`null`, "key: not a JSON Web Key"},
		"an empty object":           {`{}`, "key: not a JSON Web Key"},
		"no keys":                   {`{"keys":[]}`, "keys is not an array"},
		"keys is null":              {`{"keys":null}`, "keys is not an array"},
		"keys is a key":             {`{"keys":` + k + `}`, "keys is not an array"},
		"keys twice":                {`{"keys":[],"keys":[` + k + `]}`, "key set is not a JSON object"},
		"a member twice":            {`{"keys":[` + strings.Replace(k, `{`, `{"kid":"k0",`, 1) + `]}`, "not a JSON Web Key"},
		"a key that is null":        {`{"keys":[` + k + `,null]}`, "keys[1]"},
		"a kid twice":               {`{"keys":[` + k + `,` + k + `]}`, "keys[1]: kid is that of an earlier key"},
		"data behind it":            {`{"keys":[` + k + `]} x`, "key set is not a JSON object"},
		"over a mebibyte":           {`{"keys":[` + k + `]}` + strings.Repeat(" ", 1<<20), "longer than 1048576 bytes"},
		"members in another case":   {`{"Keys":[` + k + `]}`, "not a JSON Web Key"},
		"a kid shared across kinds": {`{"keys":[` + k + `,` + string(toJSON(t, newJWK(t, public, "k1"))) + `]}`, "keys[1]: kid"},
	} {
		r, err := ParseKeyring([]byte(tc.set))
		require.ErrorContains(t, err, tc.want, rule)
		require.Nil(t, r, rule)
	}
}

func TestParseKeyringAcceptsWhatIsJustNotTooLong(t *testing.T) {
	t.Parallel()
	kid := strings.Repeat("k", 256)
	set := toJSON(t, newJWK(t, symmetric, kid))
	r, err := ParseKeyring(append(set, bytes.Repeat([]byte(" "), 1<<20-len(set))...))
	require.NoError(t, err)
	require.Equal(t, "["+kid+"]", r.String())
}

func TestAlgIsImpliedByTheKindOfKey(t *testing.T) {
	t.Parallel()
	for _, s := range []suite{symmetric, public} {
		r := ringOf(t, with(newJWK(t, s, "k1"), "alg", "", "use", ""))
		h, err := Inspect(mustSeal(t, r, "x", Label{}))
		require.NoError(t, err)
		require.Equal(t, s.alg(), h.Algorithm)
	}
}

func TestPublicHalfSealsAndCannotOpen(t *testing.T) {
	t.Parallel()
	first, second := newJWK(t, public, "p1"), newJWK(t, public, "p2")
	r := ringOf(t, newJWK(t, symmetric, "s1"), first, second)
	set, err := r.Public()
	require.NoError(t, err)
	for _, secret := range []string{first["d"], second["d"], `"d"`, `"k"`, `"s1"`} {
		require.NotContains(t, string(set), secret)
	}
	client, err := ParseKeyring(set)
	require.NoError(t, err)
	require.Equal(t, "[p1 p2]", client.String())
	sealed := mustSeal(t, client, "hunter2", Label{})
	requireRefused(t, client, sealed, Use{AllowPublic: true}, ErrUnknownKey, "public half only")
	_, _, err = client.Reseal(context.Background(), sealed)
	require.ErrorIs(t, err, ErrUnknownKey)
	got, _ := mustOpen(t, r, sealed, Use{AllowPublic: true})
	require.Equal(t, "hunter2", got)
	again, err := client.Public()
	require.NoError(t, err)
	require.Equal(t, set, again)
	_, err = newRing(t, symmetric).Public()
	require.EqualError(t, err, "tokenvault: keyring has no key pair")
}

type decrypter func(context.Context, []byte) ([]byte, error)

func (d decrypter) Decrypt(ctx context.Context, b []byte) ([]byte, error) { return d(ctx, b) }

func TestOpenKeyring(t *testing.T) {
	t.Parallel()
	jwk := newJWK(t, symmetric, "k1")
	encrypted, plain := []byte("encrypted"), toJSON(t, jwk)
	calls := 0
	r, err := OpenKeyring(t.Context(), encrypted, decrypter(func(ctx context.Context, b []byte) ([]byte, error) {
		calls++
		require.Equal(t, t.Context(), ctx)
		require.Equal(t, encrypted, b)
		return plain, nil
	}))
	require.NoError(t, err)
	require.Equal(t, 1, calls)
	require.Equal(t, "[k1]", r.String())
	require.NotContains(t, string(plain), jwk["k"], "the decrypted set is wiped")

	cause := fmt.Errorf("POST answered %s: %w", jwk["k"], context.DeadlineExceeded)
	_, err = OpenKeyring(t.Context(), encrypted, decrypter(func(context.Context, []byte) ([]byte, error) { return nil, cause }))
	require.EqualError(t, err, "tokenvault: key set does not decrypt")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, cause, errors.Unwrap(err))
	require.NotContains(t, fmt.Sprintf("%v %+v %s %q", err, err, err, err), jwk["k"])

	_, err = OpenKeyring(t.Context(), encrypted, nil)
	require.EqualError(t, err, "tokenvault: Decrypter is nil")
	_, err = OpenKeyring(t.Context(), encrypted, decrypter(func(context.Context, []byte) ([]byte, error) { return nil, nil }))
	require.ErrorContains(t, err, "key set")
}

func TestReplaceAdoptsAllAtOnce(t *testing.T) {
	t.Parallel()
	a, b := newJWK(t, symmetric, "a"), newJWK(t, symmetric, "b")
	r, next := ringOf(t, a), ringOf(t, b)
	sealed := mustSeal(t, r, "hunter2", Label{})
	r.Replace(next)
	require.Equal(t, "[b]", r.String())
	requireRefused(t, r, sealed, Use{}, ErrUnknownKey, "dropped")
	next.Replace(ringOf(t, a))
	require.Equal(t, "[b]", r.String(), "what next adopts later is its own")
	for _, none := range []*Keyring{nil, {}} {
		r.Replace(none)
		require.Equal(t, "[b]", r.String(), "nothing to adopt")
	}
	byValue := *r
	r.Replace(ringOf(t, a))
	require.Equal(t, "[a]", byValue.String(), "copies share their keys")
}

// Under -race: every Open sees one set or the other, whole.
func TestReplaceDuringOpen(t *testing.T) {
	t.Parallel()
	a, b := newJWK(t, symmetric, "a"), newJWK(t, symmetric, "b")
	rings := []*Keyring{ringOf(t, a, b), ringOf(t, b, a)}
	r := ringOf(t, a, b)
	sealed := []string{mustSeal(t, rings[0], "hunter2", Label{}), mustSeal(t, rings[1], "hunter2", Label{})}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				if i == 0 {
					r.Replace(rings[n%2])
					continue
				}
				got, _, err := r.Open(context.Background(), sealed[n%2], Use{})
				if err != nil || string(got) != "hunter2" {
					t.Errorf("open: %q, %v", got, err)
				}
				if _, _, err := r.Reseal(context.Background(), sealed[n%2]); err != nil {
					t.Errorf("reseal: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestZeroKeyringOpensNothing(t *testing.T) {
	t.Parallel()
	sealed := mustSeal(t, newRing(t, symmetric), "hunter2", Label{})
	for _, r := range []*Keyring{nil, {}} {
		requireRefused(t, r, sealed, Use{}, ErrUnknownKey, "no keys")
		_, err := r.Public()
		require.Error(t, err)
		require.False(t, strings.Contains(fmt.Sprintf("%+v", r), "panic"))
	}
}

func TestKeyringPrintsAsKeyIDs(t *testing.T) {
	t.Parallel()
	requirePrintsAsKeyIDs(t)
}

// requirePrintsAsKeyIDs looks for the keys in every form in which fmt, slog
// and encoding/json may show bytes, and in the parts that would hold them.
func requirePrintsAsKeyIDs(t *testing.T) {
	t.Helper()
	sym, pair := newJWK(t, symmetric, "sym-1"), newJWK(t, public, "pair-1")
	r := ringOf(t, sym, pair)
	type nested struct {
		Pointer *Keyring
		Value   Keyring
		Any     any
		List    []*Keyring
		Map     map[string]Keyring
	}
	n := nested{r, *r, r, []*Keyring{r}, map[string]Keyring{"k": *r}}
	hidden := struct {
		pointer *Keyring
		value   Keyring
	}{r, *r}
	for _, verb := range strings.Split("v +v #v s q d x X b o O c U e t T p +q # x", " ") {
		for _, v := range []any{r, *r, n, &n, []any{r}, hidden, &hidden} {
			requireNoKey(t, fmt.Sprintf("%"+verb, v), sym, pair)
		}
		if verb != "T" && verb != "p" && verb != "#" && verb != "" {
			require.Equal(t, "[sym-1 pair-1]", strings.TrimSpace(fmt.Sprintf("%"+verb, r)), verb)
			require.Equal(t, "[sym-1 pair-1]", strings.TrimSpace(fmt.Sprintf("%"+verb, *r)), verb)
		}
	}
	for _, v := range []any{r, *r, n, &n, hidden} {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		requireNoKey(t, string(b), sym, pair)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "keys", v, slog.Group("g", "keys", v))
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "keys", v, slog.Group("g", "keys", v))
		requireNoKey(t, log.String(), sym, pair)
	}
	b, err := json.Marshal(map[string]any{"p": r, "v": *r})
	require.NoError(t, err)
	require.JSONEq(t, `{"p":["sym-1","pair-1"],"v":["sym-1","pair-1"]}`, string(b))
}

func requireNoKey(t *testing.T, printed string, jwks ...map[string]string) {
	t.Helper()
	for _, jwk := range jwks {
		for _, member := range []string{"k", "d"} {
			raw, err := base64.RawURLEncoding.DecodeString(jwk[member])
			require.NoError(t, err)
			if len(raw) == 0 {
				continue
			}
			for _, form := range []string{jwk[member], string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), strings.Trim(fmt.Sprint(raw[:8]), "[]"), base64.StdEncoding.EncodeToString(raw)} {
				require.NotContains(t, printed, form)
			}
		}
	}
}

package tokenvault

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// Each test here stands for a way in which sealing has gone wrong in other
// systems.

func TestElsewhere_KeyIDMissingSoRotationBreaksOldValues(t *testing.T) {
	t.Parallel()
	old, next := newJWK(t, symmetric, "old"), newJWK(t, symmetric, "new")
	r := ringOf(t, old)
	sealed := mustSeal(t, r, "hunter2", Label{})
	require.Contains(t, headerOf(t, sealed), `"kid":"old"`)
	for step, ring := range map[string]*Keyring{"added as last": ringOf(t, old, next), "moved first": ringOf(t, next, old)} {
		got, _ := mustOpen(t, ring, sealed, Use{})
		require.Equal(t, "hunter2", got, step)
	}
	delete(old, "kid")
	_, err := ParseKeyring(toJSON(t, old))
	require.EqualError(t, err, "tokenvault: key: kid must be 1 to 256 bytes of printable text")
}

// The right key is in the ring under another id: it must not even be tried.
func TestElsewhere_AllKeysTriedInTurn(t *testing.T) {
	t.Parallel()
	for _, s := range []suite{symmetric, public} {
		jwk := newJWK(t, s, "k1")
		sealed := mustSeal(t, ringOf(t, jwk), "hunter2", Label{})
		jwk["kid"] = "k2"
		r := ringOf(t, jwk, newJWK(t, s, "k3"))
		unwraps := counted(r)
		requireRefused(t, r, sealed, Use{AllowPublic: true}, ErrUnknownKey, "no such kid")
		require.Zero(t, unwraps.Load())

		r = ringOf(t, newJWK(t, s, "k1"), jwk)
		unwraps = counted(r)
		requireRefused(t, r, sealed, Use{AllowPublic: true}, ErrOpen, "another key of that kid")
		perKey := map[suite]int64{symmetric: 24, public: 1}
		require.Equal(t, perKey[s], unwraps.Load(), "one key, once")
	}
}

// The string names a suite that it fits, and that is not the key's.
func TestElsewhere_AlgChosenByTheToken(t *testing.T) {
	t.Parallel()
	for _, s := range []suite{symmetric, public} {
		other := symmetric + public - s
		sealed := mustSeal(t, newRing(t, s), "hunter2", Label{})
		r := newRing(t, other)
		unwraps := counted(r)
		requireRefused(t, r, sealed, Use{AllowPublic: true}, ErrMalformed, s.alg())
		require.Zero(t, unwraps.Load())
	}
}

// An authentic value, but under A128GCM: the enc of the string decides nothing.
func TestElsewhere_EncChosenByTheToken(t *testing.T) {
	t.Parallel()
	jwk := newJWK(t, symmetric, "k1")
	r := ringOf(t, jwk)
	for _, enc := range []jose.ContentEncryption{jose.A128GCM, jose.A192GCM, jose.A256CBC_HS512} {
		sealed := Prefix + joseSeal(t, jwk, enc, []byte("hunter2"), nil)
		requireRefused(t, r, sealed, Use{}, ErrMalformed, string(enc))
	}
	requireRefused(t, r, Prefix+joseSeal(t, jwk, jose.A256GCM, []byte("hunter2"), map[jose.HeaderKey]any{"iat": 1}), Use{}, ErrMalformed, "unknown member")
	mustOpen(t, r, Prefix+joseSeal(t, jwk, jose.A256GCM, []byte("hunter2"), nil), Use{})
}

func TestElsewhere_PBES2WithABillionRounds(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	unwraps := counted(r)
	sealed := withHeader(mustSeal(t, r, "x", Label{}), malformedHeaders["PBES2 with a billion rounds"])
	requireRefused(t, r, sealed, Use{}, ErrMalformed, "PBES2")
	require.Zero(t, unwraps.Load())
}

// A real one: a megabyte of zeros, compressed by go-jose under our own key.
func TestElsewhere_ZipBomb(t *testing.T) {
	t.Parallel()
	jwk := newJWK(t, symmetric, "k1")
	enc, err := jose.NewEncrypter(jose.A256GCM, recipient(t, jwk), &jose.EncrypterOptions{Compression: jose.DEFLATE})
	require.NoError(t, err)
	jwe, err := enc.Encrypt(make([]byte, 1<<20))
	require.NoError(t, err)
	bomb, err := jwe.CompactSerialize()
	require.NoError(t, err)
	r := ringOf(t, jwk)
	unwraps := counted(r)
	requireRefused(t, r, Prefix+bomb, Use{}, ErrMalformed, "zip")
	require.Zero(t, unwraps.Load())
}

func TestElsewhere_ValueReplayedToAnotherHost(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	sealed := mustSeal(t, r, "hunter2", Label{Hosts: []string{"api.example.com", "*.pay.example.com"}})
	for _, host := range []string{"api.example.com", "API.example.com:443", "eu.pay.example.com"} {
		mustOpen(t, r, sealed, Use{Host: host})
	}
	for _, host := range []string{"evil.test", "api.example.com.evil.test", "example.com", "pay.example.com", "api.example.com:8443", "evilpay.example.com", "*", "*.pay.example.com", "not a host", "127.1"} {
		requireRefused(t, r, sealed, Use{Host: host}, ErrLabel, host)
	}
	requireRefused(t, r, mustSeal(t, r, "hunter2", Label{}), Use{Host: "api.example.com"}, ErrLabel, "no hosts: no host at all")
	anywhere := mustSeal(t, r, "hunter2", Label{Hosts: []string{AnyHost}})
	mustOpen(t, r, anywhere, Use{Host: "any.example:99"})
	requireRefused(t, r, anywhere, Use{Host: "127.1"}, ErrLabel, "any host, but not what is none")
	mustOpen(t, r, sealed, Use{})
}

func TestElsewhere_OneUsersValueForAnother(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	sealed := mustSeal(t, r, "hunter2", Label{Subject: "alice"})
	mustOpen(t, r, sealed, Use{Subject: "alice"})
	for _, subject := range []string{"bob", "", "Alice", "alice "} {
		requireRefused(t, r, sealed, Use{Subject: subject}, ErrLabel, subject)
	}
	mustOpen(t, r, mustSeal(t, r, "hunter2", Label{}), Use{Subject: "bob"})
}

func TestElsewhere_StoredRowAsBearerToken(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	row := mustSeal(t, r, "hunter2", Label{Purpose: "vault-grant"})
	mustOpen(t, r, row, Use{Purpose: "vault-grant"})
	for _, purpose := range []string{"", "vault", "Vault-grant", "session"} {
		requireRefused(t, r, row, Use{Purpose: purpose}, ErrLabel, purpose)
	}
	requireRefused(t, r, mustSeal(t, r, "hunter2", Label{}), Use{Purpose: "vault-grant"}, ErrLabel, "a relay's value as a row")
}

func TestElsewhere_WrongIVLengthPanicsGCM(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	good := mustSeal(t, r, "hunter2", Label{})
	unwraps := counted(r)
	for n := range 40 {
		if n == 12 {
			continue
		}
		sealed := withSegment(good, 3, base64.RawURLEncoding.EncodeToString(make([]byte, n)))
		require.NotPanics(t, func() { requireRefused(t, r, sealed, Use{}, ErrMalformed, fmt.Sprint(n)) })
	}
	require.Zero(t, unwraps.Load())
}

// What stands before the ciphertext decides how it is read: no other prefix
// opens, and the header is authenticated whole.
func TestElsewhere_UnauthenticatedPrefix(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	sealed := mustSeal(t, r, "hunter2", Label{Subject: "alice"})
	for _, prefix := range []string{"", "tv2.", "tv0.", "TV1.", "tv1", "tv1:", "tv1.."} {
		requireRefused(t, r, prefix+sealed[len(Prefix):], Use{Subject: "alice"}, ErrMalformed, prefix)
	}
	header := headerOf(t, sealed)
	for rule, forged := range map[string]string{
		"another subject": strings.Replace(header, "alice", "mallo", 1),
		"no subject":      strings.Replace(header, `,"sub":"alice"`, ``, 1),
		"a later expiry":  strings.Replace(header, `}`, `,"exp":4102444800}`, 1),
		"a host":          strings.Replace(header, `}`, `,"aud":["*"]}`, 1),
		"white space":     strings.Replace(header, `}`, ` }`, 1),
	} {
		require.NotEqual(t, header, forged)
		requireRefused(t, r, withHeader(sealed, forged), Use{Subject: "mallo"}, ErrOpen, rule)
	}
	mustOpen(t, r, withHeader(sealed, header), Use{Subject: "alice"})
}

func TestElsewhere_KeyPrintedByPercentPlusV(t *testing.T) {
	t.Parallel()
	requirePrintsAsKeyIDs(t)
}

func TestElsewhere_ValuesTrimmedOrRetypedBeforeSealing(t *testing.T) {
	t.Parallel()
	for _, s := range []suite{symmetric, public} {
		r := newRing(t, s)
		for _, plaintext := range []string{"", " ", "\n", " padded ", "tail\r\n", "\x00\xff\xfe", "\ufeffbom", "1e2", "null", `"quoted"`, "e\u0301", strings.Repeat("\x00", 64<<10)} {
			got, _ := mustOpen(t, r, mustSeal(t, r, plaintext, Label{}), Use{AllowPublic: true})
			require.Equal(t, plaintext, got)
		}
		for _, value := range []string{"null", "1.0", "1e400", `"\u0041"`, ` {"b":1,"a":[2, 3]} `, "12345678901234567890"} {
			got, l := mustOpen(t, r, mustSeal(t, r, value, Label{JSON: true}), Use{AllowPublic: true})
			require.Equal(t, value, got)
			require.True(t, l.JSON)
		}
	}
}

// Whoever has the public half seals what he likes: only a use that says so
// takes it, and before any key is used.
func TestPublicValuesOpenOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	r := newRing(t, public)
	sealed := mustSeal(t, r, "hunter2", Label{})
	unwraps := counted(r)
	requireRefused(t, r, sealed, Use{}, ErrLabel, "AllowPublic is off by default")
	require.Zero(t, unwraps.Load())
	mustOpen(t, r, sealed, Use{AllowPublic: true})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	sealed := mustSeal(t, r, "hunter2", Label{Expires: exp.Add(900 * time.Millisecond)})
	_, l := mustOpen(t, r, sealed, Use{Now: exp.Add(-time.Nanosecond)})
	require.Equal(t, exp.UTC(), l.Expires)
	requireRefused(t, r, sealed, Use{Now: exp}, ErrExpired, "from the second on")
	requireRefused(t, r, sealed, Use{Now: exp.Add(time.Hour)}, ErrExpired, "later")
	mustOpen(t, r, sealed, Use{})
	mustOpen(t, r, mustSeal(t, r, "hunter2", Label{}), Use{Now: time.Unix(1<<40, 0)})
	mustOpen(t, r, mustSeal(t, r, "hunter2", Label{Expires: time.Unix(maxExpires, 0)}), Use{})
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	for _, tc := range []struct {
		rule, plaintext string
		label           Label
		want            string
	}{
		{"an expired label", "x", Label{Expires: time.Now().Add(-time.Second)}, "Label.Expires: tokenvault: sealed value expired"},
		{"a label that expires now", "x", Label{Expires: time.Now()}, "Label.Expires"},
		{"a time that RFC 3339 cannot write", "x", Label{Expires: time.Unix(maxExpires+1, 0)}, "Label.Expires: after the year 9999"},
		{"an empty host", "x", Label{Hosts: []string{"a.example", ""}}, "Label.Hosts[1]: host is empty"},
		{"a pattern on a public suffix", "x", Label{Hosts: []string{"*.co.uk"}}, "Label.Hosts[0]: pattern covers a public suffix"},
		{"a URL for a host", "x", Label{Hosts: []string{"https://a.example"}}, "Label.Hosts[0]"},
		{"JSON over two values", "1 2", Label{JSON: true}, "Label.JSON"},
		{"JSON over none", "", Label{JSON: true}, "Label.JSON"},
		{"JSON over a bare word", "token", Label{JSON: true}, "Label.JSON"},
		{"JSON that is not UTF-8", "\"\xff\"", Label{JSON: true}, "Label.JSON"},
		{"a subject that is not UTF-8", "x", Label{Subject: "\xff"}, "Label.Subject"},
		{"a purpose that is not UTF-8", "x", Label{Purpose: "\xff"}, "Label.Purpose"},
		{"a label over 4 KiB", "x", Label{Subject: strings.Repeat("u", 4096)}, "longer than 4096 bytes"},
	} {
		sealed, err := r.Seal(context.Background(), []byte(tc.plaintext), tc.label)
		require.ErrorIs(t, err, ErrLabel, tc.rule)
		require.ErrorContains(t, err, tc.want, tc.rule)
		require.Empty(t, sealed, tc.rule)
	}
	_, err := r.Seal(context.Background(), nil, Label{Expires: time.Unix(1, 0)})
	require.ErrorIs(t, err, ErrExpired)
	_, err = r.Seal(context.Background(), make([]byte, 64<<10+1), Label{})
	require.EqualError(t, err, "tokenvault: plaintext is longer than 65536 bytes")
	_, err = new(Keyring).Seal(context.Background(), []byte("x"), Label{})
	require.ErrorIs(t, err, ErrUnknownKey)
}

func TestLabelTravels(t *testing.T) {
	t.Parallel()
	given := []string{"API.example.com:443", "*.Bücher.example", "[2001:DB8::1]:8443", AnyHost}
	label := Label{Hosts: slices.Clone(given), Subject: "ü\"\\\n\u2028\x7f/", Expires: time.Unix(4102444800, 0).UTC(), Purpose: "p\tq", JSON: true}
	want := label
	want.Hosts = []string{"api.example.com", "*.xn--bcher-kva.example", "[2001:db8::1]:8443", AnyHost}
	for _, s := range []suite{symmetric, public} {
		r := newRing(t, s)
		sealed := mustSeal(t, r, "1", label)
		_, got := mustOpen(t, r, sealed, Use{Subject: label.Subject, Purpose: label.Purpose, AllowPublic: true})
		require.Equal(t, want, got)
		h, err := Inspect(sealed)
		require.NoError(t, err)
		require.Equal(t, Header{"k1", s.alg(), want}, h)
		require.Regexp(t, `^[A-Za-z0-9._-]+$`, sealed)
	}
	require.Equal(t, given, label.Hosts, "the caller's slice is untouched")
}

// The longest value that Seal makes opens: seal and open draw one line.
func TestLongestValueOpens(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	subject := longestSubject()
	sealed := mustSeal(t, r, strings.Repeat("x", 64<<10), Label{Subject: subject})
	require.Len(t, sealed, wire.MaxLen)
	mustOpen(t, r, sealed, Use{Subject: subject})
	_, err := r.Seal(context.Background(), nil, Label{Subject: subject + "u"})
	require.ErrorIs(t, err, ErrLabel)
}

// longestSubject fits exactly into a header, under the key "k1". Its spaces are
// not escaped.
func longestSubject() string { return strings.Repeat("u ", 2048)[:4096-len(symStart+`,"sub":""}`)] }

// Authentic, and yet no JSON: another library made it. It must not be spliced
// into a document.
func TestForgedJSONLabelIsRefused(t *testing.T) {
	t.Parallel()
	jwk := newJWK(t, public, "k1")
	sealed := Prefix + joseSeal(t, jwk, jose.A256GCM, []byte(`1,"admin":true`), map[jose.HeaderKey]any{"cty": "json"})
	requireRefused(t, ringOf(t, jwk), sealed, Use{AllowPublic: true}, ErrLabel, "not one JSON value")
}

// A pattern that Seal refuses covers nothing when another library sealed it.
func TestForgedHostPatternCoversNothing(t *testing.T) {
	t.Parallel()
	jwk := newJWK(t, symmetric, "k1")
	sealed := Prefix + joseSeal(t, jwk, jose.A256GCM, []byte("hunter2"), map[jose.HeaderKey]any{"aud": []string{"*.com", "**", "https://api.example.com"}})
	requireRefused(t, ringOf(t, jwk), sealed, Use{Host: "api.example.com"}, ErrLabel, "*.com")
}

func TestFindStopsAtTheTag(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	sealed := mustSeal(t, r, "hunter2", Label{Hosts: []string{"api.example.com"}})
	for _, after := range []string{"", ".", `"`, "x", ".AAAA", " ", "\n"} {
		body := []byte("Bearer " + sealed + after)
		start, end := Find(body)
		require.Equal(t, sealed, string(body[start:end]))
	}
}

func TestResealMovesToTheFirstKeyOfItsSuite(t *testing.T) {
	t.Parallel()
	oldSym, newSym, oldPub, newPub := newJWK(t, symmetric, "s1"), newJWK(t, symmetric, "s2"), newJWK(t, public, "p1"), newJWK(t, public, "p2")
	r := ringOf(t, oldSym, oldPub)
	label := Label{Hosts: []string{"api.example.com"}, Subject: "u", Purpose: "p", JSON: true, Expires: time.Now().Add(time.Hour).Truncate(time.Second).UTC()}
	for want, sealed := range map[string]string{
		"s2": mustSeal(t, r, `{"a":1}`, label),
		"p2": mustSeal(t, ringOf(t, oldPub), `{"a":1}`, label),
	} {
		next := ringOf(t, newPub, newSym, oldSym, oldPub)
		resealed, changed, err := next.Reseal(context.Background(), sealed)
		require.NoError(t, err)
		require.True(t, changed)
		h, err := Inspect(resealed)
		require.NoError(t, err)
		require.Equal(t, want, h.KeyID)
		require.Equal(t, label, h.Label)
		got, _ := mustOpen(t, next, resealed, Use{Host: "api.example.com", Subject: "u", Purpose: "p", AllowPublic: true})
		require.Equal(t, `{"a":1}`, got)

		again, changed, err := next.Reseal(context.Background(), resealed)
		require.NoError(t, err)
		require.False(t, changed)
		require.Equal(t, resealed, again)
	}
}

// An expired value is resealed as it is: expiry is judged where it is used.
func TestResealJudgesNeitherLabelNorExpiry(t *testing.T) {
	t.Parallel()
	old := newJWK(t, symmetric, "old")
	header := map[jose.HeaderKey]any{"exp": 1, "aud": []string{"*.com", "API.example.com"}, "cty": "json"}
	sealed := Prefix + joseSeal(t, old, jose.A256GCM, []byte("no JSON"), header)
	r := ringOf(t, newJWK(t, symmetric, "new"), old)
	resealed, changed, err := r.Reseal(context.Background(), sealed)
	require.NoError(t, err)
	require.True(t, changed)
	before, err := Inspect(sealed)
	require.NoError(t, err)
	after, err := Inspect(resealed)
	require.NoError(t, err)
	require.Equal(t, before.Label, after.Label)
	require.Equal(t, "new", after.KeyID)
	requireRefused(t, r, resealed, Use{}, ErrExpired, "still expired")
}

func TestResealRefusesWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	jwk := newJWK(t, symmetric, "k1")
	r := ringOf(t, jwk)
	sealed := mustSeal(t, r, "hunter2", Label{})
	longest := mustSeal(t, r, "hunter2", Label{Subject: longestSubject()})
	forged := withHeader(sealed, strings.Replace(headerOf(t, sealed), `}`, `,"aud":["*"]}`, 1))
	for rule, tc := range map[string]struct {
		ring   *Keyring
		sealed string
		want   error
	}{
		"altered, under the first key": {r, forged, ErrOpen},
		"altered, under an old key":    {ringOf(t, newJWK(t, symmetric, "k0"), jwk), forged, ErrOpen},
		"key unknown":                  {newRingNamed(t, "other"), sealed, ErrUnknownKey},
		"malformed":                    {r, sealed + ".", ErrMalformed},
		"too long under the new kid":   {ringOf(t, newJWK(t, symmetric, "k1-and-more"), jwk), longest, ErrLabel},
	} {
		resealed, changed, err := tc.ring.Reseal(context.Background(), tc.sealed)
		require.ErrorIs(t, err, tc.want, rule)
		require.Empty(t, resealed, rule)
		require.False(t, changed, rule)
	}
}

// What Open returns is the caller's: writing into it changes no later answer.
func TestOpenedPlaintextIsTheCallers(t *testing.T) {
	t.Parallel()
	r := newRing(t, symmetric)
	sealed := mustSeal(t, r, "hunter2", Label{Hosts: []string{"api.example.com"}})
	first, l, err := r.Open(context.Background(), sealed, Use{})
	require.NoError(t, err)
	require.Equal(t, 7, len(first))
	clear(first[:cap(first)])
	l.Hosts[0] = "evil.test"
	got, l := mustOpen(t, r, sealed, Use{})
	require.Equal(t, "hunter2", got)
	require.Equal(t, []string{"api.example.com"}, l.Hosts)
	plaintext := []byte("hunter2")
	_ = mustSeal(t, r, string(plaintext), Label{})
	require.True(t, bytes.Equal([]byte("hunter2"), plaintext))
}

func newRingNamed(t *testing.T, kid string) *Keyring { return ringOf(t, newJWK(t, symmetric, kid)) }

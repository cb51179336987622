package clientauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
)

const (
	endpoint = "https://as.example/token"
	secret   = "s3cr3t-value"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func apply(t *testing.T, m clientauth.Method) (http.Header, url.Values) {
	t.Helper()
	h, form := http.Header{}, url.Values{}
	require.NoError(t, m(t.Context(), endpoint, h, form))
	return h, form
}

func jwkJSON(t *testing.T, key jose.JSONWebKey) []byte {
	t.Helper()
	b, err := json.Marshal(key)
	require.NoError(t, err)
	return b
}

func TestBasic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, id, secret, want string }{
		{"plain", "app", "hunter2", "app:hunter2"},
		{"a colon in the id is escaped, the separator is not", "a:b", "c", "a%3Ab:c"},
		{"a space is a plus", "my app", "p w", "my+app:p+w"},
		{"plus and percent are escaped", "a+b", "50%", "a%2Bb:50%25"},
		{"UTF-8 octets", "ü", "é", "%C3%BC:%C3%A9"},
		{"url-shaped client id", "https://app.example/", "x", "https%3A%2F%2Fapp.example%2F:x"},
	} {
		h, form := apply(t, clientauth.Basic(c.id, c.secret))
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.want))
		require.Equal(t, http.Header{"Authorization": {want}}, h, c.rule)
		require.Empty(t, form, c.rule)
	}
}

func TestPostAndNone(t *testing.T) {
	t.Parallel()
	h, form := apply(t, clientauth.Post("a:b", "p&w=1"))
	require.Empty(t, h)
	require.Equal(t, url.Values{"client_id": {"a:b"}, "client_secret": {"p&w=1"}}, form)

	h, form = apply(t, clientauth.None("app"))
	require.Empty(t, h)
	require.Equal(t, url.Values{"client_id": {"app"}}, form)
}

func TestBearer(t *testing.T) {
	t.Parallel()
	h, form := apply(t, clientauth.Bearer(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "abc.def"})))
	require.Equal(t, http.Header{"Authorization": {"Bearer abc.def"}}, h)
	require.Empty(t, form)
}

// RFC 6750 section 2.1: what the header cannot carry is not sent.
func TestBearerTakesTheCharactersOfAToken(t *testing.T) {
	t.Parallel()
	const b64token = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for c := range 256 {
		token := string([]byte{byte(c)})
		err := clientauth.Bearer(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))(t.Context(), endpoint, http.Header{}, url.Values{})
		require.Equal(t, strings.Contains(b64token, token), err == nil, "%q", token)
	}
	apply(t, clientauth.Bearer(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "abc=="})))
}

func methods(t *testing.T) map[string]clientauth.Method {
	t.Helper()
	key, err := clientauth.PrivateKeyJWT("app", jwkJSON(t, jose.JSONWebKey{Key: rsaKey()}), "")
	require.NoError(t, err)
	return map[string]clientauth.Method{
		"basic":           clientauth.Basic("app", secret),
		"post":            clientauth.Post("app", secret),
		"none":            clientauth.None("app"),
		"private_key_jwt": key,
		"bearer":          clientauth.Bearer(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "tok"})),
	}
}

// RFC 6749 section 2.3: no more than one authentication method in a request.
func TestAnotherClientsAuthenticationIsReplaced(t *testing.T) {
	t.Parallel()
	for name, m := range methods(t) {
		clean, cleanForm := apply(t, m)
		h := http.Header{"Authorization": {"Bearer old", "Basic older"}, "authorization": {"Basic oldest"}, "Accept": {"x"}}
		form := url.Values{
			"client_id": {"evil", "eviler"}, "client_secret": {"e"}, "client_assertion": {"e"},
			"client_assertion_type": {"e"}, "grant_type": {"refresh_token"},
		}
		require.NoError(t, m(t.Context(), endpoint, h, form), name)
		require.Equal(t, clean["Authorization"], h["Authorization"], name)
		require.NotContains(t, h, "authorization", name)
		require.Equal(t, []string{"x"}, h["Accept"], name)
		require.Equal(t, cleanForm["client_id"], form["client_id"], name)
		require.Equal(t, cleanForm["client_secret"], form["client_secret"], name)
		require.Equal(t, cleanForm["client_assertion_type"], form["client_assertion_type"], name)
		require.Len(t, form["client_assertion"], len(cleanForm["client_assertion"]), name)
		require.NotContains(t, form["client_assertion"], "e", name)
		require.Equal(t, []string{"refresh_token"}, form["grant_type"], name)
	}
}

func TestAMethodIsReusable(t *testing.T) {
	t.Parallel()
	for name, m := range methods(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					h, form := http.Header{}, url.Values{}
					if err := m(context.Background(), endpoint, h, form); err != nil || len(h)+len(form) == 0 {
						t.Errorf("%v, %d headers, %d fields", err, len(h), len(form))
					}
				})
			}
			wg.Wait()
		})
	}
}

type claims struct {
	Iss, Sub, Jti string
	Aud           json.RawMessage
	Iat, Exp      int64
}

func parse(t *testing.T, form url.Values, pub crypto.PublicKey, alg jose.SignatureAlgorithm) (jose.Header, claims) {
	t.Helper()
	require.Equal(t, []string{"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, form["client_assertion_type"])
	jws, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{alg})
	require.NoError(t, err)
	payload, err := jws.Verify(pub)
	require.NoError(t, err)
	var c claims
	require.NoError(t, json.Unmarshal(payload, &c))
	return jws.Signatures[0].Protected, c
}

func TestPrivateKeyJWTSignsWithTheKeysOwnAlgorithm(t *testing.T) {
	t.Parallel()
	ec := func(c elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		require.NoError(t, err)
		return key
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, c := range []struct {
		rule string
		key  crypto.Signer
		alg  string // in the JWK
		use  string // in the JWK
		want jose.SignatureAlgorithm
	}{
		{"RSA without alg is RS256", rsaKey(), "", "", jose.RS256},
		{"RSA with alg keeps it", rsaKey(), "PS256", "sig", jose.PS256},
		{"P-256", ec(elliptic.P256()), "", "", jose.ES256},
		{"P-384", ec(elliptic.P384()), "", "sig", jose.ES384},
		{"P-521", ec(elliptic.P521()), "ES512", "", jose.ES512},
		{"Ed25519", ed, "", "", jose.EdDSA},
	} {
		m, err := clientauth.PrivateKeyJWT("app", jwkJSON(t, jose.JSONWebKey{Key: c.key, Algorithm: c.alg, Use: c.use, KeyID: "k1"}), "")
		require.NoError(t, err, c.rule)
		h, form := apply(t, m)
		require.Empty(t, h, c.rule)
		require.Equal(t, "app", form.Get("client_id"), c.rule)
		header, got := parse(t, form, c.key.Public(), c.want)
		require.Equal(t, "k1", header.KeyID, c.rule)
		require.Equal(t, "app", got.Iss, c.rule)
		require.Equal(t, "app", got.Sub, c.rule)
	}
}

func TestPrivateKeyJWTClaims(t *testing.T) {
	t.Parallel()
	jwk := jwkJSON(t, jose.JSONWebKey{Key: rsaKey()})
	synctest.Test(t, func(t *testing.T) {
		m, err := clientauth.PrivateKeyJWT("app", jwk, "")
		require.NoError(t, err)
		_, form := apply(t, m)
		header, first := parse(t, form, rsaKey().Public(), jose.RS256)
		require.Empty(t, header.KeyID, "no kid is made up")
		require.JSONEq(t, `"`+endpoint+`"`, string(first.Aud), "the endpoint, as one string")
		require.Equal(t, time.Now().Unix(), first.Iat)
		require.Equal(t, first.Iat+60, first.Exp)
		require.GreaterOrEqual(t, len(first.Jti), 22, "128 bits")

		time.Sleep(time.Hour) // the bubble's clock
		_, form = apply(t, m)
		_, second := parse(t, form, rsaKey().Public(), jose.RS256)
		require.Equal(t, first.Iat+3600, second.Iat, "made at the time of use")
		require.NotEqual(t, first.Jti, second.Jti)

		m, err = clientauth.PrivateKeyJWT("app", jwk, "https://as.example")
		require.NoError(t, err)
		_, form = apply(t, m)
		_, got := parse(t, form, rsaKey().Public(), jose.RS256)
		require.JSONEq(t, `"https://as.example"`, string(got.Aud))
	})
}

func TestPrivateKeyJWTRefusesKeys(t *testing.T) {
	t.Parallel()
	small := smallRSA(t)
	sealed := base64.RawURLEncoding.EncodeToString([]byte(secret))
	for _, c := range []struct {
		rule string
		jwk  []byte
		want string
	}{
		{"nothing", nil, "not a JWK"},
		{"not JSON", []byte(secret), "not a JWK"},
		{"symmetric", []byte(`{"kty":"oct","alg":"HS256","k":"` + sealed + `"}`), "not a private"},
		{"public only", jwkJSON(t, jose.JSONWebKey{Key: rsaKey().Public()}), "not a private"},
		{"for encryption", jwkJSON(t, jose.JSONWebKey{Key: rsaKey(), Use: "enc"}), "not for signing"},
		{"alg of another key type", jwkJSON(t, jose.JSONWebKey{Key: rsaKey(), Algorithm: "ES256"}), "alg"},
		{"alg none", jwkJSON(t, jose.JSONWebKey{Key: rsaKey(), Algorithm: "none"}), "alg"},
		{"alg HS256 on an RSA key", jwkJSON(t, jose.JSONWebKey{Key: rsaKey(), Algorithm: "HS256"}), "alg"},
		{"RSA of 1024 bits", jwkJSON(t, jose.JSONWebKey{Key: small}), "2048"},
		{"a private half of zero", ecWithD(t, make([]byte, 32)), "cannot sign"},
		{"the private half of another key", ecWithD(t, append(make([]byte, 31), 7)), "cannot sign"},
		{"a key set", []byte(`{"keys":[]}`), "not a JWK"},
	} {
		m, err := clientauth.PrivateKeyJWT("app", c.jwk, "")
		require.ErrorContains(t, err, c.want, c.rule)
		require.Nil(t, m, c.rule)
		noSecret(t, err, secret, sealed)
	}
	_, err := clientauth.PrivateKeyJWT("", jwkJSON(t, jose.JSONWebKey{Key: rsaKey()}), "")
	require.ErrorContains(t, err, "client id")
}

// ecWithD is a P-256 key with another private half.
func ecWithD(t *testing.T, d []byte) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	var members map[string]string
	require.NoError(t, json.Unmarshal(jwkJSON(t, jose.JSONWebKey{Key: key}), &members))
	members["d"] = base64.RawURLEncoding.EncodeToString(d)
	jwk, err := json.Marshal(members)
	require.NoError(t, err)
	return jwk
}

// smallRSA makes a 1024-bit key, which crypto/rsa itself refuses to generate.
func smallRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	for {
		p, err := rand.Prime(rand.Reader, 512)
		require.NoError(t, err)
		q, err := rand.Prime(rand.Reader, 512)
		require.NoError(t, err)
		one, e := big.NewInt(1), big.NewInt(65537)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		return &rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q},
		}
	}
}

type failingSource struct{ err error }

func (s failingSource) Token() (*oauth2.Token, error) { return nil, s.err }

func TestAFailedMethodLeavesNoAuthentication(t *testing.T) {
	t.Parallel()
	tok := func(tok oauth2.Token) clientauth.Method { return clientauth.Bearer(oauth2.StaticTokenSource(&tok)) }
	retrieve := &oauth2.RetrieveError{Response: &http.Response{Status: "400"}, Body: []byte(secret), ErrorDescription: secret}
	for rule, m := range map[string]clientauth.Method{
		"basic without id":      clientauth.Basic("", secret),
		"basic without secret":  clientauth.Basic("app", ""),
		"post without id":       clientauth.Post("", secret),
		"post without secret":   clientauth.Post("app", ""),
		"none without id":       clientauth.None(""),
		"bearer without source": clientauth.Bearer(nil),
		"bearer, source fails":  clientauth.Bearer(failingSource{retrieve}),
		"bearer, no token":      clientauth.Bearer(failingSource{}),
		"bearer, empty token":   tok(oauth2.Token{}),
		"bearer, expired":       tok(oauth2.Token{AccessToken: secret, Expiry: time.Unix(1, 0)}),
		"bearer, DPoP-bound":    tok(oauth2.Token{AccessToken: secret, TokenType: "DPoP"}),
		"bearer, line break":    tok(oauth2.Token{AccessToken: secret + "\r\nX: y"}),
		"bearer, only padding":  tok(oauth2.Token{AccessToken: "=="}),
		"bearer, inner padding": tok(oauth2.Token{AccessToken: secret + "=x"}),
	} {
		h := http.Header{"Authorization": {"Bearer old"}}
		form := url.Values{"client_secret": {"old"}, "token": {"t"}}
		err := m(t.Context(), endpoint, h, form)
		require.ErrorContains(t, err, "clientauth: ", rule)
		require.Empty(t, h, rule)
		require.Equal(t, url.Values{"token": {"t"}}, form, rule)
		noSecret(t, err, secret)
	}
}

func TestNilHeaderOrFormIsAnError(t *testing.T) {
	t.Parallel()
	for name, m := range methods(t) {
		require.Error(t, m(t.Context(), endpoint, nil, url.Values{}), name)
		require.Error(t, m(t.Context(), endpoint, http.Header{}, nil), name)
	}
}

func TestAnAssertionForNobodyIsNotMade(t *testing.T) {
	t.Parallel()
	form := url.Values{}
	require.Error(t, methods(t)["private_key_jwt"](t.Context(), "", http.Header{}, form))
	require.Empty(t, form)
}

func TestAnEndedContextIsReported(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, m := range methods(t) {
		h, form := http.Header{}, url.Values{}
		require.ErrorIs(t, m(ctx, endpoint, h, form), context.Canceled, name)
		require.Empty(t, len(h)+len(form), name)
	}
	err := clientauth.Bearer(failingSource{fmt.Errorf("%s: %w", secret, context.DeadlineExceeded)})(t.Context(), endpoint, http.Header{}, url.Values{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	noSecret(t, err, secret)
}

// The halves must be what a server that follows RFC 6749 decodes.
func TestBasicDecodesAtAServer(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, endpoint, nil)
	require.NoError(t, clientauth.Basic("a:b c", "d:e+f%")(t.Context(), endpoint, r.Header, url.Values{}))
	user, pass, ok := r.BasicAuth()
	require.True(t, ok)
	user, err := url.QueryUnescape(user)
	require.NoError(t, err)
	pass, err = url.QueryUnescape(pass)
	require.NoError(t, err)
	require.Equal(t, [2]string{"a:b c", "d:e+f%"}, [2]string{user, pass})
}

func noSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v %#v %q", e, e, e, e)
		for _, s := range secrets {
			require.False(t, strings.Contains(text, s), "an error carries a secret")
		}
	}
}

// Package clientauth is how an OAuth client authenticates itself at an
// authorization server's endpoint: token, introspection or revocation
// (RFC 6749 section 2.3, RFC 7523).
//
// A [Method] is applied to one outgoing request just before its form is
// encoded. It removes whatever client authentication the request already
// carries and then adds its own, because a request must not use more than one
// (RFC 6749 section 2.3): a stale Authorization header, or a client_id that
// came in from outside, never travels next to ours.
//
// [PrivateKeyJWT] is the one to pick where the server offers it: no shared
// secret exists. [Basic] and [Post] send the secret itself. [None] is for public
// clients, and for mutual TLS, where the certificate in the http.Client is the
// authentication (RFC 8705). [Bearer] is for introspection endpoints that want
// an access token (RFC 7662 section 2.1).
//
// No error of this package carries a secret, a token or a key, nor text of an
// error that might.
package clientauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

const (
	assertionLife = 60 * time.Second
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	minRSABits    = 2048 // RFC 7518 section 3.3
)

// A Method adds the client's authentication to a request to endpoint, whose
// header is h and whose body will be form; neither may be nil. It is safe for
// concurrent use. After an error h and form hold no client authentication at
// all and the request must not be sent.
type Method func(ctx context.Context, endpoint string, h http.Header, form url.Values) error

// Basic is client_secret_basic: both halves are form-encoded before they are
// joined (RFC 6749 section 2.3.1), so that a colon or a space in either survives.
func Basic(id, secret string) Method {
	return method("client_secret_basic", func(_ context.Context, _ string, h http.Header, _ url.Values) error {
		if id == "" || secret == "" {
			return errors.New("empty client id or secret")
		}
		r := http.Request{Header: h}
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return nil
	})
}

// Post is client_secret_post: client_id and client_secret in the form.
func Post(id, secret string) Method {
	return method("client_secret_post", func(_ context.Context, _ string, _ http.Header, form url.Values) error {
		if id == "" || secret == "" {
			return errors.New("empty client id or secret")
		}
		form.Set("client_id", id)
		form.Set("client_secret", secret)
		return nil
	})
}

// None is a public client, or one authenticated by mutual TLS: client_id alone
// (RFC 6749 section 3.2.1, RFC 8705 section 2).
func None(id string) Method {
	return method("none", func(_ context.Context, _ string, _ http.Header, form url.Values) error {
		if id == "" {
			return errors.New("empty client id")
		}
		form.Set("client_id", id)
		return nil
	})
}

// PrivateKeyJWT is private_key_jwt: a JWT signed with jwk, a private JWK in JSON
// (RSA of at least 2048 bits, EC or Ed25519), proves who asks (RFC 7523 section
// 2.2). Its kid and alg come from the key; a key that names no alg gets ES256,
// ES384 or ES512 by its curve, EdDSA, or RS256. Every assertion has a jti of its
// own and lives 60 seconds by the system's clock. audience is who it is meant
// for, the issuer at many servers; empty means the endpoint it is sent to.
//
// A symmetric key, a public one, one for encryption, and one whose halves do not
// belong together is an error.
func PrivateKeyJWT(id string, jwk []byte, audience string) (Method, error) {
	if id == "" {
		return nil, errors.New("clientauth: private_key_jwt: empty client id")
	}
	signer, err := newSigner(jwk)
	if err != nil {
		return nil, fmt.Errorf("clientauth: private_key_jwt: %w", err)
	}
	return method("private_key_jwt", func(_ context.Context, endpoint string, _ http.Header, form url.Values) error {
		aud := audience
		if aud == "" {
			aud = endpoint
		}
		jwt, err := assertion(signer, id, aud)
		if err != nil {
			return err
		}
		form.Set("client_id", id)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", jwt)
		return nil
	}), nil
}

// Bearer authenticates with an access token of the client's own. ts decides
// how long a token is reused and, having no context, how long it may take. A
// token that is expired or of another type than Bearer is an error.
func Bearer(ts oauth2.TokenSource) Method {
	return method("bearer", func(_ context.Context, _ string, h http.Header, _ url.Values) error {
		if ts == nil {
			return errors.New("no token source")
		}
		tok, err := ts.Token()
		if err != nil {
			return tokenSourceError(err)
		}
		if !tok.Valid() || tok.Type() != "Bearer" || !isB64Token(tok.AccessToken) {
			return errors.New("the token source gave no usable bearer token")
		}
		h.Set("Authorization", "Bearer "+tok.AccessToken)
		return nil
	})
}

// method is add behind what every Method does: refuse what it cannot write to,
// and clear the request of other client authentication.
func method(name string, add Method) Method {
	return func(ctx context.Context, endpoint string, h http.Header, form url.Values) error {
		if h == nil || form == nil {
			return fmt.Errorf("clientauth: %s: nil header or form", name)
		}
		clearAuth(h, form)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("clientauth: %s: %w", name, err)
		}
		if err := add(ctx, endpoint, h, form); err != nil {
			return fmt.Errorf("clientauth: %s: %w", name, err)
		}
		return nil
	}
}

// clearAuth looks at header names as a server does, without regard to case: a
// name put into the map by hand need not be canonical.
func clearAuth(h http.Header, form url.Values) {
	for name := range h {
		if strings.EqualFold(name, "Authorization") {
			delete(h, name)
		}
	}
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		form.Del(name)
	}
}

// tokenSourceError keeps of err only what callers must tell apart: an
// oauth2.RetrieveError prints the server's response body.
func tokenSourceError(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return fmt.Errorf("no token: %w", known)
		}
	}
	return errors.New("the token source failed")
}

func newSigner(jwk []byte) (jose.Signer, error) {
	var key jose.JSONWebKey
	if err := json.Unmarshal(jwk, &key); err != nil {
		return nil, errors.New("the key is not a JWK") // err might quote the key
	}
	algs, err := algorithms(key.Key)
	if err != nil {
		return nil, err
	}
	if key.Use != "" && key.Use != "sig" {
		return nil, errors.New("the key is not for signing")
	}
	if key.Algorithm == "" {
		key.Algorithm = string(algs[0])
	}
	if !slices.Contains(algs, jose.SignatureAlgorithm(key.Algorithm)) {
		return nil, errors.New("the key's alg does not fit its type")
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil || !signs(signer, key) {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}

// signs reports whether key's public half verifies what its private half signs.
func signs(signer jose.Signer, key jose.JSONWebKey) bool {
	jws, err := signer.Sign(nil)
	if err != nil {
		return false
	}
	_, err = jws.Verify(key.Public())
	return err == nil
}

// algorithms lists what key can sign with, the default first.
func algorithms(key any) ([]jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key has fewer than %d bits", minRSABits)
		}
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}, nil
	case *ecdsa.PrivateKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case 384:
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		case 521:
			return []jose.SignatureAlgorithm{jose.ES512}, nil
		}
	case ed25519.PrivateKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}, nil
	}
	return nil, errors.New("the key is not a private RSA, EC or Ed25519 key")
}

// assertion is the JWT of RFC 7523 section 3. aud is one string, not an array:
// an assertion meant for several servers could be replayed among them.
func assertion(signer jose.Signer, id, aud string) (string, error) {
	if aud == "" {
		return "", errors.New("no audience and no endpoint")
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": aud, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", errors.New("cannot encode the assertion")
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		return "", errors.New("cannot sign the assertion")
	}
	return jws.CompactSerialize()
}

// isB64Token is the b64token of RFC 6750 section 2.1.
func isB64Token(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		c := body[i]
		alnum := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alnum && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return true
}

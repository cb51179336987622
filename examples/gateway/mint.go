package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A minter signs the gateway's own JWTs. Its key lives as long as the process; in
// production it comes from where keys are kept, and JWKS is published.
type minter struct {
	signer jose.Signer
	public []byte // JWK set
}

func newMinter() (*minter, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, KeyID: "gateway-1", Algorithm: "ES256", Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return nil, err
	}
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	return &minter{signer: signer, public: public}, err
}

// lifetime leaves an answer kept for phantom.Config.MaxTTL another minute and more.
const lifetime = 5 * time.Minute

// jwt makes an RFC 9068 access token of what the authorization server said.
func (m *minter) jwt(_ context.Context, claims json.RawMessage) (string, error) {
	var said struct {
		Subject  string `json:"sub"`
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(claims, &said); err != nil {
		return "", err
	}
	if said.Subject == "" { // a client on its own behalf: RFC 9068 section 2.2
		said.Subject = said.ClientID
	}
	now := time.Now()
	expires := now.Add(lifetime).Unix()
	if said.Expires != 0 {
		expires = min(expires, said.Expires)
	}
	payload, err := json.Marshal(map[string]any{
		"iss": gatewayIssuer, "aud": servicesAPI, "sub": said.Subject, "client_id": said.ClientID,
		"scope": said.Scope, "iat": now.Unix(), "exp": expires, "jti": rand.Text(),
	})
	if err != nil {
		return "", err
	}
	signed, err := m.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

package tokenvault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"

	"github.com/go-jose/go-jose/v4"
)

// A key is one JSON Web Key, ready for use. Its suite is decided here and
// never by a sealed value.
type key struct {
	id    string
	suite suite
	head  head
	kek   cipher.Block    // symmetric suite
	pub   *ecdh.PublicKey // public suite
	priv  agreement       // public suite; nil: the public half only
}

// agreement is *ecdh.PrivateKey.
type agreement interface {
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
}

func (k *key) canOpen() bool { return k.suite == symmetric || k.priv != nil }

const (
	kekLen = 32
	maxKid = 256 // bytes
)

// NewKey returns a new symmetric key as a JSON Web Key: kty "oct", alg
// "A256KW", 256 random bits and a random key id. It is a secret.
func NewKey() (jwk []byte, err error) {
	k := make([]byte, kekLen)
	rand.Read(k)
	return json.Marshal(struct {
		Kty string `json:"kty"`
		Alg string `json:"alg"`
		Use string `json:"use"`
		Kid string `json:"kid"`
		K   string `json:"k"`
	}{"oct", algSymmetric, "enc", rand.Text(), base64.RawURLEncoding.EncodeToString(k)})
}

// NewKeyPair returns a new P-256 key pair as a JSON Web Key: kty "EC", alg
// "ECDH-ES+A256KW" and a random key id. It is a secret; Keyring.Public gives
// the half that is none.
func NewKeyPair() (jwk []byte, err error) {
	priv, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return json.Marshal(ecJWK(rand.Text(), priv.PublicKey(), base64.RawURLEncoding.EncodeToString(priv.Bytes())))
}

type ecKey struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Alg string `json:"alg"`
	Use string `json:"use"`
	Kid string `json:"kid"`
	X   string `json:"x"`
	Y   string `json:"y"`
	D   string `json:"d,omitempty"`
}

func ecJWK(kid string, pub *ecdh.PublicKey, d string) ecKey {
	point := pub.Bytes()[1:]
	x, y := base64.RawURLEncoding.EncodeToString(point[:coordinate]), base64.RawURLEncoding.EncodeToString(point[coordinate:])
	return ecKey{"EC", "P-256", algPublic, "enc", kid, x, y, d}
}

// What is wrong with a key. go-jose's own errors are kept out: they may quote
// what they could not read.
var (
	errNotJWK = errors.New("not a JSON Web Key")
	errKid    = errors.New("kid must be 1 to 256 bytes of printable text")
	errUse    = errors.New(`use must be "enc" or absent`)
	errKty    = errors.New("key must be 32 bytes oct, or EC on P-256")
	errWeak   = errors.New("key must be 32 random bytes")
	errAlg    = errors.New("alg does not fit: A256KW for oct, ECDH-ES+A256KW for EC")
	errHalves = errors.New("private and public half do not belong together")
)

func parseKey(jwk []byte) (*key, error) {
	var j jose.JSONWebKey
	if err := j.UnmarshalJSON(jwk); err != nil {
		return nil, errNotJWK
	}
	if !isKid(j.KeyID) {
		return nil, errKid
	}
	if j.Use != "" && j.Use != "enc" {
		return nil, errUse
	}
	k := &key{id: j.KeyID}
	if err := k.setMaterial(j.Key); err != nil {
		return nil, err
	}
	if j.Algorithm != "" && j.Algorithm != k.suite.alg() {
		return nil, errAlg
	}
	k.head = newHead(k.suite, k.id)
	return k, nil
}

// setMaterial also sets the suite, which the kind of material decides.
func (k *key) setMaterial(material any) (err error) {
	switch m := material.(type) {
	case []byte:
		return k.setSymmetric(m)
	case *ecdsa.PublicKey:
		k.suite = public
		if k.pub, err = m.ECDH(); err != nil || k.pub.Curve() != ecdh.P256() {
			return errKty
		}
		return nil
	case *ecdsa.PrivateKey:
		k.suite = public
		priv, err := m.ECDH()
		if err != nil || priv.Curve() != ecdh.P256() {
			return errKty
		}
		stated, err := m.PublicKey.ECDH()
		if err != nil || !priv.PublicKey().Equal(stated) {
			return errHalves
		}
		k.pub, k.priv = stated, priv
		return nil
	}
	return errKty
}

// setSymmetric refuses all zeros, which is what a buffer holds that nobody
// filled.
func (k *key) setSymmetric(m []byte) (err error) {
	defer clear(m)
	if len(m) != kekLen || [kekLen]byte(m) == [kekLen]byte{} {
		return errWeak
	}
	k.suite = symmetric
	k.kek, err = aes.NewCipher(m)
	return err
}

// isKid keeps key ids fit to be printed, which is what a Keyring does. s comes
// from a JSON decoder, and so is UTF-8.
func isKid(s string) bool {
	if s == "" || len(s) > maxKid {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// keyError says which key of a set is meant; i < 0 means a key on its own.
func keyError(i int, err error) error {
	if i < 0 {
		return fmt.Errorf("tokenvault: key: %w", err)
	}
	return fmt.Errorf("tokenvault: keys[%d]: %w", i, err)
}

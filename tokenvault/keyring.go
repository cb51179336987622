package tokenvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	jsonstrict "github.com/go-jose/go-jose/v4/json"
)

// A Keyring seals with its first key and opens with all of them. It comes from
// ParseKeyring or OpenKeyring, is safe for concurrent use, and prints as its
// key ids only. Copies share their keys, Replace included.
type Keyring struct {
	// A pointer, so that a Keyring prints the same by value.
	keys *atomic.Pointer[keySet]
}

// keySet is never altered once a Keyring holds it.
type keySet struct {
	ordered []*key
	byID    map[string]*key
}

// maxKeySet bounds what ParseKeyring reads, in bytes.
const maxKeySet = 1 << 20

// ParseKeyring reads a JWK Set, or a single JWK (RFC 7517). The first key
// seals. Each needs a "kid" of its own; "alg" may be absent, since kty and crv
// imply it. A key that is none of the two kinds of this package, or weak, or
// has the kid of another is an error that names its position and quotes
// nothing of it; there is no sentinel for it. At most 1 MiB is read.
func ParseKeyring(jwkSet []byte) (*Keyring, error) {
	set, err := parseKeySet(jwkSet)
	if err != nil {
		return nil, err
	}
	r := &Keyring{new(atomic.Pointer[keySet])}
	r.keys.Store(set)
	return r, nil
}

func parseKeySet(b []byte) (*keySet, error) {
	if len(b) > maxKeySet {
		return nil, fmt.Errorf("tokenvault: key set is longer than %d bytes", maxKeySet)
	}
	// This fork of encoding/json minds case and refuses duplicate members.
	var members map[string]jsonstrict.RawMessage
	if err := jsonstrict.Unmarshal(b, &members); err != nil {
		return nil, errors.New("tokenvault: key set is not a JSON object")
	}
	set := &keySet{byID: make(map[string]*key)}
	list, isSet := members["keys"]
	if !isSet {
		return set, set.add(-1, b)
	}
	var jwks []jsonstrict.RawMessage
	if err := jsonstrict.Unmarshal(list, &jwks); err != nil || len(jwks) == 0 {
		return nil, errors.New("tokenvault: keys is not an array of at least one key")
	}
	for i, jwk := range jwks {
		if err := set.add(i, jwk); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (s *keySet) add(i int, jwk []byte) error {
	k, err := parseKey(jwk)
	if err != nil {
		return keyError(i, err)
	}
	if s.byID[k.id] != nil {
		return keyError(i, errors.New("kid is that of an earlier key"))
	}
	s.byID[k.id] = k
	s.ordered = append(s.ordered, k)
	return nil
}

// first returns the first key of a suite; nil if there is none.
func (s *keySet) first(of suite) *key {
	for _, k := range s.ordered {
		if k.suite == of {
			return k
		}
	}
	return nil
}

// A Decrypter decrypts a key set at rest. It has the shape of
// gocloud.dev/secrets.Keeper, which speaks to AWS, GCP and Azure KMS and to
// HashiCorp Vault.
type Decrypter interface {
	// Decrypt returns the plaintext of ciphertext.
	Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error)
}

// OpenKeyring decrypts a key set with d, once, and parses it. d's error is
// wrapped, but its text, which may quote an answer of the key service, is not
// part of the error's: errors.Unwrap tells more. Other errors are those of
// ParseKeyring.
func OpenKeyring(ctx context.Context, encrypted []byte, d Decrypter) (*Keyring, error) {
	if d == nil {
		return nil, errors.New("tokenvault: Decrypter is nil")
	}
	set, err := d.Decrypt(ctx, encrypted)
	if err != nil {
		return nil, &decryptError{err}
	}
	defer clear(set)
	return ParseKeyring(set)
}

type decryptError struct{ cause error }

func (*decryptError) Error() string   { return "tokenvault: key set does not decrypt" }
func (e *decryptError) Unwrap() error { return e.cause }

// Replace adopts the keys that next has now, all at once. What runs meanwhile
// finishes on the keys it began with. Without keys in next, nothing changes.
func (r *Keyring) Replace(next *Keyring) {
	if set := next.set(); len(set.ordered) > 0 {
		r.keys.Store(set)
	}
}

// set returns the keys of the moment; none for a nil or zero Keyring.
func (r *Keyring) set() *keySet {
	if r == nil || r.keys == nil {
		return new(keySet)
	}
	return r.keys.Load()
}

// Public returns the public halves of the ring's key pairs as a JWK Set, in
// their order: a Keyring of it seals and cannot open. It is an error if the
// ring has no key pair.
func (r *Keyring) Public() (jwkSet []byte, err error) {
	var set struct {
		Keys []ecKey `json:"keys"`
	}
	for _, k := range r.set().ordered {
		if k.suite == public {
			set.Keys = append(set.Keys, ecJWK(k.id, k.pub, ""))
		}
	}
	if set.Keys == nil {
		return nil, errors.New("tokenvault: keyring has no key pair")
	}
	return json.Marshal(set)
}

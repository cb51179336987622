package phantom

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
)

// A sealed value is
//
//	version (1 byte) | deadline (8, Unix nanoseconds) | nonce (12) | ciphertext
//
// under AES-256-GCM with a key derived for the name it is stored under, so that
// no key ever sees enough messages for random nonces to matter. Name, version and
// deadline are authenticated with it: a value moved to another name, or kept with
// a later deadline, does not open.
const (
	sealVersion = 1
	deadlineLen = 8
	nonceLen    = 12
	sealHeader  = 1 + deadlineLen
	maxSealed   = 8 * maxAnswer // JSON escapes make a record longer than its answer
)

const (
	answerPrefix  = "phantom:a:"
	lockPrefix    = "phantom:l:"
	subjectPrefix = "phantom:s:"
)

var errSealed = errors.New("phantom: the shared value is not ours")

func (s *sharedTier) aead(name string) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, s.roots.seal, name, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *sharedTier) seal(name string, deadline int64, r record) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	aead, err := s.aead(name)
	if err != nil {
		return nil, err
	}
	out := make([]byte, sealHeader+nonceLen, sealHeader+nonceLen+len(plain)+aead.Overhead())
	out[0] = sealVersion
	binary.BigEndian.PutUint64(out[1:], uint64(deadline))
	rand.Read(out[sealHeader:])
	return aead.Seal(out, out[sealHeader:], plain, append(out[:sealHeader:sealHeader], name...)), nil
}

// open refuses a value past its deadline, whatever the cache thinks of it.
func (s *sharedTier) open(name string, value []byte, r *record) error {
	if len(value) < sealHeader+nonceLen || len(value) > maxSealed || value[0] != sealVersion {
		return errSealed
	}
	head, nonce, box := value[:sealHeader], value[sealHeader:sealHeader+nonceLen], value[sealHeader+nonceLen:]
	if s.cfg.Now().UnixNano() >= int64(binary.BigEndian.Uint64(head[1:])) {
		return errSealed
	}
	aead, err := s.aead(name)
	if err != nil {
		return err
	}
	plain, err := aead.Open(nil, nonce, box, append(head[:sealHeader:sealHeader], name...))
	if err != nil || json.Unmarshal(plain, r) != nil {
		return errSealed
	}
	return nil
}

package phantom

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// A cacheKey names a token in the first tier without giving it away.
type cacheKey [sha256.Size]byte

// A keyer makes cache keys: HMACs under a key of its own, which itself is the
// HMAC of everything besides the token that an answer depends on. So it is one
// short HMAC a call. Safe for concurrent use, without allocation.
type keyer struct{ pool sync.Pool }

type keyerState struct {
	mac     hash.Hash
	scratch []byte
}

// newKeyer binds keys to parts, each length-prefixed, so that no two lists of
// parts look alike.
func newKeyer(root []byte, parts ...string) *keyer {
	mac := hmac.New(sha256.New, root)
	for _, p := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		mac.Write([]byte(p))
	}
	key := mac.Sum(nil)
	return &keyer{pool: sync.Pool{New: func() any {
		return &keyerState{mac: hmac.New(sha256.New, key), scratch: make([]byte, 0, 256)}
	}}}
}

func (k *keyer) key(token string) cacheKey {
	s := k.pool.Get().(*keyerState)
	s.mac.Reset()
	s.scratch = append(s.scratch[:0], token...)
	s.mac.Write(s.scratch)
	clear(s.scratch) // the pool keeps no token
	s.scratch = s.mac.Sum(s.scratch[:0])
	key := cacheKey(s.scratch)
	k.pool.Put(s)
	return key
}

// name is the key's printable form, for the shared tier.
func (k *keyer) name(prefix, token string) string {
	key := k.key(token)
	return prefix + base64.RawURLEncoding.EncodeToString(key[:])
}

// roots are the keys that everything derives from.
type roots struct{ keys, seal []byte }

// newRoots derives them from the fleet's secret, or from a random one for a
// process on its own.
func newRoots(secret []byte) (roots, error) {
	if len(secret) == 0 {
		secret = make([]byte, cacheKeyLen)
		rand.Read(secret)
	}
	keys, err := hkdf.Key(sha256.New, secret, nil, "tokenvault phantom cache keys v1", cacheKeyLen)
	if err != nil {
		return roots{}, fmt.Errorf("phantom: Config.CacheKey: %w", err)
	}
	seal, err := hkdf.Extract(sha256.New, secret, []byte("tokenvault phantom sealed values v1"))
	if err != nil {
		return roots{}, fmt.Errorf("phantom: Config.CacheKey: %w", err)
	}
	return roots{keys: keys, seal: seal}, nil
}

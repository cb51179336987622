package jwks

import (
	"crypto/sha256"

	"github.com/maypok86/otter/v2"
)

// cache remembers verified tokens, and only those. Its keys are HMACs under a
// secret of the Verifier's own, so that nobody can aim at an entry, and whole,
// so that no other token is taken for one. An entry spares the signature: the
// claims, the key's presence and the issuer's freshness are judged on each use.
type cache struct {
	tokens *otter.Cache[[sha256.Size]byte, *entry]
}

type entry struct {
	claims     *claims
	issuer     *issuer
	generation uint64
}

func newCache(size int) (*cache, error) {
	if size < 0 {
		return nil, nil
	}
	tokens, err := otter.New(&otter.Options[[sha256.Size]byte, *entry]{MaximumSize: size})
	if err != nil {
		return nil, err
	}
	return &cache{tokens}, nil
}

// A nil cache is empty and stays so, and spares the HMAC.

// get returns what is remembered of the token that s has loaded.
func (c *cache) get(s *scratch) *entry {
	if c == nil {
		return nil
	}
	s.name()
	e, _ := c.tokens.GetIfPresent(s.sum)
	return e
}

// put remembers the token that get was asked for.
func (c *cache) put(s *scratch, e entry) {
	if c != nil {
		c.tokens.Set(s.sum, &e)
	}
}

func (c *cache) drop(s *scratch) { c.tokens.Invalidate(s.sum) }

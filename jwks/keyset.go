package jwks

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// keySet is the usable part of a JWK set, prepared for lookups. It never
// changes once built.
type keySet struct {
	byName  map[keyName][]crypto.PublicKey
	byAlg   map[string][]crypto.PublicKey
	kids    map[string]bool
	usable  int
	skipped []error // why, in the set's order
	print   [sha256.Size]byte
}

type keyName struct{ kid, alg string }

var errNotSet = errors.New("not a JWK set")

// parseSet reads a JWK set (RFC 7517 section 5). Keys that are not understood,
// broken, or for none of the algorithms are skipped, as that section has it:
// one of them must not spoil the rest.
func parseSet(data []byte, algs []*algorithm) (*keySet, error) {
	list := ""
	ok := membersOnly(string(data), func(name, raw string) {
		if name == "keys" {
			list = raw
		}
	})
	set := &keySet{
		byName: map[keyName][]crypto.PublicKey{},
		byAlg:  map[string][]crypto.PublicKey{},
		kids:   map[string]bool{},
	}
	var prints [][]byte
	ok = ok && elementsOnly(list, func(raw string) {
		mark, err := set.add(raw, algs)
		if err != nil {
			set.skipped = append(set.skipped, fmt.Errorf("keys[%d]: %w", set.usable+len(set.skipped), err))
			return
		}
		set.usable++
		prints = append(prints, mark)
	})
	if !ok {
		return nil, errNotSet
	}
	slices.SortFunc(prints, bytes.Compare)
	set.print = sha256.Sum256(bytes.Join(prints, nil))
	return set, nil
}

func (s *keySet) add(raw string, algs []*algorithm) (mark []byte, err error) {
	k, err := parseJWK(raw)
	s.kids[k.kid] = true
	if err != nil {
		return nil, err
	}
	sum, err := k.print()
	if err != nil {
		return nil, errKeyParse
	}
	fit := false
	for _, a := range algs {
		if k.fits(a) {
			name := keyName{k.kid, a.name}
			s.byName[name] = append(s.byName[name], k.pub)
			s.byAlg[a.name] = append(s.byAlg[a.name], k.pub)
			fit = true
		}
	}
	if !fit {
		return nil, errKeyAlg
	}
	return sum[:], nil
}

// find returns the keys to try for a token. known tells, if there are none,
// that a fresh set would not help: the set has the kid, but its keys do not fit
// alg, or without a kid several keys do.
func (s *keySet) find(kid, alg string) (keys []crypto.PublicKey, known bool) {
	if kid != "" {
		return s.byName[keyName{kid, alg}], s.kids[kid]
	}
	if keys = s.byAlg[alg]; len(keys) > 1 {
		return nil, true
	}
	return keys, false
}

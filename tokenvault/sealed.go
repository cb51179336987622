package tokenvault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// Prefix starts every sealed string; the digit is the version of the format.
const Prefix = wire.Prefix

// Errors of Seal, Open, Reseal and Inspect, always wrapped. None of their texts
// quotes a sealed value, its plaintext or a key.
var (
	// ErrMalformed: the string is not one that any keyring could open.
	ErrMalformed = errors.New("tokenvault: malformed sealed value")
	// ErrUnknownKey: the keyring has no key of that id, or only its public
	// half. It says nothing about the value: keep it.
	ErrUnknownKey = errors.New("tokenvault: unknown key")
	// ErrOpen: the value was altered, or sealed under another key of that id.
	ErrOpen = errors.New("tokenvault: sealed value does not open")
	// ErrExpired: the label's time is over.
	ErrExpired = errors.New("tokenvault: sealed value expired")
	// ErrLabel: the label is not fit to be sealed, or forbids this use.
	ErrLabel = errors.New("tokenvault: label refused")
)

// A Sealer seals, opens and reseals, as Keyring documents it. Packages that
// only do that ask for a Sealer; *Keyring is one.
type Sealer interface {
	// Seal seals plaintext under l.
	Seal(ctx context.Context, plaintext []byte, l Label) (string, error)
	// Open returns the plaintext, if the label allows use, and the label.
	Open(ctx context.Context, sealed string, use Use) ([]byte, Label, error)
	// Reseal seals anew under the first key; changed is false if it was under
	// that key already.
	Reseal(ctx context.Context, sealed string) (resealed string, changed bool, err error)
}

var _ Sealer = (*Keyring)(nil)

// Seal seals plaintext, of at most 64 KiB and as it is, under the first key.
// It is an error wrapping ErrLabel if l has expired, lists a host that is no
// pattern, calls JSON what is not exactly one JSON value, or takes more than
// 4 KiB, and one wrapping ErrUnknownKey if the ring is empty. The context is
// for Sealers that ask elsewhere; a Keyring does not.
func (r *Keyring) Seal(_ context.Context, plaintext []byte, l Label) (string, error) {
	set := r.set()
	if len(set.ordered) == 0 {
		return "", fmt.Errorf("%w: keyring is empty", ErrUnknownKey)
	}
	l, err := l.sealable(plaintext, time.Now())
	if err != nil {
		return "", err
	}
	return set.ordered[0].seal(plaintext, l)
}

// Open returns the plaintext of a sealed value and the label it was sealed
// with, if the value is authentic and its label allows use. The key is the one
// that the value names, under the suite of that key; no other is tried. The
// error wraps one of the Err variables: ErrMalformed, ErrUnknownKey, ErrOpen,
// ErrExpired or ErrLabel, tried in that order but for a value sealed with a
// public key, which is ErrLabel unopened.
func (r *Keyring) Open(_ context.Context, sealed string, use Use) ([]byte, Label, error) {
	w := takeWork()
	defer w.giveBack()
	h, err := w.parse(sealed)
	if err != nil {
		return nil, Label{}, err
	}
	k, err := r.set().opener(&h)
	if err != nil {
		return nil, Label{}, err
	}
	if k.suite == public && !use.AllowPublic {
		return nil, Label{}, fmt.Errorf("%w: sealed with a public key", ErrLabel)
	}
	plaintext, err := k.open(w, &h)
	if err != nil {
		return nil, Label{}, err
	}
	if err := h.label.allows(use, plaintext); err != nil {
		clear(plaintext)
		return nil, Label{}, err
	}
	return plaintext, h.label, nil
}

// Reseal seals a value anew under the first key of its own suite, with the
// label it has: neither label nor expiry is judged. A value that is under that
// key already comes back as it is, not changed. A value that does not open is
// an error, whatever key it names: ErrMalformed, ErrUnknownKey or ErrOpen.
func (r *Keyring) Reseal(_ context.Context, sealed string) (resealed string, changed bool, err error) {
	w := takeWork()
	defer w.giveBack()
	h, err := w.parse(sealed)
	if err != nil {
		return "", false, err
	}
	set := r.set()
	k, err := set.opener(&h)
	if err != nil {
		return "", false, err
	}
	plaintext, err := k.open(w, &h)
	if err != nil {
		return "", false, err
	}
	defer clear(plaintext)
	first := set.first(k.suite)
	if first == k {
		return sealed, false, nil
	}
	if resealed, err = first.seal(plaintext, h.label); err != nil {
		return "", false, err
	}
	return resealed, true, nil
}

// opener returns the key that h names, if it is fit to open.
func (s *keySet) opener(h *header) (*key, error) {
	k := s.byID[h.kid]
	switch {
	case k == nil:
		return nil, ErrUnknownKey
	case k.suite != h.suite:
		return nil, malformed(errSuite)
	case !k.canOpen():
		return nil, fmt.Errorf("%w: its private half is not here", ErrUnknownKey)
	}
	return k, nil
}

// Inspect reads a sealed value's header without a key. The string is as
// strictly judged as by Open, but nothing is verified: anyone can write a
// header. The error wraps ErrMalformed.
func Inspect(sealed string) (Header, error) {
	w := takeWork()
	defer w.giveBack()
	h, err := w.parse(sealed)
	if err != nil {
		return Header{}, err
	}
	return Header{h.kid, h.suite.alg(), h.label}, nil
}

// Find reports the first sealed value in b: b[start:end]. start < 0 means there
// is none; end < 0 means that b ends inside a possible one, which begins at
// start. The value ends with its tag; what follows is not part of it, whatever
// it is.
func Find(b []byte) (start, end int) { return wire.Find(b) }

// What is wrong with a sealed string. The string itself is not quoted.
var (
	errLength    = errors.New("too long")
	errPrefix    = errors.New("no version 1 prefix")
	errShape     = errors.New("not five segments of the right length")
	errBase64    = errors.New("not canonical base64url")
	errPlaintext = fmt.Errorf("tokenvault: plaintext is longer than %d bytes", wire.MaxPlaintext)
)

func malformed(why error) error { return fmt.Errorf("%w: %w", ErrMalformed, why) }

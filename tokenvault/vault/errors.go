package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

var (
	// ErrReauthorize means that the grant is of no more use and its owner must
	// authorize anew: it is dead, revoked, past its lifetime, or its access
	// token expired and there is no refresh token.
	ErrReauthorize = errors.New("vault: the owner must authorize anew")
	// ErrUnavailable means that there is no fresh token now and may be one
	// later; the grant is kept. The error has RetryAfter() time.Duration.
	ErrUnavailable = errors.New("vault: temporarily unavailable")
	// ErrRevokePending means that the grant is revoked here, and that whoever
	// is refreshing it at this moment revokes the outcome at the authorization
	// server. The error has RetryAfter() time.Duration, after which Revoke may
	// be called again to be certain.
	ErrRevokePending = errors.New("vault: revocation pending")
)

// What a row is refused for. Each wraps the sentinel of package tokenvault
// that says the same of a sealed value: its label forbids this use.
var (
	errOwner      = fmt.Errorf("vault: the grant belongs to another owner: %w", tokenvault.ErrLabel)
	errCopied     = fmt.Errorf("vault: the sealed grant belongs to another row: %w", tokenvault.ErrLabel)
	errGeneration = fmt.Errorf("vault: the sealed grant is of another generation: %w", tokenvault.ErrLabel)
	errProvider   = fmt.Errorf("vault: the grant belongs to another provider, token URL or client id: %w", tokenvault.ErrLabel)
)

var (
	errClosed   = errors.New("vault: closed")
	errNoRow    = fmt.Errorf("vault: no such grant: %w", fs.ErrNotExist)
	errTooLarge = errors.New("vault: the grant's tokens are too large to be sealed")
)

// retryError is ErrUnavailable or ErrRevokePending with what is known of the
// reason. Whatever the cause, its text stays out: an upstream's error may quote
// what was sent or received. errors.Is still finds it.
type retryError struct {
	kind   error
	reason string
	after  time.Duration
	cause  error
}

// unavailable is ErrUnavailable. reason must not hold text from upstream.
func unavailable(reason string, after time.Duration, cause error) error {
	return &retryError{ErrUnavailable, reason, after, cause}
}

// storeFailed is ErrUnavailable with the store's own words: a store sees
// nothing but sealed values.
func storeFailed(doing string, err error) error {
	return unavailable(fmt.Sprintf("%s: %v", doing, err), 0, err)
}

func (e *retryError) Error() string { return e.kind.Error() + ": " + e.reason }

// Format keeps every verb as quiet as Error.
func (e *retryError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// Is reports whether target is the kind of error, or what caused it.
func (e *retryError) Is(target error) bool {
	return target == e.kind || e.cause != nil && errors.Is(e.cause, target)
}

// RetryAfter is how long to wait before asking again; at least a second.
func (e *retryError) RetryAfter() time.Duration { return max(e.after, time.Second) }

// sentinel reduces err to what an Event may carry.
func sentinel(err error) error {
	for _, s := range []error{
		ErrReauthorize, ErrRevokePending, ErrUnavailable, fs.ErrNotExist,
		tokenvault.ErrUnknownKey, tokenvault.ErrMalformed, tokenvault.ErrOpen, tokenvault.ErrLabel,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, s) {
			return s
		}
	}
	if err != nil {
		return errOther
	}
	return nil
}

var errOther = errors.New("vault: other error")

package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// What RoundTrip refuses. Each is wrapped with the place and the reason, never
// with a value. A sealed value that does not open is refused with tokenvault's
// own sentinels (ErrMalformed, ErrUnknownKey, ErrOpen, ErrExpired, ErrLabel).
var (
	// ErrDestination: no destination allows this host, method and path.
	ErrDestination = errors.New("relay: destination not allowed")
	// ErrAuthority: the host that would be checked is not the host that would be
	// dialled.
	ErrAuthority = errors.New("relay: request does not name one authority")
	// ErrInsecure: the request would leave without TLS.
	ErrInsecure = errors.New("relay: plaintext transport")
	// ErrPlace: a sealed value where the destination opens none, not alone in its
	// place, or whose plaintext its place cannot carry.
	ErrPlace = errors.New("relay: sealed value not allowed here")
	// ErrTooLarge: a sealed value beyond MaxBody, more than MaxValues of them, or
	// a body that decodes to too much.
	ErrTooLarge = errors.New("relay: too large")
	// ErrResponse: the answer could not be sealed; nothing of it was passed on.
	ErrResponse = errors.New("relay: response cannot be sealed")
)

// sentinels are the errors an Event may carry.
var sentinels = [...]error{
	ErrDestination, ErrAuthority, ErrInsecure, ErrPlace, ErrTooLarge, ErrResponse,
	tokenvault.ErrMalformed, tokenvault.ErrUnknownKey, tokenvault.ErrOpen, tokenvault.ErrExpired, tokenvault.ErrLabel,
	context.Canceled, context.DeadlineExceeded,
}

var errOther = errors.New("relay: transport failed")

func sentinel(err error) error {
	if err == nil {
		return nil
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s
		}
	}
	return errOther
}

// A placeError says where in the request a refusal arose, so that Observe can
// report it.
type placeError struct {
	place string
	err   error
}

func (e *placeError) Error() string {
	msg := e.err.Error()
	if strings.HasPrefix(msg, "relay: ") {
		return msg + " (" + e.place + ")"
	}
	return "relay: " + e.place + ": " + msg
}
func (e *placeError) Unwrap() error { return e.err }

// refuse is err at place, with the reason.
func refuse(err error, place, reason string) error {
	if reason != "" {
		err = fmt.Errorf("%w: %s", err, reason)
	}
	if place == "" {
		return err
	}
	return &placeError{place, err}
}

// in names the field of a configuration that err is about.
func in(field string, err error) error { return fmt.Errorf("%s: %w", field, err) }

// element is in for the i-th of a list.
func element(field string, i int, err error) error { return fmt.Errorf("%s[%d]: %w", field, i, err) }

var (
	errMissing  = errors.New("missing")
	errNone     = errors.New("none")
	errNegative = errors.New("negative")
	errSHA256   = errors.New("not 32 bytes")
)

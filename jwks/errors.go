package jwks

import (
	"errors"
	"fmt"
	"time"
)

// The errors of [Verifier.Verify] say which rule refused a token. They are for
// the service's log; the HTTP answers of [Verifier.Handler] do not tell. No
// error carries any part of a token.
var (
	ErrNoToken     = errors.New("jwks: no token")                                // a request without one
	ErrMalformed   = errors.New("jwks: malformed token")                         // form, header or JSON (RFC 7515, RFC 7519)
	ErrSignature   = errors.New("jwks: signature not accepted")                  // it does not verify under the key it names
	ErrIssuer      = errors.New("jwks: issuer not accepted")                     // iss is none of Config.Issuers
	ErrAudience    = errors.New("jwks: audience not accepted")                   // aud has none of Issuer.Audience
	ErrExpired     = errors.New("jwks: token expired")                           // exp, Issuer.MaxAge or Issuer.MaxLifetime
	ErrNotYet      = errors.New("jwks: token not valid yet")                     // nbf or iat
	ErrType        = errors.New("jwks: token type not accepted")                 // typ is none of Issuer.Types (RFC 9068 section 4)
	ErrScope       = errors.New("jwks: scope not accepted")                      // beyond Issuer.Scopes, or not what Require asks
	ErrBinding     = errors.New("jwks: sender-constrained token used as bearer") // cnf (RFC 7800)
	ErrUnknownKey  = errors.New("jwks: unknown key")                             // the issuer was asked and has none that fits
	ErrUnavailable = errors.New("jwks: keys unavailable")                        // has RetryAfter() time.Duration
)

// refuse makes the details at start-up, so that refusing a token costs nothing.
func refuse(rule error, detail string) error { return fmt.Errorf("%w: %s", rule, detail) }

// unavailable is ErrUnavailable with the time after which asking again may help.
type unavailable struct {
	after time.Duration
	cause error // a static reason or a context's error
}

func (e *unavailable) Error() string {
	if errors.Is(e.cause, ErrUnavailable) {
		return e.cause.Error()
	}
	return ErrUnavailable.Error() + ": " + e.cause.Error()
}

func (e *unavailable) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// RetryAfter is at least a second, the unit of the Retry-After header.
func (e *unavailable) RetryAfter() time.Duration { return max(e.after, time.Second) }

// sentinel reduces err to one of the package's errors, for events.
func sentinel(err error) error {
	for _, s := range []error{
		ErrNoToken, ErrMalformed, ErrSignature, ErrIssuer, ErrAudience, ErrExpired, ErrNotYet,
		ErrType, ErrScope, ErrBinding, ErrUnknownKey, ErrUnavailable,
	} {
		if errors.Is(err, s) {
			return s
		}
	}
	return nil
}

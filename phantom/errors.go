package phantom

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What can be wrong with a call of Exchange. Every error but the end of the
// caller's own context is one of these, and none says more than that: neither
// token nor answer nor any text of an underlying error.
var (
	// ErrNoToken: there is no bearer token.
	ErrNoToken = errors.New("phantom: no token")
	// ErrMalformed: the token is not a b64token, or too long.
	ErrMalformed = errors.New("phantom: malformed token")
	// ErrInactive: the server does not know the token, or it has expired.
	ErrInactive = errors.New("phantom: token not active")
	// ErrScope: the token lacks a scope of Config.Scopes.
	ErrScope = errors.New("phantom: insufficient scope")
	// ErrAudience: the token is for none of Config.Audience.
	ErrAudience = errors.New("phantom: wrong audience")
	// ErrUnavailable: no answer could be had. Such an error also has a method
	// RetryAfter() time.Duration; zero means not known.
	ErrUnavailable = errors.New("phantom: introspection unavailable")
	// ErrResponse: the server's answer cannot be used, or it refused us.
	ErrResponse = errors.New("phantom: unusable introspection answer")
)

// unavailable is an ErrUnavailable that knows how it should be answered.
type unavailable struct {
	detail string
	status int
	after  time.Duration
}

func (u *unavailable) Error() string             { return ErrUnavailable.Error() + ": " + u.detail }
func (u *unavailable) Unwrap() error             { return ErrUnavailable }
func (u *unavailable) RetryAfter() time.Duration { return u.after }

var (
	errTimeout  = &unavailable{detail: "timeout", status: http.StatusGatewayTimeout}
	errReach    = &unavailable{detail: "the endpoint cannot be reached", status: http.StatusBadGateway}
	errOverload = &unavailable{detail: "too many introspections in flight", status: http.StatusServiceUnavailable, after: time.Second}
	errEvicted  = &unavailable{detail: "evicted in this process only", status: http.StatusServiceUnavailable}
	errClosed   = &unavailable{detail: "closed", status: http.StatusServiceUnavailable, after: time.Second}
)

// unusable is an ErrResponse with the reason, a fixed text.
func unusable(reason string) error { return fmt.Errorf("%w: %s", ErrResponse, reason) }

// judge sorts the error of a Verify, VerifyResponse or Mint: one that cannot
// tell for now is an outage, and anything else is refusal. Its text is dropped.
func judge(err, refusal error) error {
	var later interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &later):
		return &unavailable{
			detail: "keys unavailable", status: http.StatusServiceUnavailable, after: later.RetryAfter(),
		}
	case errors.Is(err, context.DeadlineExceeded):
		return errTimeout
	}
	return refusal
}

// outcome is the answer to a request that failed with err: a status, 0 for
// nothing at all, and the error code of RFC 6750 section 3.1.
func outcome(err error) (status int, code string) {
	var u *unavailable
	switch {
	case errors.Is(err, ErrNoToken):
		return http.StatusUnauthorized, ""
	case errors.Is(err, errTwice):
		return http.StatusBadRequest, "invalid_request"
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrInactive), errors.Is(err, ErrAudience):
		return http.StatusUnauthorized, "invalid_token"
	case errors.Is(err, ErrScope):
		return http.StatusForbidden, "insufficient_scope"
	case errors.As(err, &u):
		return u.status, ""
	case errors.Is(err, ErrResponse):
		return http.StatusBadGateway, ""
	}
	return 0, ""
}

// sentinel is what an Event tells of err.
func sentinel(err error) error {
	for _, known := range []error{
		nil, ErrNoToken, ErrMalformed, ErrInactive, ErrScope, ErrAudience, ErrUnavailable, ErrResponse,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return ErrUnavailable
}

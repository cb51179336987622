package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/seed-6d9a6c17/tokenvault/internal/echo"
)

// A baseError stands for an error of Base that may quote what was sent. It
// holds nothing of the original but its class.
type baseError struct {
	msg     string
	timeout bool
	is      []error
}

func (e *baseError) Error() string   { return e.msg }
func (e *baseError) Timeout() bool   { return e.timeout }
func (e *baseError) Temporary() bool { return e.timeout }
func (e *baseError) Is(target error) bool {
	for _, err := range e.is {
		if err == target {
			return true
		}
	}
	return false
}

// classes are the errors that callers of an http.Client test for.
var classes = [...]error{
	context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe,
	net.ErrClosed, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
	ErrDestination, ErrAuthority, ErrInsecure, ErrPlace, ErrTooLarge, ErrResponse,
}

// rewriteError keeps what this request revealed out of Base's error. An error
// that quotes nothing is returned as it is.
func (x *exchange) rewriteError(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dest == nil || len(x.revealed) == 0 || !quotes(err, echo.New(x.revealed, 1)) {
		return err
	}
	out := &baseError{msg: "relay: request to " + x.host + " failed (the error quotes a credential and is withheld)"}
	var timeout net.Error
	if errors.As(err, &timeout) {
		out.timeout = timeout.Timeout()
	}
	for _, c := range classes {
		if errors.Is(err, c) {
			out.is = append(out.is, c)
		}
	}
	return out
}

// quotes reports whether err shows, in any of the usual ways to print it, what
// s finds.
func quotes(err error, s *echo.Scrubber) bool {
	if s == nil {
		return false
	}
	for _, format := range [...]string{"%v", "%+v"} {
		text := fmt.Sprintf(format, err)
		if string(s.Bytes([]byte(text))) != text {
			return true
		}
	}
	return false
}

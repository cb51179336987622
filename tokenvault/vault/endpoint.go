package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// maxAnswer bounds what is read of an authorization server's answer, so that
// what is read can also be sealed.
const maxAnswer = 56 << 10

// reply is what came of one POST to an authorization server.
type reply struct {
	status    int
	header    http.Header
	body      []byte
	truncated bool
}

// postError says that no reply came, and whether the form may have gone out.
type postError struct {
	sent   bool
	kept   bool   // over a connection kept from an earlier request, which ended without a byte
	reason string // without text from upstream
	cause  error
}

// post sends form once, with the client's authentication, and reads the reply.
// ctx must have a deadline: the form never goes out after it.
func (p *provider) post(ctx context.Context, endpoint string, form url.Values) (reply, *postError) {
	header := http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		"Accept":       {"application/json"},
		"User-Agent":   {"tokenvault"},
	}
	if err := p.auth(ctx, endpoint, header, form); err != nil {
		return reply{}, &postError{reason: "the client cannot authenticate", cause: err}
	}
	var w wire
	deadline, _ := ctx.Deadline()
	body := &formBody{form: strings.NewReader(form.Encode()), deadline: deadline}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, w.trace()), http.MethodPost, endpoint, body)
	if err != nil {
		return reply{}, &postError{reason: "the request cannot be made", cause: errNotSent}
	}
	// Without GetBody a transport cannot send the form a second time.
	req.Header, req.ContentLength, req.GetBody = header, body.form.Size(), nil
	resp, err := p.client.Do(req)
	if err != nil {
		sent := !w.neverSent() && body.read.Load()
		return reply{}, &postError{sent, w.kept.Load() && !w.answered.Load() && ctx.Err() == nil, describe(err, sent), err}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return reply{}, &postError{sent: true, reason: "the answer broke off", cause: err}
	}
	return reply{resp.StatusCode, resp.Header, b, len(b) > maxAnswer}, nil
}

var errNotSent = errors.New("vault: not sent")

// describe is a reason without any text from upstream.
func describe(err error, sent bool) string {
	var timeout interface{ Timeout() bool }
	switch {
	case sent && errors.As(err, &timeout) && timeout.Timeout():
		return "the authorization server did not answer in time"
	case sent:
		return "the authorization server did not answer"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "not sent: the authorization server was not reached in time"
	}
	return "not sent: the authorization server was not reached"
}

// formBody is a request body that is not read after the deadline. A process
// that was stopped between acquiring its lease and sending must not send once
// it runs again, and its timers may fire later than its transport writes.
type formBody struct {
	form     *strings.Reader
	deadline time.Time
	read     atomic.Bool
}

func (b *formBody) Read(p []byte) (int, error) {
	if passed(b.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	b.read.Store(true)
	return b.form.Read(p)
}

func (*formBody) Close() error { return nil }

// passed compares the monotonic clock and the wall clock: the former stands
// still while a machine is suspended.
func passed(deadline time.Time) bool {
	now := time.Now()
	return !now.Before(deadline) || !now.Round(0).Before(deadline.Round(0))
}

// wire watches how far a request got.
type wire struct{ began, kept, wrote, answered atomic.Bool }

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:              func(string) { w.began.Store(true) },
		GotConn:              func(c httptrace.GotConnInfo) { w.kept.Store(c.Reused) },
		WroteHeaders:         func() { w.wrote.Store(true) },
		GotFirstResponseByte: func() { w.answered.Store(true) },
	}
}

// neverSent is certain only of transports that report to the trace: one began
// to look for a connection and never finished a header, which precedes the
// form.
func (w *wire) neverSent() bool { return w.began.Load() && !w.wrote.Load() }

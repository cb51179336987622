package relay

import (
	"context"
	"net/http/httptrace"
)

// context is the request's, without the one trace hook that is handed header
// values as they are sent.
func (x *exchange) context() context.Context {
	ctx := x.req.Context()
	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil || trace.WroteHeaderField == nil {
		return ctx
	}
	quiet := *trace
	quiet.WroteHeaderField = nil
	return &traced{ctx, httptrace.WithClientTrace(context.Background(), &quiet)}
}

// traced is a context whose trace is another's. httptrace.WithClientTrace alone
// would join the two.
type traced struct {
	context.Context
	trace context.Context
}

func (t *traced) Value(key any) any {
	if v := t.trace.Value(key); v != nil {
		return v
	}
	return t.Context.Value(key)
}

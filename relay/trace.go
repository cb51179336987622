package relay

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"

	"github.com/seed-6d9a6c17/tokenvault/internal/echo"
)

// context is the request's, without the one trace hook that is handed header
// values as they are sent, and with interim answers as harmless as the final one:
// without echoes, and without the fields that would be sealed in it.
func (x *exchange) context() context.Context {
	ctx := x.req.Context()
	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil || trace.WroteHeaderField == nil && trace.Got1xxResponse == nil {
		return ctx
	}
	quiet := *trace
	quiet.WroteHeaderField = nil
	if got := trace.Got1xxResponse; got != nil {
		quiet.Got1xxResponse = func(code int, h textproto.MIMEHeader) error {
			scrubbed := http.Header(h).Clone()
			x.echoes().Header(scrubbed, nil) // on a goroutine of Base's
			if x.dest != nil && x.dest.seal != nil {
				maps.DeleteFunc(scrubbed, x.dest.seal.selects)
			}
			return got(code, textproto.MIMEHeader(scrubbed))
		}
	}
	return &traced{ctx, httptrace.WithClientTrace(context.Background(), &quiet)}
}

// selects reports whether header fields of that name are sealed.
func (s *sealing) selects(name string, _ []string) bool { return s.header[name] != nil }

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

// echoes is a scrubber of its own, for use beside the answer's.
func (x *exchange) echoes() *echo.Scrubber {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dest == nil || x.dest.InsecureEcho {
		return nil
	}
	return echo.New(x.revealed, echo.MinBytes)
}

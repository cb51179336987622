package relay

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

type subjectKey struct{}

// WithSubject says on whose behalf the requests made with the returned context
// are: sealed values labelled with a subject open for that subject alone, and
// what is sealed in the answer belongs to it.
//
// One part is the subject as it stands. Several parts (issuer and sub, say) are
// joined in a length-prefixed form that no single part and no other parts
// equal. No parts, or one empty part, is no subject.
func WithSubject(ctx context.Context, parts ...string) context.Context {
	return context.WithValue(ctx, subjectKey{}, joinSubject(parts))
}

func subjectOf(ctx context.Context) string {
	s, _ := ctx.Value(subjectKey{}).(string)
	return s
}

const joinedSubject = "tokenvault-parts:"

// joinSubject is injective: a lone part that looks joined is joined as well.
func joinSubject(parts []string) string {
	switch {
	case len(parts) == 0:
		return ""
	case len(parts) == 1 && !strings.HasPrefix(parts[0], joinedSubject):
		return parts[0]
	}
	var b strings.Builder
	b.WriteString(joinedSubject)
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)))
		b.WriteByte(':')
		b.WriteString(p)
	}
	return b.String()
}

// As returns t with a fixed subject, which takes precedence over the request's
// context: for clients that make requests on a context of their own, as
// golang.org/x/oauth2 does when it refreshes.
func (t *Transport) As(parts ...string) http.RoundTripper {
	return &fixedSubject{t, joinSubject(parts)}
}

type fixedSubject struct {
	t       *Transport
	subject string
}

func (f *fixedSubject) RoundTrip(req *http.Request) (*http.Response, error) {
	return f.t.roundTrip(req, f.subject)
}

func (f *fixedSubject) CloseIdleConnections() { f.t.CloseIdleConnections() }

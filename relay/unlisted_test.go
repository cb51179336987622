package relay

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// Wherever a sealed value stands, it does not go to a host that is not listed.
func TestUnlistedHostsGetNothingSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	const other = "https://other.example.net/"
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{tokenvault.AnyHost}})
	for _, tt := range []struct {
		place  string
		change func(*http.Request)
		want   error
	}{
		{"method", func(q *http.Request) { q.Method = sealed }, ErrDestination},
		{"Host", func(q *http.Request) { q.Host = sealed }, ErrAuthority},
		{"a field's name", func(q *http.Request) { q.Header[sealed] = []string{"x"} }, ErrDestination},
		{"a trailer's name", func(q *http.Request) { q.Trailer = http.Header{sealed: nil} }, ErrDestination},
		{"a trailer's name, with a value", func(q *http.Request) { q.Trailer = http.Header{sealed: {"x"}} }, ErrDestination},
		{"a trailer", func(q *http.Request) { q.Trailer = http.Header{"X": {"x", sealed}} }, ErrDestination},
		{"raw path", func(q *http.Request) { q.URL.Path, q.URL.RawPath = "/x", "/"+sealed }, ErrDestination},
		{"query", func(q *http.Request) { q.URL.RawQuery = "a=%zz&b=" + sealed }, ErrDestination},
		{"opaque", func(q *http.Request) { q.URL.Opaque = "//other.example.net/" + sealed }, ErrAuthority},
		{"opaque, escaped", func(q *http.Request) { q.URL.Opaque = "//other.example.net/%74" + sealed[1:] }, ErrAuthority},
		{"opaque, not percent-encoded", func(q *http.Request) { q.URL.Opaque = "%zz" + sealed }, ErrAuthority},
		{"user", func(q *http.Request) { q.URL.User = url.User(sealed) }, ErrAuthority},
		{"password", func(q *http.Request) { q.URL.User = url.UserPassword("u", sealed) }, ErrAuthority},
		{"a zone", func(q *http.Request) { q.URL.Host, q.Host = "[fe80::1%25"+sealed+"]", "" }, ErrAuthority},
		{"a field, to a zone", func(q *http.Request) {
			q.URL.Host, q.Host = "[fe80::1%25eth0]", ""
			q.Header.Set("X", sealed)
		}, ErrAuthority},
	} {
		req := newRequest(t, "POST", other, "text/plain", "hello")
		tt.change(req)
		err := r.refused(tt.want, req)
		require.NotContains(t, err.Error(), sealed, tt.place)
	}
	long := newRequest(t, "POST", other, "text/plain", strings.Repeat("x", 1<<20+1))
	long.Trailer = http.Header{"X": {sealed}}
	r.refused(ErrDestination, long)
	broken := newRequest(t, "POST", other, "text/plain", "")
	broken.Body = io.NopCloser(failingReader{})
	_, err := r.relay.RoundTrip(broken)
	require.ErrorIs(t, err, errBroken)
	require.Empty(t, r.requests())

	req := newRequest(t, "POST", other, "text/plain", "hello")
	req.URL.User, req.URL.RawQuery = url.UserPassword("u", "p"), "a=%zz"
	req.Trailer = http.Header{"X-After": {"fine"}}
	body := req.Body
	_, _, err = r.do(req)
	require.NoError(t, err)
	require.Equal(t, body, req.Body, "the caller's request is not changed")
	require.Equal(t, "hello", r.only().Body)
}

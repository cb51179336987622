package relay

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// An opened path is judged like any other: it must be clean, and the same
// destination's.
func TestElsewhere_OpenedPathLeadsElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Routes: []string{"/admin"}}, Destination{Host: host, Routes: []string{"/{id}", "/v1/", "GET /v2/{id}/x"}, Open: []string{"path"}})
	for _, tt := range []struct {
		before, plain, after string
		want                 error
	}{
		{"/", "user", "", nil},
		{"/v1/", "a b", "", nil},
		{"/", "admin", "", ErrDestination}, // another destination's
		{"/", "a/b", "", ErrPlace},
		{"/v1/", "", "", ErrPlace},
		{"/v1/", "a/b", "", ErrPlace},
		{"/v1/", ".", "", ErrPlace},
		{"/v1/", "..", "", ErrPlace},
		{"/v1/", "..", "/x", ErrPlace},
		{"/v1/", "%2e%2e", "/x", ErrPlace}, // for an upstream that decodes twice
		{"/v1/", "a%2fb", "", ErrPlace},
	} {
		req := newRequest(t, "GET", "https://"+host+tt.before+r.seal(tt.plain)+tt.after, "", "")
		if tt.want != nil {
			r.refused(tt.want, req)
			continue
		}
		before := len(r.requests())
		_, _, err := r.do(req)
		require.NoError(t, err, tt.plain)
		require.Equal(t, tt.before+url.PathEscape(tt.plain)+tt.after, r.requests()[before].URI)
	}
}

// Pairs of a query and of a form, where every name is open.
func TestPairs(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"query:*", "form:*"}}, Destination{Host: "plain.example.com"})
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, "plain.example.com"}})
	escaped := ""
	for i := range len(sealed) {
		escaped += "%" + string("0123456789abcdef"[sealed[i]>>4]) + string("0123456789ABCDEF"[sealed[i]&15])
	}
	for _, tt := range []struct{ rule, pairs, arrives string }{ // arrives empty: refused
		{"every byte escaped", "%6B=" + escaped, "%6B=" + secret},
		{"a pair without a value", "a&k=" + sealed + "&", "a&k=" + secret + "&"},
		{"not percent-encoded", "k=%zz&%zz=1", "k=%zz&%zz=1"},
		{"a value that begins so", "k=tv1", "k=tv1"},
		{"a sealed value behind what is not percent-encoded", "k=%zz" + sealed, ""},
		{"before it", "k=" + sealed + "%zz", ""},
		{"under such a name", "%zz=" + sealed, ""},
		{"as a name and as its value", sealed + "=" + sealed, ""},
		{"as a name, escaped", escaped + "=1", ""},
	} {
		for _, place := range []string{"query", "form"} {
			req := newRequest(t, "POST", "https://"+host+"/", formType, tt.pairs)
			got := func(r received) string { return r.Body }
			if place == "query" {
				req = newRequest(t, "GET", "https://"+host+"/", "", "")
				req.URL.RawQuery = tt.pairs
				got = func(r received) string { return r.URI[len("/?"):] }
			}
			if tt.arrives == "" {
				r.refused(ErrPlace, req)
				continue
			}
			before := len(r.requests())
			_, _, err := r.do(req)
			require.NoError(t, err, "%s: %s", place, tt.rule)
			require.Equal(t, tt.arrives, got(r.requests()[before]), "%s: %s", place, tt.rule)
		}
	}
	for _, body := range []string{"k=" + sealed, "k=" + escaped, "a=1&k=%zz" + sealed, sealed} {
		r.refused(ErrPlace, newRequest(t, "POST", "https://plain.example.com/", formType, body))
	}
	before := len(r.requests())
	for _, body := range []string{"a=%zz", "a=tv1.x&b", "%41=tv1."} {
		_, _, err := r.do(newRequest(t, "POST", "https://plain.example.com/", formType, body))
		require.NoError(t, err)
		require.Equal(t, body, r.requests()[before].Body)
		before++
	}
}

package relay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// A body is what its header fields say without doubt, or it is opened nowhere.
func TestFormats(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"json:$.k", "form:k", "multipart:k"}}, Destination{Host: "plain.example.com"})
	part := func(boundary, v string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n" + v + "\r\n--" + boundary + "--\r\n"
	}
	json := func(_, v string) string { return `{"k":"` + v + `"}` }
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, "plain.example.com"}})
	for _, tt := range []struct {
		rule, host, contentType string
		body                    func(boundary, v string) string
		boundary                string
		opens                   bool
	}{
		{"a boundary of 70", host, "multipart/form-data; boundary=" + strings.Repeat("b", 70), part, strings.Repeat("b", 70), true},
		{"a boundary of 71 (RFC 2046 section 5.1.1)", host, "multipart/form-data; boundary=" + strings.Repeat("b", 71), part, strings.Repeat("b", 71), false},
		{"no boundary", host, "multipart/form-data", part, "", false},
		{"a boundary of another type's", host, "text/plain; boundary=b", part, "b", false},
		{"JSON", host, "application/json;charset=utf-8", json, "", true},
		{"+json", host, "application/vnd.x+json", json, "", true},
		{"parameters that do not parse", host, "application/json; charset", json, "", false},
		{"no type", host, "", json, "", false},
		{"a host that opens no JSON", "plain.example.com", "application/json", json, "", false},
		{"a host that opens no part", "plain.example.com", "multipart/form-data; boundary=b", part, "b", false},
	} {
		req := newRequest(t, "POST", "https://"+tt.host+"/", tt.contentType, tt.body(tt.boundary, sealed))
		if !tt.opens {
			r.refused(ErrPlace, req)
			continue
		}
		before := len(r.requests())
		_, _, err := r.do(req)
		require.NoError(t, err, tt.rule)
		require.Equal(t, tt.body(tt.boundary, secret), r.requests()[before].Body, tt.rule)
	}
	before := len(r.requests())
	for _, h := range []string{host, "plain.example.com"} {
		for _, tt := range [][2]string{{"text/plain", "it begins with tv1."}, {"application/json", `{"k":"tv1. and so on"}`}, {"application/json", `{"l":"tv1.x`}} {
			_, _, err := r.do(newRequest(t, "POST", "https://"+h+"/", tt[0], tt[1]))
			if h == host && !strings.HasSuffix(tt[1], "}") && tt[0] == "application/json" {
				require.ErrorIs(t, err, ErrPlace, "where JSON opens, it must parse")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, tt[1], r.requests()[before].Body)
			before++
		}
	}
}

// Whoever opens anything in a body does not pass on one that cannot be read.
func TestBodiesThatCannotBeReadAreRefusedWhereverOneOpens(t *testing.T) {
	t.Parallel()
	for open, refused := range map[string]bool{"json:$.k": true, "form:k": true, "multipart:k": true, "header:X-Key": false, "query:*": false} {
		r := newRig(t, Destination{Host: host, Open: []string{open}})
		for _, encoding := range []string{"br", "gzip"} {
			req := newRequest(t, "POST", "https://"+host+"/", "application/json", "\x0b\x02\x80")
			req.Header.Set("Content-Encoding", encoding)
			if refused {
				r.refused(ErrPlace, req)
				continue
			}
			_, _, err := r.do(req)
			require.NoError(t, err, open)
		}
	}
}

package redact_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

// FuzzJSON: no panic; what was accepted is JSON, and without anything selected,
// whatever the size of the reads; what was refused has let nothing selected out.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"t":"canary-s3cr3t-value"}`, `{"t":{"a":"canary-s3cr3t-value"}}`, `{"t":"canary-s3cr3t-value`, `{"a":"{\"t\":\"canary-s3cr3t-value\"}"}`,
		`[{"t":1,"t":"canary-s3cr3t-value"},{"\u0074":"canary-s3cr3t-value"}]`, "{\"t\":null}\n{\"t\":\"canary-s3cr3t-value\"}", `{"t":"\ud800canary-s3cr3t-value"}`,
		"\xef\xbb\xbf{\"t\":\"canary-s3cr3t-value\"}", `{"t":["canary-s3cr3t-value"`, `{"t" "canary-s3cr3t-value"}`, strings.Repeat("[", 100) + `{"t":"canary-s3cr3t-value"}`,
		`{"x":"Bearer canary-s3cr3t-value-1","t":7}`, "", "nul", `"\"t\":\"canary-s3cr3t-value\""`,
	} {
		f.Add([]byte(s))
	}
	r := newRedactor(f, redact.Config{JSON: []string{"$..t"}, Params: []string{"code"}, Attrs: []string{"x"}, Detect: true, MaxBuffer: 4 << 10})
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole, bytewise bytes.Buffer
		err := r.JSON(&whole, bytes.NewReader(in))
		slow := r.JSON(&bytewise, iotest.OneByteReader(bytes.NewReader(in)))
		require.Equal(t, err == nil, slow == nil)
		if err == nil {
			require.Equal(t, whole.String(), bytewise.String())
			noneSelected(t, whole.Bytes())
			return
		}
		require.NotContains(t, err.Error(), "canary")
	})
}

// noneSelected walks every value of a JSON text that was let through.
func noneSelected(t *testing.T, out []byte) {
	d := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(bytes.TrimPrefix(out, []byte("\xef\xbb\xbf")), []byte("\x1e"), []byte(" "))))
	d.UseNumber()
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for name, x := range v {
				if name == "t" && x != nil && x != "" {
					require.Equal(t, "REDACTED", x)
				}
				walk(x)
			}
		}
	}
	for {
		var v any
		err := d.Decode(&v)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return
		}
		walk(v)
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"code=canary", "CODE=canary&a=b", "c%6fde=canary&code=", "a=https%3A%2F%2Fx%2F%3Fcode%3Dcanary%26", "%zz=1&code=canary", "=&&=", "code=tv1.x"} {
		f.Add(s)
	}
	r := newRedactor(f, redact.Config{Params: []string{"code"}, Detect: true})
	f.Fuzz(func(t *testing.T, raw string) {
		v, _ := url.ParseQuery(raw)
		before := v.Encode()
		out := r.Values(v)
		require.Equal(t, before, v.Encode())
		for name, values := range out {
			for _, s := range values {
				if strings.EqualFold(name, "code") {
					require.Contains(t, []string{"", "REDACTED"}, hideSealed(s))
				}
			}
		}
		u := &url.URL{Scheme: "https", Host: "x.test", RawQuery: raw}
		after, _ := url.ParseQuery(r.URL(u).RawQuery)
		for name, values := range after {
			for _, s := range values {
				if strings.EqualFold(name, "code") {
					require.Contains(t, []string{"", "REDACTED"}, hideSealed(s))
				}
			}
		}
	})
}

// hideSealed is the mask for what may stay because it is sealed.
func hideSealed(s string) string {
	if strings.Contains(s, "tv1.") {
		return "REDACTED"
	}
	return s
}

func FuzzText(f *testing.F) {
	s := newSource()
	for _, k := range kinds {
		text, _ := k.make(s)
		f.Add(text, 7)
	}
	for _, l := range lookAlikes {
		f.Add(l.make(s), 100)
	}
	f.Add(`x "t":{"a":"`, 3)
	f.Add("?code=", 2)
	f.Add("Authorization: Bearer ", 9)
	r := newRedactor(f, redact.Config{JSON: []string{"$..t"}, Params: []string{"code"}, Detect: true, MaxBuffer: 1 << 16})
	f.Fuzz(func(t *testing.T, in string, size int) {
		once := r.Text(in)
		if once == in {
			require.Equal(t, in, r.Text(once))
		}
		// A stream in pieces hides what the text as a whole hides.
		if strings.ContainsAny(in, "{[") || len(in) > 4096 {
			return
		}
		out, err := r.Bytes("text/plain", []byte(in))
		require.NoError(t, err)
		require.Equal(t, once, string(out))
		var streamed strings.Builder
		res, err := r.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(&pieces{in, max(1, size&63)})}, nil
		})).RoundTrip(&http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: http.Header{}})
		require.NoError(t, err)
		_, err = io.Copy(&streamed, res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, once, streamed.String())
	})
}

// pieces reads a string a few bytes at a time.
type pieces struct {
	rest string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(len(p.rest), p.size)])
	p.rest = p.rest[n:]
	return n, nil
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"Bearer canary", "https://u:p@x/?code=1#code=2", "\x00\xff", "", "tv1.", "%", "://@", "http://[::1%/?code=%zz"} {
		f.Add("authorization", s)
		f.Add("Location", s)
		f.Add("X-Other", s)
	}
	r := newRedactor(f, redact.Default())
	f.Fuzz(func(t *testing.T, name, value string) {
		h := http.Header{name: {value, ""}}
		out := r.Header(h)
		require.Equal(t, http.Header{name: {value, ""}}, h)
		if http.CanonicalHeaderKey(name) == "Authorization" && value != "" {
			require.Equal(t, "REDACTED", hideSealed(out[name][0]))
		}
		if u, err := url.Parse(value); err == nil {
			_ = r.URL(u).String()
		}
	})
}

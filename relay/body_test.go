package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

const (
	formType = "application/x-www-form-urlencoded"
	partType = "multipart/form-data; boundary=" + boundary
)

func bodyRig(t testing.TB, stream bool) *rig {
	return newRigWith(t, rigConfig{config: Config{MaxBody: 4096, Destinations: []Destination{{
		Host: host, Open: []string{"json:$.k", "json:$.l[*].k", "form:k", "multipart:k"}, InsecureStream: stream,
	}, {Host: "plain.example.com"}}}})
}

func partBody(content, more string) string {
	return "preamble\r\n--" + boundary + "\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n" + content + "\r\n--" + boundary +
		"  \r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + more + "\r\n--" + boundary + "--\r\nepilogue"
}

func TestElsewhere_EncodedBodiesAreSkipped(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	sealed := r.seal(secret)
	encoded := func(body, encoding string) *http.Request {
		req := newRequest(t, "POST", "https://"+host+"/", "application/json", body)
		req.Header.Set("Content-Encoding", encoding)
		return req
	}
	_, _, err := r.do(encoded(gzipped(`{"k":"`+sealed+`"}`), "GZIP"))
	require.NoError(t, err)
	got := r.only()
	z, err := gzip.NewReader(strings.NewReader(got.Body))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, `{"k":"`+secret+`"}`, string(plain))
	require.EqualValues(t, len(got.Body), got.ContentLength)

	r.refused(ErrPlace, encoded(gzipped(`{"other":"`+sealed+`"}`), "gzip"))
	r.refused(ErrPlace, encoded(`{"k":"x"}`, "gzip"))
	r.refused(ErrPlace, encoded(`{"k":"x"}`, "br"))
	r.refused(ErrPlace, encoded(gzipped(gzipped("{}")), "gzip, gzip"))
	r.refused(ErrTooLarge, encoded(gzipped(strings.Repeat(" ", 41_000)+`{"k":"x"}`), "gzip"))
	twice := encoded(gzipped(`{"k":"`+sealed+`"}`), "gzip")
	twice.Header["content-encoding"] = []string{"br"}
	r.refused(ErrPlace, twice)
	types := newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k":"`+sealed+`"}`)
	types.Header.Add("Content-Type", formType)
	r.refused(ErrPlace, types)

	untouched := gzipped(`{"other":"x"}`)
	_, _, err = r.do(encoded(untouched, "gzip"))
	require.NoError(t, err)
	require.Equal(t, untouched, r.requests()[1].Body, "without sealed values the bytes stay")
	req := encoded("\x0b\x02\x80", "br")
	req.URL.Host, req.Host = "plain.example.com", ""
	_, _, err = r.do(req)
	require.NoError(t, err, "nothing in the body is opened there")
	req = encoded("xx"+sealed, "br")
	req.URL.Host, req.Host = "plain.example.com", ""
	r.refused(ErrPlace, req)
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	body := partBody(r.seal(secret), "file\r\n--"+boundary+"x\r\n--other")
	_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", partType, body))
	require.NoError(t, err)
	require.Equal(t, partBody(secret, "file\r\n--"+boundary+"x\r\n--other"), r.only().Body)

	one := func(header, content string) string {
		return "--" + boundary + "\r\n" + header + "\r\n\r\n" + content + "\r\n--" + boundary + "--\r\n"
	}
	sealed := r.seal(secret)
	for name, body := range map[string]string{
		"a base64 part":       one("Content-Disposition: form-data; name=\"k\"\r\nContent-Transfer-Encoding: base64", sealed),
		"two dispositions":    one("Content-Disposition: form-data; name=\"k\"\r\nContent-Disposition: form-data; name=\"x\"", sealed),
		"two names":           one("Content-Disposition: form-data; name=\"k\"; name=\"x\"", sealed),
		"no disposition":      one("X: y", sealed),
		"not form-data":       one("Content-Disposition: attachment; name=\"k\"", sealed),
		"a nested name":       one("Content-Disposition: form-data; filename=\"; name=k\"", sealed),
		"no end":              "--" + boundary + "\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n" + sealed,
		"no blank line":       "--" + boundary + "\r\n" + sealed + "\r\n--" + boundary + "--",
		"a header of a line":  one("Content-Disposition: form-data; name=\"k\"\r\n\r\nx", sealed),
		"space in the header": one("Content-Disposition : form-data; name=\"k\"", sealed),
	} {
		require.True(t, holds(body), name)
		r.refused(ErrPlace, newRequest(t, "POST", "https://"+host+"/", partType, body))
	}
	r.refused(ErrPlace, newRequest(t, "POST", "https://"+host+"/", "multipart/form-data", one(`Content-Disposition: form-data; name="k"`, sealed)))
}

func TestBodyEdges(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	req := newRequest(t, "POST", "https://"+host+"/", "application/json", "")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(`{"k":"`+r.seal(secret)+`"}`)), -1
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.EqualValues(t, len(r.only().Body), r.only().ContentLength, "an unknown length becomes exact")

	short := newRequest(t, "POST", "https://"+host+"/", "text/plain", "abc")
	short.ContentLength = 4
	_, err = r.relay.RoundTrip(short)
	require.ErrorIs(t, err, errLength)

	broken := newRequest(t, "POST", "https://"+host+"/", "text/plain", "")
	b := &closing{Reader: io.MultiReader(strings.NewReader("abc"), failingReader{})}
	broken.Body = b
	_, err = r.relay.RoundTrip(broken)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, 1, b.count())

	digest := newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k":"`+r.seal(secret)+`"}`)
	digest.Header.Set("Content-MD5", "x")
	digest.Header.Set("Content-Digest", "x")
	_, _, err = r.do(digest)
	require.NoError(t, err)
	require.Empty(t, r.requests()[1].Header.Get("Content-Md5")+r.requests()[1].Header.Get("Content-Digest"))

	empty := newRequest(t, "POST", "https://"+host+"/", "application/json", "")
	eb := &closing{Reader: strings.NewReader("")}
	empty.Body = eb
	_, _, err = r.do(empty)
	require.NoError(t, err)
	require.Equal(t, 1, eb.count())
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errBroken }

// GetBody renders again what was opened.
func TestGetBody(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	var bodies []string
	r.relay.base = roundTripFunc(func(q *http.Request) (*http.Response, error) {
		for range 2 {
			b, err := q.GetBody()
			require.NoError(t, err)
			text, err := io.ReadAll(b)
			require.NoError(t, err)
			bodies = append(bodies, string(text))
			require.EqualValues(t, len(text), q.ContentLength)
		}
		return r.base.RoundTrip(q)
	})
	_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", formType, "k="+r.seal(secret)))
	require.NoError(t, err)
	require.Equal(t, []string{"k=" + secret, "k=" + secret}, bodies)
}

// A body that the caller never ends does not hold a caller who has given up.
func TestCallerGivesUpOnItsBody(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, "POST", "https://"+host+"/", pr)
	require.NoError(t, err)
	go func() {
		_, _ = pw.Write([]byte("x"))
		cancel()
	}()
	_, err = r.relay.RoundTrip(req)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, r.requests())
	_, err = pw.Write([]byte("y"))
	require.ErrorIs(t, err, io.ErrClosedPipe, "the body is closed")
}

func TestRequestTrailers(t *testing.T) {
	t.Parallel()
	for _, h := range []string{host, "unlisted.example.net"} {
		r := bodyRig(t, false)
		send := func(value string, size int) error {
			req := newRequest(t, "POST", "https://"+h+"/", "text/plain", "")
			req.Trailer = http.Header{"X-After": nil}
			req.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", size)), readerFunc(func([]byte) (int, error) {
				req.Trailer.Set("X-After", value)
				return 0, io.EOF
			})))
			req.ContentLength = -1
			_, _, err := r.do(req)
			return err
		}
		require.NoError(t, send("fine", 10))
		require.Equal(t, "fine", r.only().Trailer.Get("X-After"))
		require.Error(t, send(r.seal(secret), 10))
		require.Len(t, r.requests(), 1)
		require.NoError(t, send("fine", 10_000))
		require.Equal(t, "fine", r.requests()[1].Trailer.Get("X-After"))
		if h == host {
			require.ErrorIs(t, send(r.seal(secret), 10_000), ErrPlace, "a long body is cut off before its trailer")
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	filler := strings.Repeat("x", 100_000)
	_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", "text/plain", filler))
	require.NoError(t, err)
	require.Equal(t, filler, r.only().Body)
	require.EqualValues(t, len(filler), r.only().ContentLength)

	sealed := r.seal(secret)
	r.refused(ErrTooLarge, newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k":"`+sealed+`","l":"`+filler+`"}`))
	r.refused(ErrTooLarge, newRequest(t, "POST", "https://"+host+"/", "text/plain", sealed+filler))
	for _, body := range []string{filler + sealed, filler[:4090] + sealed + filler, partBody(filler, sealed+"\r\n")} {
		b := &closing{Reader: strings.NewReader(body)}
		req := newRequest(t, "POST", "https://"+host+"/", partType, "")
		req.Body, req.ContentLength = b, int64(len(body))
		_, err := r.relay.RoundTrip(req)
		require.ErrorIs(t, err, ErrTooLarge)
		noValue(t, err)
		require.Equal(t, 1, b.count())
	}
	for _, got := range r.requests()[1:] {
		require.Error(t, got.Err, "what arrived was cut off")
		require.False(t, holds(got.Body))
		require.NotContains(t, got.Body, secret)
	}
	// one byte at a time, over chunks
	req := newRequest(t, "POST", "https://"+host+"/", "text/plain", "")
	req.Body = io.NopCloser(&oneByOne{strings.NewReader(filler[:5000] + sealed)})
	_, err = r.relay.RoundTrip(req)
	require.ErrorIs(t, err, ErrTooLarge)
}

type oneByOne struct{ r io.Reader }

func (o *oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func TestInsecureStream(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat(`{"a":"xxxxxxxxxxx"},`, 10_000)
	for name, tt := range map[string]struct {
		contentType string
		body        func(v string) string
		gzip        bool
	}{
		"json":      {"application/json", func(v string) string { return `{"k":"` + v + `","l":[` + filler + `{"k":"` + v + `"}]}` }, false},
		"form":      {formType, func(v string) string { return "k=" + v + "&x=" + strings.Repeat("y", 600_000) + "&k=" + v + "&z=" }, false},
		"multipart": {partType, func(v string) string { return partBody(v, filler) }, false},
		"gzip":      {"application/json", func(v string) string { return `{"k":"` + v + `","l":[` + filler + `{"k":"` + v + `"}]}` }, true},
		"nothing":   {"text/plain", func(string) string { return filler }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := bodyRig(t, true)
			send := func(body string) error {
				if tt.gzip {
					body = gzipped(body) + gzipped(strings.Repeat(" ", 1<<20)) + gzipped(incompressible(8192))
				}
				req := newRequest(t, "POST", "https://"+host+"/", tt.contentType, body)
				if tt.gzip {
					req.Header.Set("Content-Encoding", "gzip")
				}
				_, _, err := r.do(req)
				return err
			}
			if tt.gzip {
				err := send(tt.body(r.seal(secret)))
				require.ErrorIs(t, err, ErrPlace, "what follows is no JSON")
				return
			}
			require.NoError(t, send(tt.body(r.seal(secret))))
			require.Equal(t, tt.body(secret), r.only().Body)
			if name == "nothing" {
				return
			}
			require.Error(t, send(tt.body(r.sealAs(secret, tokenvault.Label{Hosts: []string{"other.example.com"}}))))
			err := send(strings.Replace(tt.body("x"), "x", "x"+r.seal(secret), 1))
			require.ErrorIs(t, err, ErrPlace, "left over")
			for _, got := range r.requests()[1:] {
				require.NotContains(t, got.Body, secret)
			}
		})
	}
}

func incompressible(n int) string {
	var b bytes.Buffer
	for x := uint32(1); b.Len() < n; x = x*1664525 + 1013904223 {
		b.WriteByte("0123456789abcdefghijklmnopqrstuv"[x>>27])
	}
	return b.String()
}

func TestStreamedGzip(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, true)
	body := func(v string) string { return `{"x":"` + incompressible(40_000) + `","k":"` + v + `"}` }
	req := newRequest(t, "POST", "https://"+host+"/", "application/json", gzipped(body(r.seal(secret))))
	req.Header.Set("Content-Encoding", "gzip")
	_, _, err := r.do(req)
	require.NoError(t, err)
	z, err := gzip.NewReader(strings.NewReader(r.only().Body))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, body(secret), string(plain))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	pair, err := tokenvault.NewKeyPair()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(pair)
	require.NoError(t, err)
	list := func(sealed string, n int) string {
		return `["` + sealed + `"` + strings.Repeat(`,"`+sealed+`"`, n-1) + `]`
	}
	r := newRigWith(t, rigConfig{config: Config{MaxValues: 40, Sealer: keys, Destinations: []Destination{{Host: host, Open: []string{"json:$[*]"}, AllowPublic: true}, {Host: "strict.example.com", Open: []string{"json:$[*]"}}}}})
	r.keys = keys
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, "strict.example.com"}})
	_, _, err = r.do(newRequest(t, "POST", "https://"+host+"/", "application/json", list(sealed, 32)))
	require.NoError(t, err)
	r.refused(ErrTooLarge, newRequest(t, "POST", "https://"+host+"/", "application/json", list(sealed, 33)))
	_, err = r.relay.RoundTrip(newRequest(t, "POST", "https://strict.example.com/", "application/json", list(sealed, 1)))
	require.ErrorIs(t, err, tokenvault.ErrLabel, "AllowPublic is off")
	sym := newRigWith(t, rigConfig{config: Config{MaxValues: 40, Destinations: []Destination{{Host: host, Open: []string{"json:$[*]"}}}}})
	_, _, err = sym.do(newRequest(t, "POST", "https://"+host+"/", "application/json", list(sym.seal(secret), 40)))
	require.NoError(t, err)
	sym.refused(ErrTooLarge, newRequest(t, "POST", "https://"+host+"/", "application/json", list(sym.seal(secret), 41)))
}

// An opened text is not scanned again.
func TestOpenedTextIsNotScanned(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: Everywhere})
	inner := r.seal("inner secret")
	for _, c := range carriers() {
		before := len(r.requests())
		_, _, err := r.do(c.fill(t, r.seal(inner)))
		require.NoError(t, err, c.name)
		require.Equal(t, inner, c.decode(t, r.requests()[before]), c.name)
	}
}

package relay

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"
)

// Every byte, at every place of blocks of eight: the verdict is that of a look
// at each byte.
func TestHeaderTextJudgesEveryByte(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := 1; at < 24; at++ {
			b := []byte(strings.Repeat("~!", 13))
			b[at] = byte(c)
			for _, s := range []string{string(b), string(b[:at+1]) + "x", strings.Repeat("\xff", at) + string(b[at]) + "x"} {
				_, reason := headerText(s)
				require.Equal(t, httpguts.ValidHeaderFieldValue(s), reason == "", "%q", s)
			}
		}
	}
}

func FuzzHeaderText(f *testing.F) {
	f.Add("a plaintext of more than eight bytes")
	f.Add("1234567\x7f")
	f.Add("\xff\xff\xff\x7f\x1f\x80\x20\x00")
	f.Fuzz(func(t *testing.T, s string) {
		_, reason := headerText(s)
		require.Equal(t, httpguts.ValidHeaderFieldValue(s) && strings.Trim(s, " \t") == s, reason == "")
	})
}

func TestCandidateHoldsNoSpace(t *testing.T) {
	t.Parallel()
	require.True(t, candidate("tv1."+strings.Repeat("x", 100)))
	for _, s := range []string{"", "tv1", "Tv1.x", "tv1. ", "tv1.x\ty", "tv1.x\r", "tv1.x\ny", " tv1.x"} {
		require.False(t, candidate(s), "%q", s)
	}
}

// One of a field's values is opened: the caller's header, and the arrays behind
// it, stay as they were, whatever Base does to its own.
func TestHeaderIsNotSharedForWriting(t *testing.T) {
	t.Parallel()
	var sent http.Header
	r := newRigWith(t, rigConfig{config: Config{
		Base: roundTripFunc(func(req *http.Request) (*http.Response, error) {
			sent = req.Header.Clone()
			req.Header.Set("X-Api-Key", "base's")
			req.Header.Add("X-Other", "base's")
			req.Header["Accept"][0] = "base's"
			req.Header.Del("Accept")
			return &http.Response{StatusCode: 204, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
		}),
		Destinations: []Destination{{Host: host, Open: []string{"header:X-Api-Key"}}},
	}})
	sealed := r.seal(secret)
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header["X-Api-Key"] = append(make([]string, 0, 8), "first", sealed, "third", sealed)
	req.Header["X-Other"] = append(make([]string, 0, 8), "other")
	req.Header["Accept"] = []string{"a", "b"}
	before := req.Header.Clone()
	resp, err := r.relay.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Same(t, req, resp.Request)
	require.Equal(t, before, req.Header)
	require.Empty(t, req.Header["X-Other"][:2][1])
	require.Equal(t, []string{"first", secret, "third", secret}, sent["X-Api-Key"])
	require.Equal(t, []string{"other"}, sent["X-Other"])
	require.Equal(t, []string{"a", "b"}, sent["Accept"])
}

// What a destination names is read as it would be if none did.
func TestNamedHostsAreReadAsAnyHost(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	for _, named := range []string{host, host + ":8443", host + ":80", host + ":443", "API.example.com.", "*.example.com", "127.0.0.1", "127.0.0.1:80", "[2001:db8::1]:8443", "[2001:DB8::1]"} {
		relay, err := New(Config{Sealer: keys, Destinations: []Destination{{Host: "a.example.net"}, {Host: named}}})
		require.NoError(t, err)
		for _, given := range []string{"", "*", named, strings.ToLower(named), host + ":443", host + ":80", host + ".", "x.example.com", "x.example.com:80", "127.0.0.1:443", "[2001:db8::1]", "127.1"} {
			for _, scheme := range []string{"https", "http", ""} {
				checked, dialled, ok := authority(scheme, given)
				gotChecked, gotDialled, gotOK := relay.authority(scheme, given)
				require.Equal(t, []any{checked, dialled, ok}, []any{gotChecked, gotDialled, gotOK}, "%s://%s, where %s is named", scheme, given, named)
			}
		}
	}
}

// A Base may tell a wrong length.
func TestReadLengthReadsAll(t *testing.T) {
	t.Parallel()
	text, broken := strings.Repeat("0123456789", 300), errors.New("broken")
	for _, told := range []int64{1, 2999, 3000, 3001, 9000} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
		} {
			got, err := readLength(wrap(strings.NewReader(text)), told)
			require.NoError(t, err, name)
			require.Equal(t, text, string(got), "%s, told %d", name, told)
			got, err = readLength(wrap(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))), told)
			require.ErrorIs(t, err, broken, name)
			require.Equal(t, text, string(got), "%s, told %d, broken off", name, told)
		}
	}
}

// The opened header is one string of its own, spelt as before.
func TestCredentialsKeepTheirScheme(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	sealed := r.seal(secret)
	for value, want := range map[string]string{
		"Bearer " + sealed: "Bearer " + secret, "bearer   " + sealed + " ": "bearer " + secret, " DPoP " + sealed: "DPoP " + secret, sealed: secret,
	} {
		req := newRequest(t, "GET", "https://"+host+"/", "", "")
		req.Header["Authorization"] = []string{value}
		resp, err := r.relay.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		got := r.requests()
		require.True(t, slices.Contains(got[len(got)-1].Header["Authorization"], want), "%q: %q", value, got[len(got)-1].Header)
	}
}

package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

func TestOneHostIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Host = "API.Example.com:443"
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, host, r.only().Host)
}

func TestInsecureHTTPIsForHTTPAlone(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{plain: true, config: Config{Destinations: []Destination{{Host: host, InsecureHTTP: true}}}})
	for _, scheme := range []string{"ftp", "HTTP", "ws", ""} {
		req := newRequest(t, "GET", "http://"+host+"/", "", "")
		req.URL.Scheme = scheme
		r.refused(ErrInsecure, req)
	}
}

func TestRequireSubjectAcceptsTheRightOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, RequireSubject: true})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+r.sealAs(secret, tokenvault.Label{Hosts: []string{host}, Subject: "alice"}))
	_, _, err := r.do(req.WithContext(WithSubject(context.Background(), "alice")))
	require.NoError(t, err)
	require.Equal(t, "Bearer "+secret, r.only().Header.Get("Authorization"))
}

// What is wrong with a value is not that it lacks a subject, if it is something
// else.
func TestRequireSubjectHidesNoOtherError(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{config: Config{
		Destinations: []Destination{{Host: host, RequireSubject: true}}, Now: func() time.Time { return time.Now().Add(2 * time.Hour) },
	}})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header.Set("Authorization", "Bearer "+r.sealAs(secret, tokenvault.Label{Hosts: []string{host}, Expires: time.Now().Add(time.Hour)}))
	r.refused(tokenvault.ErrExpired, req)
}

// The limit for the public suite is for the public suite.
func TestAllowPublicLimitsNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"json:$[*]"}, AllowPublic: true})
	sealed := r.seal(secret)
	_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", "application/json", `["`+sealed+`"`+strings.Repeat(`,"`+sealed+`"`, 39)+`]`))
	require.NoError(t, err)
	require.Equal(t, 40, strings.Count(r.only().Body, secret))
}

// What is opened on the way is told of, too.
func TestStreamedValuesAreEvents(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, true)
	_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", "application/json", `{"x":"`+strings.Repeat("x", 10_000)+`","k":"`+r.seal(secret)+`"}`))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"open", "send"}, r.kinds())
	r.refused(ErrTooLarge, newRequest(t, "POST", "https://plain.example.com/", "application/json", `{"k":"`+r.seal(secret)+strings.Repeat("x", 5000)+`"}`))
}

type brokenSealer struct {
	tokenvault.Sealer
	err error
}

func (s brokenSealer) Open(context.Context, string, tokenvault.Use) ([]byte, tokenvault.Label, error) {
	return nil, tokenvault.Label{}, s.err
}

// A sealer of another's making is believed, but not quoted.
func TestErrorsOfASealer(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	sealed, err := keys.Seal(context.Background(), []byte(secret), tokenvault.Label{Hosts: []string{host}})
	require.NoError(t, err)
	quoting := errors.New(sealed)
	for _, tt := range []struct{ err, is error }{
		{errBroken, errBroken},
		{errors.Join(tokenvault.ErrExpired, quoting), tokenvault.ErrExpired},
		{tokenvault.ErrLabel, tokenvault.ErrLabel},
		{fmt.Errorf("%w: and %w", tokenvault.ErrLabel, errBroken), errBroken},
		{quoting, nil},
		{errors.New("cannot open " + sealed), nil},
	} {
		r := newRigWith(t, rigConfig{config: Config{Sealer: brokenSealer{keys, tt.err}, Destinations: []Destination{{Host: host}}}})
		req := newRequest(t, "GET", "https://"+host+"/", "", "")
		req.Header.Set("Authorization", "Bearer "+sealed)
		_, err := r.relay.RoundTrip(req)
		require.Error(t, err)
		require.NotErrorIs(t, err, quoting)
		noValue(t, err)
		if tt.is != nil {
			require.ErrorIs(t, err, tt.is)
		}
		require.Empty(t, r.requests())
	}
}

func gzippedAt(t *testing.T, level int, s string) string {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	require.NoError(t, err)
	_, err = io.WriteString(z, s)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

// Bodies at MaxBody, and compressed ones at ten times that.
func TestBodiesAtTheirLimits(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	sealed := r.seal(secret)
	padded := func(v string, n int) string {
		return `{"k":"` + v + `"` + strings.Repeat(" ", n-len(v)-len(`{"k":""}`)) + `}`
	}
	send := func(h, encoding, body string) *http.Request {
		req := newRequest(t, "POST", "https://"+h+"/", "application/json", body)
		if encoding != "" {
			req.Header.Set("Content-Encoding", encoding)
		}
		return req
	}
	_, _, err := r.do(send(host, "", padded(sealed, 4096)))
	require.NoError(t, err)
	require.Contains(t, r.only().Body, secret)
	r.refused(ErrTooLarge, send(host, "", padded(sealed, 4097)))
	_, _, err = r.do(send(host, "gzip", gzipped(padded(sealed, 40960))))
	require.NoError(t, err)
	r.refused(ErrTooLarge, send(host, "gzip", gzipped(padded(sealed, 40961))))
	r.refused(ErrTooLarge, send("plain.example.com", "gzip", gzipped(padded("x", 40961))))
	r.refused(ErrPlace, send("plain.example.com", "gzip", "xx"+sealed))
	whole := gzipped(padded(sealed, 1000))
	r.refused(ErrPlace, send(host, "gzip", whole[:len(whole)-4]))
	r.refused(ErrPlace, send(host, "gzip", whole[:len(whole)-1]+"x"))

	before := len(r.requests())
	for _, level := range []int{gzip.NoCompression, gzip.BestCompression} {
		plain := gzippedAt(t, level, padded("x", 2000))
		_, _, err = r.do(send(host, "gzip", plain))
		require.NoError(t, err)
		require.Equal(t, plain, r.requests()[before].Body, "what holds nothing keeps its bytes")
		before++
	}
}

func TestLengthAndDigestFollowTheBody(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	req := newRequest(t, "POST", "https://"+host+"/", formType, "k="+r.seal(secret))
	req.TransferEncoding, req.ContentLength = []string{"chunked"}, -1
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.EqualValues(t, len("k="+secret), r.only().ContentLength)
	require.Empty(t, r.only().TransferEncoding)

	req = newRequest(t, "POST", "https://"+host+"/", formType, "k=%41")
	req.Header.Set("Content-Digest", "sha-256=:x:")
	_, _, err = r.do(req)
	require.NoError(t, err)
	require.Equal(t, "sha-256=:x:", r.requests()[1].Header.Get("Content-Digest"), "looked at, and not changed")
}

// RFC 6749 section 2.3.1 is about forms.
func TestBasicIsFormEncodedBesideATokenRequestAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host})
	for contentType, want := range map[string]string{formType: "user:p%3Aa", "text/plain": "user:p:a", "application/json": "user:p:a"} {
		before := len(r.requests())
		req := newRequest(t, "POST", "https://"+host+"/", contentType, "grant_type=client_credentials")
		req.SetBasicAuth("user", r.seal("p:a"))
		_, _, err := r.do(req)
		require.NoError(t, err)
		require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte(want)), r.requests()[before].Header.Get("Authorization"), contentType)
	}
}

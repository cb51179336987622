package relay

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// JSON strings are opened where a path selects them, and as what they decode to.
func TestJSONStrings(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"json:$.k", "json:$.o"}}, Destination{Host: "all.example.com", Open: []string{"json:$..*"}})
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, "all.example.com"}})
	foreign := r.sealAs(secret, tokenvault.Label{Hosts: []string{"other.example.com"}})
	escaped := `\u0074` + sealed[1:]
	for _, tt := range []struct {
		rule, host, body, arrives string // arrives empty: refused
		err                       error
	}{
		{"escaped", host, `{"k":"` + escaped + `"}`, `{"k":"` + secret + `"}`, nil},
		{"beside what needs escapes", host, `{"a":"x\"y\\","b":"\u0041","k":"` + sealed + `"}`, `{"a":"x\"y\\","b":"\u0041","k":"` + secret + `"}`, nil},
		{"a string about them", host, `{"a":"\u0074v1. and","k":"` + sealed + `"}`, `{"a":"\u0074v1. and","k":"` + secret + `"}`, nil},
		{"behind a bad escape", host, `{"a":"\ud800","k":"` + escaped + `"}`, `{"a":"\ud800","k":"` + secret + `"}`, nil},
		{"within what a path selects", host, `{"o":{"k":"` + sealed + `"}}`, "", ErrPlace},
		{"within, escaped", host, `{"o":["` + escaped + `"]}`, "", ErrPlace},
		{"twice, once escaped elsewhere", host, `{"k":"` + sealed + `","x":"` + escaped + `"}`, "", ErrPlace},
		{"an escaped name", host, `{"k":"` + sealed + `","` + escaped + `":1}`, "", ErrPlace},
		{"an unfinished string", host, `{"k":"` + escaped, "", ErrPlace},
		{"every string", "all.example.com", `{"a":{"b":"plain","c":["` + sealed + `",{"d" : "\u0041"}]},"e":"` + escaped + `"}`, `{"a":{"b":"plain","c":["` + secret + `",{"d" : "\u0041"}]},"e":"` + secret + `"}`, nil},
		{"every string, beside an escaped quote", "all.example.com", `{"a":{"b":"x\"","c":"` + sealed + `"}}`, `{"a":{"b":"x\"","c":"` + secret + `"}}`, nil},
		{"nothing but a string", host, `"` + escaped + `"`, "", ErrPlace},
		{"a name within", "all.example.com", `{"a":{"` + sealed + `":1}}`, "", ErrPlace},
		{"a name within, before white space", "all.example.com", `{"a":{"` + sealed + "\" \t\r\n:1}}", "", ErrPlace},
		{"another host's within", "all.example.com", `{"a":{"b":"` + foreign + `"}}`, "", tokenvault.ErrLabel},
	} {
		req := newRequest(t, "POST", "https://"+tt.host+"/", "application/json", tt.body)
		if tt.arrives == "" {
			r.refused(tt.err, req)
			continue
		}
		before := len(r.requests())
		_, _, err := r.do(req)
		require.NoError(t, err, tt.rule)
		require.Equal(t, tt.arrives, r.requests()[before].Body, tt.rule)
	}
	s := newRigWith(t, rigConfig{config: Config{MaxBody: 4096, Destinations: []Destination{{Host: host, Open: []string{"json:$.k"}, InsecureStream: true}}}})
	_, _, err := s.do(newRequest(t, "POST", "https://"+host+"/", "application/json", `{"k":"tv1.`+strings.Repeat("x", 5000)+`"}`))
	require.ErrorIs(t, err, ErrTooLarge, "a selected string larger than MaxBody")
}

func partRig(t *testing.T) *rig {
	return newRig(t, Destination{Host: host, Open: []string{"multipart:k"}})
}

func partsBody(parts ...string) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, parts[i], parts[i+1])
	}
	return b.String() + "--" + boundary + "--"
}

// Nothing but the one strict spelling of a part is opened.
func TestPartsThatAreNone(t *testing.T) {
	t.Parallel()
	r := partRig(t)
	sealed := r.seal(secret)
	piece := multipartWindow - len("\r\n--"+boundary) - 64 // what is passed on at a time
	for rule, body := range map[string]string{
		"behind what no sealed value is as long as": partsBody("k", strings.Repeat("x", 3*piece)+sealed),
		"a part behind the end":                     partsBody("x", "y") + "\r\n" + partsBody("k", sealed),
		"a line that only begins so":                partsBody("k", sealed+"\r\n--"+boundary+"x"),
		"padding without a line's end":              partsBody("k", sealed+"\r\n--"+boundary+"  x"),
		"no header":                                 strings.Replace(partsBody("k", sealed), boundary+"\r\n", boundary+"\r\n\r\n", 1),
		"a delimiter in the header":                 "--" + boundary + "\r\nContent-Disposition: form-data; name=\"k\"\r\n--" + boundary + "\r\n\r\n" + sealed + "\r\n--" + boundary + "--",
		"a header that is too long":                 strings.Replace(partsBody("k", sealed), "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n", 1),
		"a disposition that is malformed":           strings.Replace(partsBody("k", sealed), `name="k"`, `name="k`, 1),
		"a header that is malformed":                strings.Replace(partsBody("k", sealed), "\r\n\r\n", "\r\nX\r\n\r\n", 1),
		"another field":                             partsBody("l", sealed),
		"no end":                                    strings.TrimSuffix(partsBody("k", sealed), "\r\n--"+boundary+"--"),
	} {
		require.True(t, holds(body), rule)
		r.refused(ErrPlace, newRequest(t, "POST", "https://"+host+"/", partType, body))
	}
	for _, tt := range [][2]string{
		{partsBody("k", sealed), partsBody("k", secret)},
		{partsBody("k", "") + "\r\n", partsBody("k", "") + "\r\n"},
		{partsBody("k", "tv1. is how they begin", "k", sealed), partsBody("k", "tv1. is how they begin", "k", secret)},
		{partsBody("k", strings.Repeat("x", maxSealed+1), "k", sealed), partsBody("k", strings.Repeat("x", maxSealed+1), "k", secret)},
		{partsBody("k", strings.Repeat("x", 4*maxSealed), "k", sealed), partsBody("k", strings.Repeat("x", 4*maxSealed), "k", secret)},
		{strings.ReplaceAll(partsBody("k", sealed), boundary+"\r\n", boundary+" \t\r\n"), strings.ReplaceAll(partsBody("k", secret), boundary+"\r\n", boundary+" \t\r\n")},
	} {
		before := len(r.requests())
		_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", partType, tt[0]))
		require.NoError(t, err)
		require.True(t, tt[1] == r.requests()[before].Body)
	}
}

// A delimiter is found wherever the window cuts it.
func TestDelimitersAcrossTheWindow(t *testing.T) {
	t.Parallel()
	r := partRig(t)
	sealed := r.seal(secret)
	for n := multipartWindow - len(boundary) - 75; n < multipartWindow+2; n++ {
		filler := strings.Repeat("x", n)
		before := len(r.requests())
		_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", partType, partsBody("f", filler, "k", sealed)))
		require.NoError(t, err, n)
		require.True(t, partsBody("f", filler, "k", secret) == r.requests()[before].Body, n)
	}
}

// A boundary that reads like a header field is a boundary.
func TestABoundaryWithAColon(t *testing.T) {
	t.Parallel()
	r := partRig(t)
	const contentType = `multipart/form-data; boundary="a:b"`
	const head = "--a:b\r\nContent-Disposition: form-data; name=\"k\"\r\n"
	sealed := r.seal(secret)
	r.refused(ErrPlace, newRequest(t, "POST", "https://"+host+"/", contentType, head+"--a:b\r\n\r\n"+sealed+"\r\n--a:b--"))
	_, _, err := r.do(newRequest(t, "POST", "https://"+host+"/", contentType, head+"\r\n"+sealed+"\r\n--a:b--"))
	require.NoError(t, err)
	require.Equal(t, head+"\r\n"+secret+"\r\n--a:b--", r.only().Body)
}

// What cannot be read or written ends the edit, wherever it happens.
func TestMultipartErrors(t *testing.T) {
	t.Parallel()
	edit := func(dst io.Writer, src io.Reader) error {
		e := bodyEdit{x: &exchange{dest: &destination{open: &places{multipart: names{all: true}}}}}
		return e.editMultipart(dst, src, boundary)
	}
	body := "preamble\r\n" + partsBody("k", "content", "l", "more") + "\r\nepilogue"
	for n := range body {
		require.ErrorIs(t, edit(io.Discard, io.MultiReader(strings.NewReader(body[:n]), failingReader{})), errBroken, n)
		require.ErrorIs(t, edit(&failingWriter{n}, strings.NewReader(body)), errBroken, n)
		var out strings.Builder
		require.NoError(t, edit(&out, strings.NewReader(body[:n])), n)
		require.Equal(t, body[:n], out.String())
	}
}

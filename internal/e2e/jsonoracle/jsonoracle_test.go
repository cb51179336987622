// Package jsonoracle holds the JSON editor against go-json-experiment/jsontext,
// a parser that shares no line with it.
package jsonoracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
	"github.com/stretchr/testify/require"
)

// lenient is jsontext as lenient as the editor: duplicate names are edited one
// by one, and what is no Unicode passes where it is not selected.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

var mask = []byte(`"REDACTED"`)

// peerEdit replaces the value of every member named t with jsontext's tokens.
func peerEdit(doc []byte) (string, error) {
	var out bytes.Buffer
	dec := jsontext.NewDecoder(bytes.NewBuffer(doc), lenient...)
	done := 0
	for {
		tok, err := dec.ReadToken()
		if err == io.EOF {
			out.Write(doc[done:])
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		kind, n := dec.StackIndex(dec.StackDepth())
		if kind != '{' || n%2 == 0 || tok.Kind() != '"' || tok.String() != "t" {
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return "", err
		}
		end := int(dec.InputOffset())
		out.Write(doc[done : end-len(value)])
		out.Write(mask)
		done = end
	}
}

func check(t *testing.T, e *jsonedit.Editor, doc []byte) {
	t.Helper()
	var out bytes.Buffer
	err := e.Edit(&out, bytes.NewReader(doc), func(jsonedit.Value) ([]byte, error) { return mask, nil })
	if valid := jsontext.Value(doc).IsValid(lenient...); valid {
		require.NoError(t, err)
	} else if err == nil {
		requireSequence(t, doc)
	}
	if err != nil {
		require.ErrorIs(t, err, jsonedit.ErrSyntax)
		return
	}
	if bytes.ContainsAny(doc, "\x1e\ufeff") {
		return
	}
	want, err := peerEdit(doc)
	require.NoError(t, err)
	require.Equal(t, want, out.String())
}

// requireSequence: what only the editor accepts is several values, perhaps with
// record separators, perhaps behind a byte order mark.
func requireSequence(t *testing.T, doc []byte) {
	t.Helper()
	doc = bytes.ReplaceAll(bytes.TrimPrefix(doc, []byte("\ufeff")), []byte{0x1e}, []byte(" "))
	dec := jsontext.NewDecoder(bytes.NewBuffer(doc), lenient...)
	for n := 0; ; n++ {
		_, err := dec.ReadValue()
		if errors.Is(err, io.EOF) {
			require.Positive(t, n)
			return
		}
		require.NoError(t, err)
	}
}

var texts = []string{
	``, ` `, `1`, `-0`, `1.5e+3`, `"a"`, `null`, `tru`, `truefalse`, `[]`, `{}`, `[1,]`, `{"a":1,}`, `[1 2]`, `01`, `-`, `1.`, `1e`, `"\q"`, `"\ud800"`, `"\u00e`,
	"\"\xff\"", "\"a\nb\"", "\ufeff{}", "{}\n{}", "\x1e{}\n\x1e[1]\n", `{"t":1}`, `{"\u0074":[{"t":2}]}`, `{"t":1,"t":{"t":2}}`, `{"a":{"t":null},"b":["t",{"t":"x"}]}`,
	`[[[[[[[[[[]]]]]]]]]]`, `{"a":"\\\"","t":"\\"}`, `{"t" :	1 , "u": 2}`, `1 2 3`, `"t":1`, `{"t"}`, `{1:2}`, `[-]`, `[+1]`, `[.5]`, `[NaN]`, "[\u00a01]", "{}\x00",
}

func TestAgreesWithJSONText(t *testing.T) {
	t.Parallel()
	e, err := jsonedit.Compile("$..t")
	require.NoError(t, err)
	for _, text := range texts {
		check(t, e, []byte(text))
	}
	suite, err := os.ReadFile("../../jsonedit/testdata/jsonpath-cts.json")
	require.NoError(t, err)
	check(t, e, suite)
	var cases struct {
		Tests []struct{ Document json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(suite, &cases))
	require.Len(t, cases.Tests, 703)
	for _, c := range cases.Tests {
		check(t, e, c.Document)
	}
}

// TestStrictness pins the texts on which the editor is meant to differ.
func TestStrictness(t *testing.T) {
	t.Parallel()
	e, err := jsonedit.Compile("$..t")
	require.NoError(t, err)
	for _, c := range []struct {
		rule, in       string
		ours, jsontext bool
	}{
		{"duplicate names", `{"a":1,"a":2}`, true, false},
		{"invalid UTF-8 that is not selected", "[\"\xff\"]", true, false},
		{"a lone surrogate that is not selected", `["\ud800"]`, true, false},
		{"a byte order mark", "\ufeff[]", true, false},
		{"several values", "[] []", true, false},
		{"record separators", "\x1e[]\n", true, false},
		{"the deepest nesting", strings.Repeat("[", 10000) + strings.Repeat("]", 10000), true, true},
		{"deeper", strings.Repeat("[", 10001) + strings.Repeat("]", 10001), false, false},
		{"an empty text", "", false, false},
		{"a number too large for any type", "[1e999999]", true, true},
	} {
		err := e.Edit(io.Discard, strings.NewReader(c.in), func(jsonedit.Value) ([]byte, error) { return nil, nil })
		require.Equal(t, c.ours, err == nil, "%s: %v", c.rule, err)
		require.Equal(t, c.jsontext, jsontext.Value(c.in).IsValid(), c.rule)
	}
}

func TestEveryTruncationAndMutation(t *testing.T) {
	t.Parallel()
	e, err := jsonedit.Compile("$..t")
	require.NoError(t, err)
	doc := []byte(`{"t" : "x\u00e9", "l": [-12.5e3, true, false, null, {"t": {}, "u\n": []}]}`)
	for n := range doc {
		check(t, e, doc[:n])
		for _, c := range []byte("\x00\x1f \"\\,:[]{}tu0-+.eE/\x7f\x80\xff") {
			mutant := bytes.Clone(doc)
			mutant[n] = c
			check(t, e, mutant)
		}
		check(t, e, fmt.Appendf(nil, "%s%s", doc[:n], doc[n+1:]))
	}
}

func FuzzAgreesWithJSONText(f *testing.F) {
	e, err := jsonedit.Compile("$..t")
	require.NoError(f, err)
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, doc []byte) { check(t, e, doc) })
}

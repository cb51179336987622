package jsonedit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"
)

// FuzzEdit holds every way to edit a text against every other, and against the
// oracle and the decoded document.
func FuzzEdit(f *testing.F) {
	for i, c := range ctsCases(f) {
		if i%5 == 0 { // TestComplianceSuite has them all
			f.Add(c.Selector, []byte(c.Document), uint8(3))
		}
	}
	for _, doc := range []string{
		grant, `{"t":1}{"t":2} 3`, "\x1e{\"t\":1}\n\x1e[2]\n", `{"t":1,"t":{"t":2}}`, `{"\u0074":"\ud800","t":"\ud83d\ude00"}`,
		"{\"\xff\":\"\xff\"}", `[1,]`, `[-0.0e+0,1E400]`, `[[[[[]]]]]`, `"`, `{"a":"\u00`, `tru`,
	} {
		for _, path := range []string{"$", "$..t", "$.*", "$[-1]", "$[?@.t]", "$..[?@..t]", "$[?@==$.t]", "$[?match(@.t,@.u)]"} {
			f.Add(path, []byte(doc), uint8(1))
		}
	}
	f.Fuzz(func(t *testing.T, path string, doc []byte, window uint8) {
		e, err := Compile(path)
		if err != nil || strings.Count(path, "..") > 2 || len(doc) > 4<<10 {
			return
		}
		got, err := agree(t, e, string(doc), 1+int(window), mark)
		requireVerdict(t, doc, err)
		if err != nil {
			return
		}
		unchanged, err := agree(t, e, string(doc), 1+int(window), same)
		require.NoError(t, err)
		require.Equal(t, string(doc), unchanged)
		masked, err := edit(e, string(doc), mask)
		require.NoError(t, err)
		requireDecoded(t, path, doc, masked)
		if cuts, known := tryOracle(t, doc, path); known {
			require.Equal(t, splice(doc, cuts, marked), got)
		}
	})
}

// agree edits doc in one large window, in small ones, by Edit, Reader and
// Writer, and in the document tier.
func agree(t *testing.T, e *Editor, doc string, window int, f Replace) (string, error) {
	t.Helper()
	want, wantErr := edit(e, doc, f)
	check := func(got string, err error) {
		t.Helper()
		if wantErr != nil {
			require.EqualError(t, err, wantErr.Error())
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	small := e.windowed(window)
	check(edit(small, doc, f))
	check(pull(small, doc, f))
	check(push(small, doc, f))
	if got, err := edit(e.buffered(), doc, f); wantErr != nil {
		require.Error(t, err) // perhaps another one: it sees the whole document first
	} else {
		check(got, err)
	}
	got, err := io.ReadAll(iotest.OneByteReader(e.Reader(iotest.DataErrReader(strings.NewReader(doc)), f)))
	check(string(got), err)
	return want, wantErr
}

// requireVerdict holds what was accepted and refused against encoding/json:
// the same, but that sequences, record separators and one byte order mark pass.
func requireVerdict(t *testing.T, doc []byte, err error) {
	t.Helper()
	if err != nil {
		require.False(t, json.Valid(doc) && errors.Is(err, ErrSyntax), "refused: %v", err)
		return
	}
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	dec := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(doc, []byte{0x1e}, []byte(" "))))
	n := 0
	for ; err == nil; n++ {
		var value json.RawMessage
		err = dec.Decode(&value)
	}
	require.Equal(t, io.EOF, err)
	require.Greater(t, n, 1)
}

// requireDecoded holds the decode of what came out against the decoded document,
// edited. Of duplicate names both know the last only.
func requireDecoded(t *testing.T, path string, in []byte, out string) {
	t.Helper()
	var doc, got any
	query, err := jsonpath.Parse(path)
	if json.Unmarshal(in, &doc) != nil || err != nil || strings.Contains(path, "?") || !utf8.Valid(in) {
		return
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	for _, n := range query.SelectLocated(doc) {
		doc = maskAt(doc, n.Path)
	}
	require.Equal(t, doc, got)
}

func maskAt(doc any, path spec.NormalizedPath) any {
	if len(path) == 0 {
		return "REDACTED"
	}
	switch in := doc.(type) {
	case map[string]any:
		name := string(path[0].(spec.Name))
		in[name] = maskAt(in[name], path[1:])
	case []any:
		i := int(path[0].(spec.Index))
		in[i] = maskAt(in[i], path[1:])
	}
	return doc // a string is a mask already
}

// tryOracle asks the oracle, where it has an answer: it panics on functions of
// absent nodes, and neither knows sequences nor duplicate names.
func tryOracle(t *testing.T, doc []byte, path string) (cuts []cut, known bool) {
	t.Helper()
	var v any
	if json.Unmarshal(doc, &v) != nil || !utf8.Valid(doc) || duplicates(doc) || strings.ContainsAny(path, "|") {
		return nil, false
	}
	defer func() {
		if recover() != nil {
			cuts, known = nil, false
		}
	}()
	jsonpath.MustParse(path).SelectLocated(v)
	return oracleCuts(t, doc, path), true
}

// duplicates reports whether decoding doc loses a member.
func duplicates(doc []byte) bool {
	lost, names := false, [][]string{}
	dec := json.NewDecoder(bytes.NewReader(doc))
	name := []bool{}
	for {
		tok, err := dec.Token()
		if err != nil {
			return lost
		}
		top := len(name) - 1
		if s, ok := tok.(string); ok && top >= 0 && name[top] {
			lost = lost || slices.Contains(names[top], s)
			names[top] = append(names[top], s)
			name[top] = false
			continue
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			names, name = append(names, nil), append(name, tok == json.Delim('{'))
			continue
		case json.Delim('}'), json.Delim(']'):
			names, name = names[:top], name[:top]
			top--
		}
		if top >= 0 && names[top] != nil {
			name[top] = true
		}
	}
}

// FuzzCompile looks for a path that makes Compile or an edit panic.
func FuzzCompile(f *testing.F) {
	for _, c := range ctsCases(f) {
		f.Add(c.Selector)
	}
	f.Fuzz(func(t *testing.T, path string) {
		e, err := Compile(path)
		if err != nil || strings.Count(path, "..") > 3 {
			return
		}
		for _, doc := range []string{`[1,"a",{"a":[{"b":null}]},[[]]]`, `{"a":{"a":[1,2,3],"b":"a"},"b":[{"a":1}]}`} {
			got, err := edit(e, doc, same)
			if err != nil {
				require.ErrorIs(t, err, errFilter)
				continue
			}
			require.Equal(t, doc, got)
		}
	})
}

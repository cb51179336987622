package jsonedit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"
)

// The oracle edits one JSON value by decoding it with encoding/json, asking
// theory/jsonpath's SelectLocated, and splicing the text at the locations. It
// shares nothing with the scanner and the matcher. Of duplicate names it knows
// the last only.

// cut is one location: the bytes that a normalized path leads to.
type cut struct{ start, end, path int }

func oracleCuts(t testing.TB, text []byte, paths ...string) []cut {
	t.Helper()
	var doc any
	require.NoError(t, json.Unmarshal(text, &doc))
	spans := map[string][2]int{}
	locate(t, json.NewDecoder(bytes.NewReader(text)), text, spec.Normalized(), spans)
	var cuts []cut
	for i, path := range paths {
		for _, n := range jsonpath.MustParse(path).SelectLocated(doc) {
			at, known := spans[n.Path.String()]
			require.True(t, known, n.Path)
			cuts = append(cuts, cut{at[0], at[1], i})
		}
	}
	return outermost(cuts)
}

// locate records the bytes of every value that dec reads.
func locate(t testing.TB, dec *json.Decoder, text []byte, at spec.NormalizedPath, spans map[string][2]int) {
	start := int(dec.InputOffset())
	start += bytes.IndexAny(text[start:], "{[\"-0123456789tfn")
	tok, err := dec.Token()
	require.NoError(t, err)
	for i := 0; tok == json.Delim('{') && dec.More(); i++ {
		name, err := dec.Token()
		require.NoError(t, err)
		locate(t, dec, text, append(at[:len(at):len(at)], spec.Name(name.(string))), spans)
	}
	for i := 0; tok == json.Delim('[') && dec.More(); i++ {
		locate(t, dec, text, append(at[:len(at):len(at)], spec.Index(i)), spans)
	}
	if _, opened := tok.(json.Delim); opened {
		_, err = dec.Token()
		require.NoError(t, err)
	}
	spans[at.String()] = [2]int{start, int(dec.InputOffset())}
}

// outermost drops what lies inside another cut, and all but the first path of
// those that select the same value.
func outermost(cuts []cut) []cut {
	slices.SortFunc(cuts, func(a, b cut) int {
		if a.start != b.start {
			return a.start - b.start
		}
		if a.end != b.end {
			return b.end - a.end
		}
		return a.path - b.path
	})
	end := 0
	return slices.DeleteFunc(cuts, func(c cut) bool {
		inside := c.start < end
		end = max(end, c.end)
		return inside
	})
}

func splice(text []byte, cuts []cut, f func(text []byte, path int) []byte) string {
	var out strings.Builder
	at := 0
	for _, c := range cuts {
		out.Write(text[at:c.start])
		out.Write(f(text[c.start:c.end], c.path))
		at = c.end
	}
	out.Write(text[at:])
	return out.String()
}

package jsonedit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTier(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path string
		tier Tier
	}{
		{"$", Streaming},
		{"$.a.b['c'][0]", Streaming},
		{"$..token", Streaming},
		{"$..[*]['a',1,2:9:3]", Streaming},
		{"$[1:]", Streaming},
		{"$[::0]", Streaming},
		{"$[-1]", ElementBuffered},
		{"$[-2:]", ElementBuffered},
		{"$[:-2]", ElementBuffered},
		{"$[::-1]", ElementBuffered},
		{"$.a[?@.b]", ElementBuffered},
		{"$[?@['$']=='$.a']", ElementBuffered},
		{`$[?@.a=="\"$"]`, ElementBuffered},
		{`$[?@["\"$"]]`, ElementBuffered},
		{"$[?match(@.a,'^x$')]", ElementBuffered},
		{"$[?@.a==$.b]", DocumentBuffered},
		{"$[?@[?$.b]]", DocumentBuffered},
		{"$[?count($..a)>1]", DocumentBuffered},
		{"$[?!($['\"'])]", DocumentBuffered},
	} {
		require.Equal(t, c.tier, compile(t, c.path).Tier(), c.path)
		require.Equal(t, c.tier, compile(t, "$.x", c.path, "$.y").Tier(), "%s among others", c.path)
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule  string
		paths []string
		text  string
	}{
		{"no paths", nil, "no paths"},
		{"an empty path", []string{""}, "paths[0]"},
		{"the error names the index", []string{"$.a", "$.b", "$.c["}, "paths[2]"},
		{"no root", []string{"a.b"}, "paths[0]"},
		{"an unknown function", []string{"$[?nope(@)]"}, "paths[0]"},
		{"a path without end", []string{"$" + strings.Repeat(".a", 4000)}, "paths[0]: longer than 4096 bytes"},
		{"parentheses without end", []string{"$[?" + strings.Repeat("(", 1<<20)}, "longer than"},
		{"parentheses up to the bound", []string{"$[?" + strings.Repeat("(", 4000)}, "paths[0]"},
	} {
		_, err := Compile(c.paths...)
		require.ErrorContains(t, err, c.text, c.rule)
	}
}

func TestCompileKeepsNothingOfTheCaller(t *testing.T) {
	t.Parallel()
	paths := []string{"$[?@.a]"}
	e := compile(t, paths...)
	paths[0] = "$"
	got, err := edit(e, `[{"a":1},2]`, mask)
	require.NoError(t, err)
	require.Equal(t, `["REDACTED",2]`, got)
}

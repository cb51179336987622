package jsonedit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestElsewhere_MatchPanicsOnAbsentNode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, in, out string }{
		{"$[?match(@.x,'a+')].v", `[{"v":1},{"x":"aa","v":2}]`, `[{"v":1},{"x":"aa","v":"REDACTED"}]`},
		{"$[?search(@.x,'a')].v", `[{"v":1},{"x":"bab","v":2}]`, `[{"v":1},{"x":"bab","v":"REDACTED"}]`},
		{"$[?match(@.x,@.y)].v", `[{"x":"a","y":".","v":1},{"x":"a","y":7,"v":2},{"y":".","v":3}]`, `[{"x":"a","y":".","v":"REDACTED"},{"x":"a","y":7,"v":2},{"y":".","v":3}]`},
	} {
		got, err := everyWay(t, compile(t, c.path), c.in, mask)
		require.NoError(t, err, c.path)
		require.Equal(t, c.out, got, c.path)
	}
	for _, path := range []string{"$[?match(@.x,@.y)].v", "$[?search(@.x,@.y)].v", "$[?!match(@.x,@.y)].v", "$[?match(@.x,$.y)].v"} {
		got, err := everyWay(t, compile(t, path), `[{"x":"a","v":"s3cr3t"}]`, mask)
		require.ErrorIs(t, err, errFilter, path)
		require.NotContains(t, got, "s3cr3t", path)
	}
}

func TestElsewhere_MatchAnchorsOneAlternative(t *testing.T) {
	t.Parallel()
	got, err := everyWay(t, compile(t, "$[?match(@,'a|b')]"), `["a","b","ax","xb"]`, mask)
	require.NoError(t, err)
	require.Equal(t, `["REDACTED","REDACTED","ax","xb"]`, got)
}

func TestIRegexpDot(t *testing.T) {
	t.Parallel()
	got, err := everyWay(t, compile(t, "$[?match(@,'a.b')]"), `["a b","a\nb","a\rb","a\u2028b","a😀b","ab"]`, mask)
	require.NoError(t, err)
	require.Equal(t, `["REDACTED","a\nb","a\rb","REDACTED","REDACTED","ab"]`, got)
}

func TestSpellDots(t *testing.T) {
	t.Parallel()
	for in, out := range map[string]string{
		``:              ``,
		`.`:             `[^\n\r]`,
		`a.*b`:          `a[^\n\r]*b`,
		`\.\\.`:         `\.\\[^\n\r]`,
		`[.].`:          `[.][^\n\r]`,
		`[\]..]`:        `[\]..]`,
		`[].].`:         `[].][^\n\r]`,
		`[^].].`:        `[^].][^\n\r]`,
		`[[:alpha:].].`: `[[:alpha:].][^\n\r]`,
		`[[.].`:         `[[.][^\n\r]`,
		`é.`:            `é[^\n\r]`,
		`a\`:            `a\`,
	} {
		require.Equal(t, out, spellDots(in), in)
	}
}

func TestElsewhere_PatternCompiledForEachNode(t *testing.T) {
	t.Parallel()
	e := compile(t, "$[?search(@,'h.l')]")
	r := e.run(mask)
	for _, f := range r.m.filters[0] {
		for range 1000 {
			yes, err := judge(f, "hello", nil)
			require.NoError(t, err)
			require.True(t, yes)
		}
	}
	require.Equal(t, 1, r.m.patterns.spent)
}

func TestElsewhere_DocumentBringsItsOwnPatterns(t *testing.T) {
	t.Parallel()
	e := compile(t, "$[?match(@.x,@.y)].v")
	element := func(i int) string { return fmt.Sprintf(`{"x":"%d","y":"%d","v":"s3cr3t"}`, i, i) }
	var list []string
	for i := range maxPatterns {
		list = append(list, element(i))
	}
	for range 3 { // the bound is on one edit, not on an editor
		got, err := edit(e, "["+strings.Join(list, ",")+"]", mask)
		require.NoError(t, err)
		require.NotContains(t, got, "s3cr3t")
	}
	got, err := edit(e.windowed(100), "["+strings.Join(append(list, element(maxPatterns)), ",")+"]", mask)
	require.ErrorIs(t, err, errFilter)
	require.NotContains(t, got, "s3cr3t")
	_, err = edit(e, `[{"x":"a","y":"`+strings.Repeat("a", maxPattern+1)+`"}]`, mask)
	require.ErrorIs(t, err, errFilter)
}

func TestPatternThatIsNone(t *testing.T) {
	t.Parallel()
	got, err := everyWay(t, compile(t, "$[?match(@.x,@.y)].v"), `[{"x":"(","y":"(","v":1},{"x":"ab","y":"a)(?:b","v":2}]`, mask)
	require.NoError(t, err)
	require.Equal(t, `[{"x":"(","y":"(","v":1},{"x":"ab","y":"a)(?:b","v":2}]`, got)
}

func TestElsewhere_DeepTextStallsFilter(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, path := range []string{"$..[?@..x]", "$[?@..*..*]", "$..[?$..x]", "$[?count(@..*)>1]"} {
		_, err := edit(compile(t, path), deep(100), same)
		require.NoError(t, err, path)
		_, err = edit(compile(t, path), deep(maxDepth), same)
		require.ErrorIs(t, err, errFilter, path)
	}
	_, err := edit(compile(t, "$..[?@.x]"), deep(maxDepth), same)
	require.NoError(t, err, "no descendant segment in the filter")
}

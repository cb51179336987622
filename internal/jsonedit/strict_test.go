package jsonedit

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, in, at string }{
		{"no value", "", "end at byte 0"},
		{"white space is no value", " \n", "end at byte 2"},
		{"a byte order mark is no value", "\ufeff", "end at byte 3"},
		{"a broken byte order mark", "\xef\xbb{}", "byte 2"},
		{"two byte order marks", "\ufeff\ufeff{}", "byte 3"},
		{"a record separator inside", "[1,\x1e2]", "byte 3"},
		{"other white space", "[1,\u00a02]", "byte 3"},
		{"a form feed", "[1,\f2]", "byte 3"},
		{"a comment", "[1,/**/2]", "byte 3"},
		{"a comma too many", "[1,]", "byte 3"},
		{"a comma too many in an object", `{"a":1,}`, "byte 7"},
		{"a comma at the start", "[,1]", "byte 1"},
		{"no comma", "[1 2]", "byte 3"},
		{"no colon", `{"a" 1}`, "byte 5"},
		{"two colons", `{"a"::1}`, "byte 5"},
		{"no value in an object", `{"a":}`, "byte 5"},
		{"a name that is no string", `{a:1}`, "byte 1"},
		{"a number for a name", `{1:1}`, "byte 1"},
		{"single quotes", `['a']`, "byte 1"},
		{"the wrong bracket", `[1}`, "byte 2"},
		{"the wrong brace", `{"a":1]`, "byte 6"},
		{"a bracket too many", `[1]]`, "byte 3"},
		{"a leading zero", "[01]", "byte 2"},
		{"a leading plus", "[+1]", "byte 1"},
		{"a leading dot", "[.5]", "byte 1"},
		{"a trailing dot", "[1.]", "byte 3"},
		{"a minus alone", "[-]", "byte 2"},
		{"an empty exponent", "[1e]", "byte 3"},
		{"a signed empty exponent", "[1e+]", "byte 4"},
		{"two dots", "[1.2.3]", "byte 4"},
		{"hexadecimal", "[0x1]", "byte 2"},
		{"not a number", "[NaN]", "byte 1"},
		{"infinity", "[-Infinity]", "byte 2"},
		{"a literal in capitals", "[True]", "byte 1"},
		{"a literal cut short", "[tru]", "byte 4"},
		{"a literal that goes on", "[nullx]", "byte 5"},
		{"an unknown escape", `["\x41"]`, "byte 3"},
		{"an escape of five digits' place", `["\u12G4"]`, "byte 6"},
		{"a control character in a string", "[\"a\nb\"]", "byte 3"},
		{"NUL in a string", "[\"a\x00b\"]", "byte 3"},
		{"a control character in a name", "{\"a\tb\":1}", "byte 3"},
		{"NUL behind the document", "{}\x00", "byte 2"},
		{"a string that does not end", `["abc`, "end at byte 5"},
		{"an escape that does not end", `["abc\`, "end at byte 6"},
		{"a number that does not end", `-`, "end at byte 1"},
		{"a literal that does not end", `tru`, "end at byte 3"},
	} {
		for _, path := range []string{"$.nothing", "$..*", "$[?@.x]", "$[?$.x]"} {
			_, err := everyWay(t, compile(t, path), c.in, same)
			require.ErrorIs(t, err, ErrSyntax, c.rule)
			require.True(t, strings.HasSuffix(err.Error(), c.at), "%s: %v", c.rule, err)
		}
	}
}

const grant = "\ufeff{\"token_type\" : \"Bearer\", \"access_token\": \"s3cr3t-1\\u0041\", \"exp\": -12.5e3, \"l\": [true, false, null, {\"access_token\": \"s3cr3t-2\"}]}"

func TestTruncationIsAnErrorEverywhere(t *testing.T) {
	t.Parallel()
	for _, e := range []*Editor{compile(t, "$..access_token"), compile(t, "$..[?@=='s3cr3t-2']", "$.access_token"), compile(t, "$..access_token").buffered()} {
		for n := range len(grant) {
			got, err := everyWay(t, e, grant[:n], mask)
			require.ErrorIs(t, err, ErrSyntax, "%d bytes", n)
			require.NotContains(t, got, "s3cr3t")
		}
		got, err := everyWay(t, e, grant, mask)
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(got, "REDACTED"))
	}
}

// calls counts writes and remembers the last.
type calls struct {
	n   int
	all strings.Builder
}

func (c *calls) Write(p []byte) (int, error) {
	c.n++
	return c.all.Write(p)
}

func TestNothingComesOutAfterAnError(t *testing.T) {
	t.Parallel()
	text := `{"a":1,"t":"x"} {"b":2 "t":"s3cr3t","rest":"s3cr3t"} {"t":"s3cr3t"}`
	at := strings.Index(text, ` "t":"s3cr3t"`) + 1
	for window := 1; window < len(text); window++ {
		var out calls
		w := compile(t, "$.nothing").Writer(&out, mask)
		var failed int
		for i := 0; i < len(text); i += window {
			n := out.n
			_, err := io.WriteString(w, text[i:min(i+window, len(text))])
			if failed > 0 || err != nil {
				failed++
				require.ErrorIs(t, err, ErrSyntax)
				require.Equal(t, n, out.n, "written after the error")
			}
		}
		require.ErrorIs(t, w.Close(), ErrSyntax)
		require.Positive(t, failed)
		require.Equal(t, text[:at/window*window], out.all.String())
	}
}

func TestReaderErrorStays(t *testing.T) {
	t.Parallel()
	r := compile(t, "$.t").windowed(1).Reader(strings.NewReader(`{"a":1 x "t":"s3cr3t"}`), mask)
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, ErrSyntax)
	require.Equal(t, `{"a":1 `, string(got))
	for range 3 {
		n, again := r.Read(make([]byte, 10))
		require.Zero(t, n)
		require.Equal(t, err, again)
	}
}

func TestErrorsDoNotQuoteTheText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"t":"s3cr3t"`, `{"t":"s3cr3t" "s3cr3t"}`, `{"t":s3cr3t}`, `{"t":"s3cr3t\q"}`} {
		for _, path := range []string{"$.t", "$[?@.s3].t", "$[?$.s3]"} {
			_, err := everyWay(t, compile(t, path), text, mask)
			require.ErrorIs(t, err, ErrSyntax)
			require.NotContains(t, err.Error(), "s3cr3t")
			require.NotContains(t, err.Error(), "q")
		}
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ open, shut string }{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}} {
		n := maxDepth / (strings.Count(c.open, "[") + strings.Count(c.open, "{"))
		deep := strings.Repeat(c.open, n) + "1" + strings.Repeat(c.shut, n)
		for _, path := range []string{"$..t", "$.a", "$[?@.t]", "$[-1]"} {
			e := compile(t, path).Limit(1 << 20)
			_, err := edit(e, deep, same)
			require.NoError(t, err)
			_, err = edit(e, "["+deep+"]", same)
			require.ErrorIs(t, err, ErrSyntax)
			require.ErrorContains(t, err, "nested deeper than 10000")
		}
		require.True(t, json.Valid([]byte(deep)), "encoding/json has the same limit")
		require.False(t, json.Valid([]byte("["+deep+"]")))
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	long := `"` + strings.Repeat("x", 98) + `"`
	for _, c := range []struct {
		rule, path, in string
		limit          int64
		at             string
	}{
		{"a selected value that just fits", "$.t", `{"t":` + long + `}`, 100, ""},
		{"a selected value over the cap", "$.t", `{"t":` + long + `}`, 99, "more than 99 bytes at byte 5"},
		{"a selected value far over the cap", "$.t", `{"t":` + long + `}`, 9, "more than 9 bytes at byte 5"},
		{"a value that is not selected", "$.t", `{"u":` + long + `}`, 10, ""},
		{"many values that are", "$[*]", "[" + strings.Repeat("1,", 100) + "1]", 1, ""},
		{"a candidate that just fits", "$[?@.x]", "[" + long + "]", 100, ""},
		{"a candidate over the cap", "$[?@.x]", "[" + long + "]", 99, "more than 99 bytes at byte 1"},
		{"what is around the candidates", "$.l[?@.x]", `{"u":` + long + `,"l":[1,2]}`, 10, ""},
		{"an array that just fits", "$.l[-1]", `{"l":[` + long + `]}`, 102, ""},
		{"an array over the cap", "$.l[-1]", `{"l":[` + long + `]}`, 101, "more than 101 bytes at byte 5"},
		{"a document that just fits", "$[?$.x]", "[" + long + "]", 102, ""},
		{"a document over the cap", "$[?$.x]", " [" + long + "]", 101, "more than 101 bytes at byte 1"},
	} {
		got, err := everyWay(t, compile(t, c.path).Limit(c.limit), c.in, same)
		if c.at == "" {
			require.NoError(t, err, c.rule)
			require.Equal(t, c.in, got, c.rule)
			continue
		}
		require.ErrorIs(t, err, ErrTooLarge, c.rule)
		require.ErrorContains(t, err, c.at, c.rule)
		require.NotContains(t, got, "x", c.rule)
	}
	require.Equal(t, int64(1<<20), compile(t, "$").Limit(0).limit, "no limit given is the default")
}

func TestSelectedValueWithoutEndIsNotBuffered(t *testing.T) {
	t.Parallel()
	n := 0
	endless := readFunc(func(p []byte) (int, error) {
		n += len(p)
		return copy(p, strings.Repeat("x", len(p))), nil
	})
	for _, path := range []string{"$.t", "$[?@.x]", "$[?$.x]"} {
		n = 0
		err := compile(t, path).Limit(1000).Edit(io.Discard, io.MultiReader(strings.NewReader(`{"t":"`), endless), mask)
		require.ErrorIs(t, err, ErrTooLarge)
		require.LessOrEqual(t, n, windowSize)
	}
}

func TestElsewhere_NameLongerThanTheWindow(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 300)
	for _, text := range []string{
		`{"` + long + `":1,"n":2}`,
		`{"` + strings.Repeat(`\u006e`, 300) + `":1,"n":2}`,
		`{"` + strings.Repeat(`\ud83d\ude00`, 300) + `":1,"n":2}`,
	} {
		got, err := everyWay(t, compile(t, "$.n"), text, mask)
		require.NoError(t, err)
		require.Equal(t, strings.Replace(text, ":2", `:"REDACTED"`, 1), got)
	}
	got, err := everyWay(t, compile(t, "$."+long), `{"`+strings.Repeat(`\u006e`, 300)+`":1,"n":2}`, mask)
	require.NoError(t, err)
	require.Contains(t, got, `":"REDACTED","n":2}`)
}

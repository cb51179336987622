package jsonedit

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, text string }{
		{`""`, ""},
		{`"plain"`, "plain"},
		{`"é😀"`, "é😀"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"\u0041\u00e9\u00E9\u4e2d"`, "Aéé中"},
		{`"\ud83d\ude00x"`, "😀x"},
		{`"\ufffd"`, "\ufffd"},
		{`"a\u0000b"`, "a\x00b"},
	} {
		text, ok, err := Value{Raw: []byte(c.raw)}.Text()
		require.NoError(t, err, c.raw)
		require.True(t, ok, c.raw)
		require.Equal(t, c.text, string(text), c.raw)
	}
}

func TestTextThatDoesNotRoundTrip(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`"\ud83d"`, `"\ude00"`, `"\ude00\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\ud83d\n"`, `"\ud83d\ud83d\ude00"`,
		"\"\xff\"", "\"\xc3\"", "\"\\n\xff\"", "\"\xed\xa0\x80\"",
	} {
		_, ok, err := Value{Raw: []byte(raw)}.Text()
		require.True(t, ok, "%q", raw)
		require.ErrorIs(t, err, ErrText, "%q", raw)
	}
}

func TestTextOfOtherValues(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "1", "null", "true", "{}", `["a"]`, `{"a":"b"}`} {
		text, ok, err := Value{Raw: []byte(raw)}.Text()
		require.NoError(t, err, raw)
		require.False(t, ok, raw)
		require.Nil(t, text, raw)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{`"\ud83d\ude00"`, `"\ud83d"`, `"\u00`, `"\`, "\"\xff\"", `"a\/b"`, `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, ok, err := Value{Raw: raw}.Text()
		var want string
		if json.Unmarshal(raw, &want) != nil || raw[0] != '"' || raw[len(raw)-1] != '"' {
			return // not what the scanner lets through: only no panic
		}
		require.True(t, ok)
		if err != nil {
			require.ErrorIs(t, err, ErrText)
			require.Contains(t, want, "\ufffd")
			return
		}
		require.Equal(t, want, string(text))
		require.True(t, utf8.Valid(text))
	})
}

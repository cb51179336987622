package relay

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type failingWriter struct{ after int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// A pair longer than any sealed value passes in pieces, which are pieces of that
// pair and nothing else.
func TestLongPairs(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, true)
	sealed := r.seal(secret)
	filled := "x=" + strings.Repeat("y", maxPair-len("x="))    // up to where the first piece ends
	for _, tt := range []struct{ rule, body, arrives string }{ // arrives empty: refused
		{"one piece and its end", filled + "&k=" + sealed, filled + "&k=" + secret},
		{"several pieces", filled + filled + "y&k=" + sealed, filled + filled + "y&k=" + secret},
		{"the last pair", "k=" + sealed + "&" + filled + "yy", "k=" + secret + "&" + filled + "yy"},
		{"nothing but it", filled, filled},
		{"what looks like a pair where a piece begins", filled + "k=" + sealed + "&z=", ""},
		{"a sealed value in it", "x=" + sealed + filled + "&z=", ""},
		{"one at its end", filled + filled + sealed, ""},
	} {
		req := newRequest(t, "POST", "https://"+host+"/", formType, "")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(tt.body)), int64(len(tt.body))
		before := len(r.requests())
		_, _, err := r.do(req)
		if tt.arrives == "" {
			require.ErrorIs(t, err, ErrPlace, tt.rule)
			noValue(t, err)
			for _, got := range r.requests()[before:] {
				require.NotContains(t, got.Body, secret, tt.rule)
			}
			continue
		}
		require.NoError(t, err, tt.rule)
		require.True(t, tt.arrives == r.requests()[before].Body, tt.rule)
	}
}

// What cannot be read or written ends the edit, wherever it happens.
func TestFormErrors(t *testing.T) {
	t.Parallel()
	open := &places{form: names{all: true}}
	edit := func(dst io.Writer, src io.Reader) error {
		e := bodyEdit{x: &exchange{dest: &destination{open: open}}}
		return e.editForm(dst, src)
	}
	long := strings.Repeat("y", maxPair)
	for _, text := range []string{"", "a=1", "a=1&", long, long + long + "z", long + "&a"} {
		src := io.MultiReader(strings.NewReader(text), failingReader{})
		require.ErrorIs(t, edit(io.Discard, src), errBroken, "reading after %d bytes", len(text))
		var whole strings.Builder
		require.NoError(t, edit(&whole, struct{ io.Reader }{strings.NewReader(text)}))
		require.True(t, text == whole.String(), "%d bytes", len(text))
	}
	for _, text := range []string{"a=1", long + "z", long + "&a", long + long} {
		for _, after := range []int{0, len(text) - 1} {
			err := edit(&failingWriter{after}, struct{ io.Reader }{strings.NewReader(text)})
			require.ErrorIs(t, err, errBroken, "writing %d bytes after %d", len(text), after)
		}
	}
	require.False(t, errors.Is(edit(io.Discard, strings.NewReader("")), io.EOF))
}

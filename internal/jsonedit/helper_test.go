package jsonedit

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// mark wraps the text of a value so that what was edited, and by which path,
// shows.
func mark(v Value) ([]byte, error) { return marked(v.Raw, v.Path), nil }

func marked(text []byte, path int) []byte {
	return fmt.Appendf(nil, `{"edited by %d":%s}`, path, text)
}

func mask(Value) ([]byte, error) { return []byte(`"REDACTED"`), nil }

func same(v Value) ([]byte, error) { return v.Raw, nil }

func compile(t testing.TB, paths ...string) *Editor {
	t.Helper()
	e, err := Compile(paths...)
	require.NoError(t, err)
	return e
}

// many is the format with 0 to n-1.
func many(format string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

// windowed is e with a window of n bytes.
func (e *Editor) windowed(n int) *Editor {
	c := *e
	c.window = n
	return &c
}

// buffered is e in the document tier, whatever its paths ask for.
func (e *Editor) buffered() *Editor {
	c := *e
	prog := *e.prog
	prog.tier = DocumentBuffered
	c.prog = &prog
	c.runs = new(sync.Pool)
	return &c
}

func edit(e *Editor, text string, f Replace) (string, error) {
	var out bytes.Buffer
	err := e.Edit(&out, strings.NewReader(text), f)
	return out.String(), err
}

func pull(e *Editor, text string, f Replace) (string, error) {
	out, err := io.ReadAll(e.Reader(strings.NewReader(text), f))
	return string(out), err
}

func push(e *Editor, text string, f Replace) (string, error) {
	var out bytes.Buffer
	w := e.Writer(&out, f)
	for i := 0; i < len(text); i += e.window {
		if _, err := io.WriteString(w, text[i:min(i+e.window, len(text))]); err != nil {
			return out.String(), err
		}
	}
	err := w.Close()
	return out.String(), err
}

var windows = []int{1, 2, 3, 5, 8, 17, 64}

func init() {
	if raced {
		windows = []int{1, 7}
	}
}

// everyWay edits text by Edit, Reader and Writer with several windows, and
// requires that all agree.
func everyWay(t testing.TB, e *Editor, text string, f Replace) (string, error) {
	t.Helper()
	want, wantErr := edit(e, text, f)
	for _, window := range windows {
		for name, way := range map[string]func(*Editor, string, Replace) (string, error){"Edit": edit, "Reader": pull, "Writer": push} {
			got, err := way(e.windowed(window), text, f)
			if wantErr != nil {
				require.EqualError(t, err, wantErr.Error(), "%s, window %d", name, window)
				continue
			}
			require.NoError(t, err, "%s, window %d", name, window)
			require.Equal(t, want, got, "%s, window %d", name, window)
		}
	}
	return want, wantErr
}

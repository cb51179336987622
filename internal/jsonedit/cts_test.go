package jsonedit

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

type ctsCase struct {
	Name     string
	Selector string
	Document json.RawMessage
	Invalid  bool       `json:"invalid_selector"`
	Paths    []string   `json:"result_paths"`
	Any      [][]string `json:"results_paths"`
}

func ctsCases(t testing.TB) []ctsCase {
	t.Helper()
	text, err := os.ReadFile("testdata/jsonpath-cts.json")
	require.NoError(t, err)
	var suite struct{ Tests []ctsCase }
	require.NoError(t, json.Unmarshal(text, &suite))
	require.Len(t, suite.Tests, 703)
	return suite.Tests
}

func TestComplianceSuite(t *testing.T) {
	t.Parallel()
	invalid := 0
	for _, c := range ctsCases(t) {
		e, err := Compile(c.Selector)
		if c.Invalid {
			require.ErrorContains(t, err, "paths[0]", c.Name)
			invalid++
			continue
		}
		require.NoError(t, err, c.Name)
		doc := string(c.Document)
		want := splice(c.Document, oracleCuts(t, c.Document, c.Selector), marked)
		got, err := edit(e, doc, mark)
		require.NoError(t, err, c.Name)
		require.Equal(t, want, got, c.Name)
		got, err = pull(e.windowed(1), doc, mark)
		require.NoError(t, err, c.Name)
		require.Equal(t, want, got, c.Name)
		got, err = edit(e.buffered(), doc, mark)
		require.NoError(t, err, c.Name)
		require.Equal(t, want, got, "%s, document tier", c.Name)
		got, err = edit(e.windowed(1), doc, same)
		require.NoError(t, err, c.Name)
		require.Equal(t, doc, got, "%s, identity", c.Name)
		step := 1
		if raced {
			step = 29
		}
		for window := 1; window <= len(doc); window += step {
			got, err := push(e.windowed(window), doc, mark)
			require.NoError(t, err, c.Name)
			require.Equal(t, want, got, "%s, window %d", c.Name, window)
		}
	}
	require.Equal(t, 247, invalid)
}

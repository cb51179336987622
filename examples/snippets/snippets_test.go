package snippets

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	region = regexp.MustCompile(`(?s)\n\t// snippet: (\w+)\n(.*?)\n\t// end\n`)
	after  = regexp.MustCompile("(?s)<!-- after: (\\w+) -->\n```diff\n(.*?)\n```")
	quoted = regexp.MustCompile("(?s)<!-- snippet: (\\w+) -->\n```go\n(.*?)\n```")
)

// Every quotation in the documents is code that compiles here.
func TestDocumentsQuoteCompiledCode(t *testing.T) {
	t.Parallel()
	code := map[string]string{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		for _, m := range region.FindAllStringSubmatch(read(t, file), -1) {
			code[m[1]] = dedent(m[2])
		}
	}
	found, diffs := 0, 0
	for _, document := range documents(t) {
		text := read(t, document)
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			require.Contains(t, code, m[1], document)
			require.Equal(t, code[m[1]], m[2], "%s: snippet %s", document, m[1])
			found++
		}
		for _, m := range after.FindAllStringSubmatch(text, -1) {
			require.Contains(t, code, m[1], document)
			require.Equal(t, code[m[1]], afterDiff(m[2]), "%s: diff %s", document, m[1])
			diffs++
		}
	}
	require.GreaterOrEqual(t, found, 7, "one for each package")
	require.GreaterOrEqual(t, diffs, 3)
}

func dedent(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "\t")
	}
	return strings.Join(lines, "\n")
}

// afterDiff is what a diff leads to.
func afterDiff(diff string) string {
	var lines []string
	for line := range strings.Lines(diff) {
		if line[0] != '-' {
			lines = append(lines, line[1:])
		}
	}
	return strings.Join(lines, "")
}

package snippets

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced  = regexp.MustCompile("(?s)\n```.*?\n```")
	dropped = regexp.MustCompile(`[^a-z0-9_\- ]`)
)

// Every link from a document into the repository leads to a file that is there,
// and to a heading that the file has.
func TestDocumentsLinkToWhatExists(t *testing.T) {
	t.Parallel()
	found := 0
	for _, document := range documents(t) {
		text := read(t, document)
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				require.True(t, strings.HasPrefix(m[1], "https://"), "%s: %s", document, m[1])
				continue
			}
			name, anchor, _ := strings.Cut(m[1], "#")
			target := document
			if name != "" {
				target = filepath.Join(filepath.Dir(document), name)
			}
			_, err := os.Stat(target)
			require.NoErrorf(t, err, "%s: %s", document, m[1])
			if anchor != "" {
				require.Contains(t, anchors(read(t, target)), anchor, "%s: %s", document, m[1])
			}
			found++
		}
	}
	require.Greater(t, found, 20)
}

// documents are the Markdown files that people read.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/from/*.md"} {
		some, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, some, pattern)
		all = append(all, some...)
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// anchors are the names that GitHub gives to headings.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

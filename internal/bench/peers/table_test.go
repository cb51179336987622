// Package peers runs this library and the Go libraries it is compared with on
// the same inputs, and holds what they do against the tables in the documents.
//
//	go test ./peers -update   writes the tables anew
package peers

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables into the documents")

// writing keeps parallel tests from writing over each other's tables.
var writing sync.Mutex

// documents may hold any of the tables, each between its own marks.
var documents = []string{"../../../README.md", "../../../docs/comparison.md"}

// A table has a column for each library, this one first.
type table struct {
	name    string
	columns []string
	rows    []row
}

// A row is one question and what each library was seen to do.
type row struct {
	question string
	ours     string // what this library promises
	cells    []string
	short    bool // stands in the README as well
}

// held requires that every document shows t as it was observed.
func held(t *testing.T, tables ...table) {
	t.Helper()
	for _, tab := range tables {
		for _, r := range tab.rows {
			require.Len(t, r.cells, len(tab.columns), r.question)
			require.Equal(t, r.ours, r.cells[0], r.question)
		}
	}
	writing.Lock()
	defer writing.Unlock()
	for _, tab := range tables {
		shown := 0
		for _, file := range documents {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			_, rest, ok := strings.Cut(string(text), fmt.Sprintf("<!-- peers: %s -->\n", tab.name))
			if !ok {
				continue
			}
			stands, after, ok := strings.Cut(rest, "<!-- end -->")
			require.True(t, ok, "%s: %s has no end", file, tab.name)
			shown++
			if *update {
				made := strings.TrimSuffix(string(text), rest) + tab.String() + "<!-- end -->" + after
				require.NoError(t, os.WriteFile(file, []byte(made), 0o644))
				continue
			}
			require.Equal(t, stands, tab.String(), "%s: go test ./peers -update", file)
		}
		require.Equal(t, 1, shown, tab.name)
	}
}

func (tab table) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "| | %s |\n|---%s|\n", strings.Join(tab.columns, " | "), strings.Repeat("|---", len(tab.columns)))
	for _, r := range tab.rows {
		fmt.Fprintf(&out, "| %s | **%s** | %s |\n", r.question, r.cells[0], strings.Join(r.cells[1:], " | "))
	}
	return out.String()
}

// shortened is the part of tab that the README shows.
func (tab table) shortened(name string) table {
	short := table{name: name, columns: tab.columns}
	for _, r := range tab.rows {
		if r.short {
			short.rows = append(short.rows, r)
		}
	}
	return short
}

// verdict is what became of something that ought to be refused.
func verdict(err error) string {
	if err != nil {
		return "refused"
	}
	return "accepted"
}

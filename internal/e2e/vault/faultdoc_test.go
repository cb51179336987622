package vault

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const faultDoc = "../../../docs/faults.md"

const faultDocHead = `# Faults

What a vault does when something goes wrong between its processes, its store and the authorization server. Two or
more processes share one grant whose access token has expired; the server rotates refresh tokens strictly and ends the
whole grant when one comes a second time. Each fault is tried %d times on each engine. The figures are the server's own
counts, in all runs alike or from-to: refresh POSTs for the one generation, and logins that the fault costs a user.

This file is written by ` + "`go test ./vault -run TestFaults -update`" + ` in internal/e2e, and the same test fails when it
differs.

| fault | POSTs promised, at most |%s callers |
|---|---|%s---|
`

// compare holds docs/faults.md against what was found. An incomplete matrix, of
// a filtered run or without a server, is not compared.
func (f *findings) compare(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	for _, row := range faults {
		for _, e := range fleetEngines {
			if len(f.cells[cell{row.name, e}]) != runs {
				require.False(t, *update, "the matrix is incomplete")
				t.Logf("docs/faults.md is not compared: %q was not run %d times on %s", row.name, runs, e)
				return
			}
		}
	}
	text := f.render()
	if *update {
		require.NoError(t, os.WriteFile(faultDoc, []byte(text), 0o644))
	}
	written, err := os.ReadFile(faultDoc)
	require.NoError(t, err)
	require.Equal(t, string(written), text, "docs/faults.md differs: run with -update")
}

func (f *findings) render() string {
	var columns, rule, b strings.Builder
	for _, e := range fleetEngines {
		fmt.Fprintf(&columns, " %s: POSTs | %s: logins |", e, e)
		rule.WriteString("---|---|")
	}
	fmt.Fprintf(&b, faultDocHead, runs, &columns, &rule)
	for _, row := range faults {
		fmt.Fprintf(&b, "| %s | %d |", row.name, row.posts)
		for _, e := range fleetEngines {
			counts := f.cells[cell{row.name, e}]
			fmt.Fprintf(&b, " %s | %s |",
				span(counts, func(c family) int { return c.posts }),
				span(counts, func(c family) int {
					if c.lost() {
						return 1
					}
					return 0
				}))
		}
		fmt.Fprintf(&b, " %s |\n", row.callers)
	}
	return b.String()
}

// span is the one number that all runs have in common, or from-to.
func span(counts []family, of func(family) int) string {
	var all []int
	for _, c := range counts {
		all = append(all, of(c))
	}
	if low, high := slices.Min(all), slices.Max(all); low != high {
		return fmt.Sprintf("%d-%d", low, high)
	}
	return fmt.Sprint(all[0])
}

func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}

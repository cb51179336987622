package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
)

func TestCountsHold(t *testing.T) {
	t.Parallel()
	for _, c := range counts() {
		got, err := c.Run(t.Context())
		require.NoError(t, err, c.Name)
		require.Equal(t, c.Want, got, c.Name)
	}
}

// A count that is off, or cannot be taken, fails the run and shows in the table
// of the README.
func TestCountsAreBinding(t *testing.T) {
	t.Parallel()
	of := func(n int, err error) ratio.Report {
		return count{"row", "POSTs", 1, func(context.Context) (int, error) { return n, err }}.report(t.Context())
	}
	require.NoError(t, missed([]ratio.Report{of(1, nil)}))
	require.ErrorContains(t, missed([]ratio.Report{of(2, nil)}), "row: tokenvault: POSTs = 1")
	require.Error(t, missed([]ratio.Report{of(1, errors.New("no server"))}))
	figures, err := withFigures([]byte(begin+"\n"+end), []ratio.Report{of(1, nil), of(2, nil)})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(figures), "POSTs = 1 ✓"))
	require.Equal(t, 1, strings.Count(string(figures), "POSTs = 1 ✗ (2.00)"))
}

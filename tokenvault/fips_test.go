package tokenvault

import (
	"context"
	"crypto/fips140"
	"crypto/md5"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

const fipsChild = "TOKENVAULT_TEST_FIPS_CHILD"

// The symmetric suite asks nothing of the standard library that
// GODEBUG=fips140=only refuses. A child process proves it: the setting is read
// at start.
func TestSymmetricSuiteUnderFIPSOnly(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPSChild$", "-test.v")
	child.Env = append(os.Environ(), fipsChild+"=1", "GODEBUG=fips140=only")
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "sealed, opened and resealed")
}

// TestFIPSChild does its work only as TestSymmetricSuiteUnderFIPSOnly's child.
func TestFIPSChild(t *testing.T) {
	if os.Getenv(fipsChild) == "" {
		return
	}
	require.True(t, fips140.Enabled())
	require.Panics(t, func() { md5.Sum(nil) }, "the mode is on")
	old := newJWK(t, symmetric, "old")
	r := ringOf(t, newJWK(t, symmetric, "new"), old)
	sealed := mustSeal(t, ringOf(t, old), "hunter2", Label{Hosts: []string{"api.example.com"}})
	resealed, changed, err := r.Reseal(context.Background(), sealed)
	require.NoError(t, err)
	require.True(t, changed)
	got, _ := mustOpen(t, r, resealed, Use{Host: "api.example.com"})
	require.Equal(t, "hunter2", got)
	requireRefused(t, r, withSegment(sealed, 5, "AAAAAAAAAAAAAAAAAAAAAA"), Use{}, ErrOpen, "tag")
	t.Log("sealed, opened and resealed")
}

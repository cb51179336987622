package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

func TestNothingIsLeftAfterwards(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(&out))
	require.Contains(t, out.String(), "6 credentials went in, none came out.")

	r, err := redact.New(redact.Default())
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, write := range []func(io.Writer, *redact.Redactor) error{logLines, accessLog, dump} {
		var before, after bytes.Buffer
		require.NoError(t, write(&before, nil))
		require.NoError(t, write(&after, r))
		require.Contains(t, after.String(), "REDACTED")
		for _, c := range credentials {
			seen[c] = seen[c] || strings.Contains(before.String(), c)
			require.NotContains(t, after.String(), c)
		}
	}
	require.Len(t, seen, len(credentials))
	for _, found := range seen {
		require.True(t, found, "every credential is there before")
	}
}

func TestVerifyFindsWhatIsLeft(t *testing.T) {
	t.Parallel()
	require.Error(t, verify(code, "x "+code), "left over")
	require.Error(t, verify("nothing", "nothing"), "a scan of nothing proves nothing")
	require.NoError(t, verify(code, "REDACTED"))
}

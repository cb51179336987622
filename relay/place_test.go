package relay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An error quotes the name of a parameter only if that can be no secret and
// breaks no line.
func TestShownNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "AZaz09", "client_secret", "a-b.c[0]", strings.Repeat("n", 40)} {
		require.Equal(t, "query:"+name, shown("query", name))
	}
	for _, name := range []string{"", strings.Repeat("n", 41), "a b", "a\n", "a\x00", "é", "a@", "a`", "a{", "a/", "a:", "a=b", "a\x7f"} {
		require.Equal(t, "query", shown("query", name), "%q", name)
	}
	require.Equal(t, "query", shown("query", newRig(t, Destination{Host: host}).seal(secret)))
}

func TestHoldsCompleteValuesOnly(t *testing.T) {
	t.Parallel()
	sealed := newRig(t, Destination{Host: host}).seal(secret)
	for _, s := range []string{sealed, "x" + sealed + "x", "tv1." + sealed} {
		require.True(t, holds(s))
	}
	for _, s := range []string{"", "tv", "tv1.", "about tv1.", "a tv1.abc", sealed[:len(sealed)-1], sealed[1:]} {
		require.False(t, holds(s), "%q", s)
	}
}

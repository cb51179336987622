package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// shaped returns a string of a sealed value's shape.
func shaped(header, ciphertext int) string {
	return wire.Prefix + strings.Join([]string{
		strings.Repeat("h", header), strings.Repeat("k", 54), strings.Repeat("i", 16),
		strings.Repeat("c", ciphertext), strings.Repeat("t", 22),
	}, ".")
}

func TestSizes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{5462, 54, 16, 87382, 22},
		[]int{wire.MaxHeaderChars, wire.WrappedKeyChars, wire.IVChars, wire.MaxCiphertextChars, wire.TagChars})
	require.Len(t, shaped(5462, 87382), wire.MaxLen)
}

func TestFind(t *testing.T) {
	t.Parallel()
	v := shaped(100, 40)
	for name, tc := range map[string]struct{ before, value, after string }{
		"alone":                                 {"", v, ""},
		"in a JSON string":                      {`{"token":"`, v, `"}`},
		"in a form":                             {"a=b&token=", v, "&c=d"},
		"a full stop is not swallowed":          {"Bearer ", v, ". Bye."},
		"a letter behind the tag":               {"", v, "tttt"},
		"a letter before the prefix":            {"x", v, ""},
		"a prefix before the prefix":            {"tv1.", v, ""},
		"a false start before it":               {"tv1.abc.def tv1..... ttvtv1tv", v, ""},
		"the first of two":                      {"", v, v},
		"no plaintext":                          {" ", shaped(9, 0), " "},
		"the longest":                           {"\x00", shaped(wire.MaxHeaderChars, wire.MaxCiphertextChars), "\xff"},
		"a header too long hides not the next":  {shaped(wire.MaxHeaderChars+1, 1) + " ", v, ""},
		"a wrapped key too long":                {strings.Replace(shaped(9, 9), ".k", ".kk", 1) + ",", v, ""},
		"a wrapped key too short":               {strings.Replace(shaped(9, 9), ".k", ".", 1) + ",", v, ""},
		"an iv too long":                        {strings.Replace(shaped(9, 9), ".i", ".ii", 1) + ",", v, ""},
		"an iv too short":                       {strings.Replace(shaped(9, 9), ".i", ".", 1) + ",", v, ""},
		"a ciphertext too long":                 {shaped(9, wire.MaxCiphertextChars+1) + ",", v, ""},
		"a tag too short":                       {shaped(9, 9)[:len(shaped(9, 9))-1] + ",", v, ""},
		"no header":                             {shaped(0, 9) + ",", v, ""},
		"a character from outside the alphabet": {strings.Replace(shaped(9, 9), "hh", "h+", 1) + ",", v, ""},
	} {
		start, end := wire.Find([]byte(tc.before + tc.value + tc.after))
		require.Equal(t, [2]int{len(tc.before), len(tc.before) + len(tc.value)}, [2]int{start, end}, name)
	}
}

func TestFindNone(t *testing.T) {
	t.Parallel()
	v := shaped(20, 20)
	for _, s := range []string{
		"", "token", "tv1 ", "TV1." + v[4:], "tv2." + v[4:], "tv1. ", "tv1..", "tv1.abc.def.",
		v[:len(v)-1] + ".", strings.ReplaceAll(v, ".", ","),
	} {
		start, _ := wire.Find([]byte(s + "\n"))
		require.Negative(t, start, "%q", s)
	}
}

// A stream may be cut anywhere: every proper beginning of a value is possible,
// from its first letter on.
func TestFindCutOff(t *testing.T) {
	t.Parallel()
	v := shaped(100, 40)
	for n := 1; n < len(v); n++ {
		start, end := wire.Find([]byte("a.t-tv " + v[:n]))
		require.Equal(t, 7, start, "%d characters", n)
		require.Negative(t, end, "%d characters", n)
	}
	start, end := wire.Find([]byte("tv1.tv1"))
	require.Equal(t, 0, start)
	require.Negative(t, end)
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"", "t", "tv1", "tv1.", "xtv1.a.b", shaped(10, 10), "tv1." + shaped(1, 0) + ".", shaped(1, 0) + shaped(2, 2)[:50]} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		start, end := wire.Find(b)
		require.Equal(t, kept, b)
		wantStart, wantEnd := naiveFind(b)
		require.Equal(t, [2]int{wantStart, max(wantEnd, -1)}, [2]int{start, end}, "%q", b)
	})
}

// naiveFind tries every place, and whether any continuation makes it a value.
func naiveFind(b []byte) (start, end int) {
	for at := range b {
		s := string(b[at:])
		if len(s) < len(wire.Prefix) && strings.HasPrefix(wire.Prefix, s) {
			return at, -1
		}
		rest, ok := strings.CutPrefix(s, wire.Prefix)
		if !ok {
			continue
		}
		switch n, complete := naiveMeasure(rest); {
		case complete:
			return at, at + len(wire.Prefix) + n
		case n == len(rest):
			return at, -1
		}
	}
	return -1, -1
}

func naiveMeasure(s string) (n int, complete bool) {
	for i, size := range [][2]int{{1, 5462}, {54, 54}, {16, 16}, {0, 87382}, {22, 22}} {
		length := 0
		for n < len(s) && length < size[1] && (s[n] == '-' || s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 'a' && s[n] <= 'z') {
			n, length = n+1, length+1
		}
		switch {
		case i == 4 && length == 22:
			return n, true
		case n == len(s):
			return n, false
		case length < size[0] || s[n] != '.':
			return -1, false
		}
		n++
	}
	return n, false
}

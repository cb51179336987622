package wire_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

func TestBase64AgreesWithStandardLibrary(t *testing.T) {
	t.Parallel()
	src := make([]byte, 300)
	for i := range src {
		src[i] = byte(i * 151)
	}
	for n := range src {
		want := base64.RawURLEncoding.EncodeToString(src[:n])
		require.Equal(t, "x"+want, string(wire.AppendEncode([]byte("x"), src[:n])))
		require.Equal(t, len(want), wire.EncodedLen(n))
		require.Equal(t, n, wire.DecodedLen(len(want)))
		got, ok := wire.AppendDecode([]byte("x"), want)
		require.True(t, ok)
		require.Equal(t, append([]byte("x"), src[:n]...), got)
	}
}

// Every character but the 64, at every place of a group, and every way to set
// bits that nothing reads.
func TestBase64RefusesWhatIsNotCanonical(t *testing.T) {
	t.Parallel()
	for n := range 9 {
		good := wire.AppendEncode(nil, make([]byte, n))
		for i := range good {
			for c := range 256 {
				bad := bytes.Clone(good)
				bad[i] = byte(c)
				requireSameVerdict(t, bad)
			}
		}
	}
	for _, s := range []string{"A", "AAAAA", "AA==", "AAA=", "AA\n", "\nAA", "AAAA\r\n", "A A", "AA+/"} {
		_, ok := wire.AppendDecode(nil, s)
		require.False(t, ok, "%q", s)
	}
}

func TestBase64KeepsDestination(t *testing.T) {
	t.Parallel()
	got, ok := wire.AppendDecode([]byte("kept"), "AAAA!AAA")
	require.False(t, ok)
	require.Equal(t, "kept", string(got))
	room := []byte("....neighbour")
	_, ok = wire.AppendDecode(room[:0], "AAAAAA")
	require.True(t, ok)
	require.Equal(t, "neighbour", string(room[4:]))
}

func requireSameVerdict(t *testing.T, src []byte) {
	t.Helper()
	want, err := base64.RawURLEncoding.Strict().DecodeString(string(src))
	canonical := err == nil && !bytes.ContainsAny(src, "\r\n")
	got, ok := wire.AppendDecode(nil, string(src))
	require.Equal(t, canonical, ok, "%q", src)
	if ok {
		require.True(t, bytes.Equal(want, got), "%q", src)
	}
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "A", "AA", "AAA", "AAAA", "AB", "_-_-", "AA\n", "AA=="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) { requireSameVerdict(t, src) })
}

func BenchmarkBase64(b *testing.B) {
	raw := bytes.Repeat([]byte("sealed"), 200)
	text := wire.AppendEncode(nil, raw)
	str := string(text)
	buf := make([]byte, 0, 2*len(text))
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			buf = wire.AppendEncode(buf[:0], raw)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			buf, _ = wire.AppendDecode(buf[:0], str)
		}
	})
	b.Run("encode stdlib", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			buf = base64.RawURLEncoding.AppendEncode(buf[:0], raw)
		}
	})
	b.Run("decode stdlib", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			buf, _ = base64.RawURLEncoding.AppendDecode(buf[:0], text)
		}
	})
}

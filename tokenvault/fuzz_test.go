package tokenvault

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seedSealed adds a sealed value of each suite, every malformed one of the
// tables, and pieces of them.
func seedSealed(f *testing.F) (sym, pub *Keyring) {
	f.Helper()
	sym, pub = newRing(f, symmetric), newRing(f, public)
	label := Label{Hosts: []string{"api.example.com", "*.example.com"}, Subject: "u", Expires: time.Unix(4102444800, 0), Purpose: "p", JSON: true}
	good := mustSeal(f, sym, "1", label)
	seeds := []string{good, mustSeal(f, pub, `"x"`, label), good[:len(good)/2], strings.Repeat(good, 2)}
	for _, header := range malformedHeaders {
		seeds = append(seeds, withHeader(good, header))
	}
	for _, s := range malformedStrings(good) {
		if len(s) < 1<<12 {
			seeds = append(seeds, s)
		}
	}
	require.Greater(f, len(seeds), 100)
	for _, s := range seeds {
		f.Add(s)
	}
	return sym, pub
}

func FuzzOpen(f *testing.F) {
	sym, pub := seedSealed(f)
	f.Fuzz(func(t *testing.T, sealed string) {
		for _, r := range []*Keyring{sym, pub} {
			plaintext, _, err := r.Open(context.Background(), sealed, Use{Subject: "u", Purpose: "p", AllowPublic: true})
			if err == nil {
				continue // ours: nobody else has the key
			}
			require.Nil(t, plaintext)
			known := false
			for _, sentinel := range []error{ErrMalformed, ErrUnknownKey, ErrOpen, ErrExpired, ErrLabel} {
				known = known || errors.Is(err, sentinel)
			}
			require.True(t, known, "%v", err)
		}
	})
}

// What Inspect reads, Seal writes again, and Inspect reads the same.
func FuzzInspect(f *testing.F) {
	seedSealed(f)
	r := newRing(f, symmetric)
	f.Fuzz(func(t *testing.T, sealed string) {
		h, err := Inspect(sealed)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			require.Equal(t, Header{}, h)
			return
		}
		require.NotEmpty(t, h.KeyID)
		start, end := Find([]byte(sealed))
		require.Equal(t, [2]int{0, len(sealed)}, [2]int{start, end}, "Find and Inspect agree")
		again, err := r.set().ordered[0].seal(nil, h.Label)
		if err != nil {
			require.ErrorIs(t, err, ErrLabel) // escapes and white space make headers shorter, a kid longer
			return
		}
		back, err := Inspect(again)
		require.NoError(t, err)
		require.Equal(t, h.Label, back.Label)
	})
}

func FuzzFind(f *testing.F) {
	seedSealed(f)
	f.Fuzz(func(t *testing.T, body string) {
		start, end := Find([]byte(body))
		switch {
		case start < 0:
			_, err := Inspect(body)
			require.ErrorIs(t, err, ErrMalformed, "Find and Inspect agree")
		case end < 0:
			require.True(t, strings.HasPrefix(body[start:], Prefix) || strings.HasPrefix(Prefix, body[start:]))
		default:
			sealed := body[start:end]
			require.True(t, strings.HasPrefix(sealed, Prefix))
			require.Equal(t, 5, strings.Count(sealed, "."))
			require.Equal(t, 22, len(sealed)-1-strings.LastIndexByte(sealed, '.'))
		}
	})
}

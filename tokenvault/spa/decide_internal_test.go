package spa

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// RFC 7636 section 4.1.
func TestVerifiers(t *testing.T) {
	t.Parallel()
	rest := strings.Repeat("v", 42)
	for _, c := range "azAZ09-._~mM5" {
		require.True(t, isVerifier(rest+string(c)), "%q", c)
	}
	for _, c := range "`{@[/:+=%! \x00\n\x7fé" {
		require.False(t, isVerifier(rest+string(c)), "%q", c)
	}
	require.True(t, isVerifier(strings.Repeat("v", 128)))
	for _, n := range []int{0, 42, 129} {
		require.False(t, isVerifier(strings.Repeat("v", n)), n)
	}
}

func TestRefusalsAreTheServersToExplain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 428, 430, 499} {
		require.True(t, isRefusal(status), status)
	}
	for _, status := range []int{0, 200, 302, 399, 429, 500, 503} {
		require.False(t, isRefusal(status), status)
	}
}

func TestNamesOfAnIDToken(t *testing.T) {
	t.Parallel()
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"ada","sid":"s1"} `)[:24])
	for token, want := range map[string][2]string{
		"e30." + payload + ".c2ln":   {"ada", "s1"},
		"":                           {},
		"e30":                        {},
		"e30." + payload:             {},
		"e30." + payload + ".c2ln.x": {},
		"e30." + payload + "!.c2ln":  {},
		"e30.!.c2ln":                 {},
		"e30.W10.c2ln":               {}, // an array
	} {
		sub, sid := idTokenNames(token)
		require.Equal(t, want, [2]string{sub, sid}, token)
	}
}

// RFC 9110 section 5.6.2.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"x", "X-Tokenvault", "!#$%&'*+-.^_`|~", "~!"} {
		require.True(t, isToken(s), s)
	}
	for _, c := range "\"(),/:;<=>?@[\\]{} \t\r\n\x00\x7f\x80é" {
		require.False(t, isToken("a"+string(c)), "%q", c)
	}
	require.False(t, isToken(""))
	require.Equal(t, "Content-Type, Etag, X-Page", exposed(http.Header{
		"X-Page": {"2"}, "Etag": {"e"}, "Content-Type": {"t"}, "Set-Cookie": {"a=b"}, "Access-Control-Allow-Origin": {"https://app.example.com"},
	}))
}

func TestWhatIsNoOriginIsNotTrusted(t *testing.T) {
	t.Parallel()
	_, err := newCrossOrigin("https://vault.example.com", []string{"https://app.example.com", "https://app.example.com/path"})
	require.Error(t, err)
}

// What has expired goes within a minute, whether or not it is asked for.
func TestMemorySessionsAreSwept(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	m := NewMemorySessions(func() time.Time { return now }).(*memorySessions)
	set := func(key string, ttl time.Duration) { require.NoError(t, m.Set(t.Context(), key, []byte("v"), ttl)) }
	set("first", time.Second)
	set("none", 0)
	set("negative", -time.Second)
	require.Len(t, m.values, 1)
	set("lasting", time.Hour)
	now = now.Add(time.Minute)
	set("at a minute", time.Hour)
	require.Len(t, m.values, 3, "not yet")
	now = now.Add(time.Nanosecond)
	set("later", time.Hour)
	require.Len(t, m.values, 3, "one has gone, one has come")
	_, err := m.Get(t.Context(), "lasting")
	require.NoError(t, err)
	set("lasting", 0)
	require.Len(t, m.values, 2)
}

// An event holds a sentinel, a problem of ours, or nothing more than that.
func TestEventErrors(t *testing.T) {
	t.Parallel()
	require.NoError(t, sentinel(nil))
	for err, want := range map[error]error{
		fmt.Errorf("quotes a token: %w", vault.ErrReauthorize): vault.ErrReauthorize,
		fmt.Errorf("quotes a token: %w", fs.ErrNotExist):       fs.ErrNotExist,
		fmt.Errorf("quotes a token: %w", context.Canceled):     context.Canceled,
		fmt.Errorf("quotes a token: %w", missingScope):         missingScope,
		errors.New("quotes a token"):                           upstreamProblem,
	} {
		require.Equal(t, want, sentinel(err))
	}
}

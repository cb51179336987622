package jwks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSet(t *testing.T) {
	t.Parallel()
	algs := []*algorithm{algorithmNamed("EdDSA")}
	key := func(x string) string {
		return `{"kty":"OKP","crv":"Ed25519","x":"` + x + `","kid":"` + x[:1] + `"}`
	}
	// From RFC 8037 appendix A.2 and RFC 8032 section 7.1, test 2.
	a, b := key("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), key("PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw")
	set := func(s string) *keySet {
		got, err := parseSet([]byte(s), algs)
		require.NoError(t, err, s)
		return got
	}
	both := set(`{"keys":[` + a + `,` + b + `]}`)
	require.Equal(t, 2, both.usable)
	require.Equal(t, both.print, set(`{"keys":[`+b+`,`+a+`]}`).print, "the order says nothing")
	require.NotEqual(t, both.print, set(`{"keys":[`+a+`]}`).print)
	require.Equal(t, 1, set(`{"x":[],"keys":[`+a+`],"y":[]}`).usable)
	for _, s := range []string{``, `{}`, `[]`, `{"keys":{}}`, `{"keys":"[]"}`, `{"keys":[` + a + `],}`, `{"keys":[` + a + `]}x`, `{"keys":[` + a + `],"keys":[]}`, `{"Keys":[]}`} {
		_, err := parseSet([]byte(s), algs)
		require.ErrorIs(t, err, errNotSet, s)
	}
}

func TestMissesAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	s := newSource(Refresh{Cooldown: time.Second}, time.Now)
	defer s.close()
	for id := range uint64(2 * maxMissedKids) {
		s.miss(id, now)
	}
	require.Len(t, s.missed, maxMissedKids)
	s.miss(7777, now.Add(time.Second))
	require.Equal(t, map[uint64]time.Time{7777: now.Add(2 * time.Second)}, s.missed, "those that are over make room")
}

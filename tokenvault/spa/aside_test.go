package spa_test

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

// What an upstream says before its answer (RFC 9110 section 15.2) stays here: it
// passes none of the rules for the answer, and the answer keeps what the vault
// had to say.
func TestInformationalAnswersDoNotPass(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	s, call := f.server()
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.Header().Set("Set-Cookie", cookieName+"=planted")
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		_, _ = io.WriteString(w, "body")
	})
	r := call("GET", "/v1/x", nil)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			t.Errorf("an answer of status %d passed with %v", code, h)
			return nil
		},
	}))
	res, err := s.Client().Do(r)
	require.NoError(t, err)
	require.Equal(t, "body", read(t, res))
	require.NoError(t, res.Body.Close())
	require.Equal(t, appOrigin, res.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", res.Header.Get("Access-Control-Allow-Credentials"))
	require.Contains(t, res.Header.Values("Vary"), "Cookie")
}

// Trailers come after the answer's headers were judged, announced or not.
func TestEchoedBearerInATrailerIsScrubbed(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.login()
	s, call := f.server()
	f.api.handle(func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		w.Header().Set("Trailer", "X-Echo, Set-Cookie")
		_, _ = io.WriteString(w, "body")
		for _, name := range []string{"X-Echo", http.TrailerPrefix + "X-Late-Echo"} {
			w.Header().Set(name, "you sent "+token)
		}
		for _, name := range []string{"Set-Cookie", http.TrailerPrefix + "Clear-Site-Data", http.TrailerPrefix + "Access-Control-Allow-Origin"} {
			w.Header().Set(name, "evil")
		}
	})
	res, err := s.Client().Do(call("GET", "/v1/x", nil))
	require.NoError(t, err)
	require.Equal(t, "body", read(t, res))
	require.NoError(t, res.Body.Close())
	for _, name := range []string{"X-Echo", "X-Late-Echo"} {
		require.Contains(t, res.Trailer.Get(name), "you sent REDACTED", name)
	}
	leaktest.None(t, []byte(headerText(res.Trailer)), f.as.tokens()...)
	require.NotContains(t, headerText(res.Trailer), "evil")
	require.NotContains(t, headerText(res.Header), "evil")
}

// A 400 would tell the application that the server has refused it.
func TestExchangeWithoutAnAnswerIs503(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.as.answer(-1)
	res, body := f.exchange(exchangeForm())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, body)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	require.Empty(t, f.cookie)
	f.as.answer(0)
	f.login()
}

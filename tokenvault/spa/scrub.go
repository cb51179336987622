package spa

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/echo"
)

// scrubber stands under the vault's transport, where the token is in the clear,
// takes it out of an answer that echoes it, and notes it for a refusal.
type scrubber struct {
	base http.RoundTripper
	used *string
}

func (s scrubber) RoundTrip(r *http.Request) (*http.Response, error) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	*s.used = token
	res, err := s.base.RoundTrip(r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, upstreamProblem // a Unix socket, for instance, and not the grant
	}
	if err != nil {
		return nil, err
	}
	scrub := echo.New([]echo.Value{{Plain: token, Replace: masked, Fill: true}}, echo.MinBytes)
	scrub.Header(res.Header, nil)
	if res.StatusCode == http.StatusSwitchingProtocols || r.Method == http.MethodHead || res.Body == http.NoBody {
		return res, nil
	}
	body := &scrubbed{res.Body, res.Body, scrub, res}
	if scrub != nil {
		body.Reader = scrub.Reader(res.Body)
	}
	res.Body = body
	return res, nil
}

// scrubbed is the body of an answer. Its trailers come into res with its end,
// when the header fields have been judged and sent.
type scrubbed struct {
	io.Reader
	io.Closer
	scrub *echo.Scrubber
	res   *http.Response
}

func (s *scrubbed) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil {
		s.scrub.Header(s.res.Trailer, nil)
		maps.DeleteFunc(s.res.Trailer, forOrigin)
	}
	return n, err
}

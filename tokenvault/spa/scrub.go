package spa

import (
	"io"
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
	if err != nil {
		return nil, err
	}
	scrub := echo.New([]echo.Value{{Plain: token, Replace: masked, Fill: true}}, echo.MinBytes)
	if scrub == nil {
		return res, nil
	}
	scrub.Header(res.Header, nil)
	if res.StatusCode == http.StatusSwitchingProtocols || r.Method == http.MethodHead || res.Body == http.NoBody {
		return res, nil
	}
	res.Body = scrubbed{scrub.Reader(res.Body), res.Body}
	return res, nil
}

type scrubbed struct {
	io.Reader
	io.Closer
}

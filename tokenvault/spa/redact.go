package spa

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
)

// masked stands where a token stood.
const masked = "REDACTED"

var (
	defaultRedact = []string{"$.access_token", "$.refresh_token", "$.accessToken", "$.refreshToken"}
	// harmless are members of a token answer that the application needs and
	// that may look like a token (RFC 6749 section 5, OpenID Connect Core
	// 3.1.3.3, Session Management).
	harmless = []string{
		"$.id_token", "$.idToken", "$.token_type", "$.tokenType", "$.expires_in", "$.expiresIn", "$.tokenExpiry",
		"$.refresh_expires_in", "$.scope", "$.state", "$.session_state", "$.issued_token_type", "$['not-before-policy']",
		"$.error", "$.error_description", "$.error_uri",
	}
	tokenLike = regexp.MustCompile(`"[A-Za-z0-9._~+/=-]{20,}"`)
)

// redactor masks the tokens in an answer of the token endpoint.
type redactor struct {
	editor         *jsonedit.Editor
	masked, passed int // paths below masked are masked, then below passed are left, the rest is judged
}

func newRedactor(paths []string) (*redactor, error) {
	if len(paths) == 0 {
		paths = defaultRedact
	}
	for i, p := range paths {
		if _, err := jsonedit.Compile(p); err != nil {
			return nil, fmt.Errorf("spa: Config.Redact[%d]: %w", i, err)
		}
	}
	all := append(append(append([]string{}, paths...), harmless...), "$.*")
	editor, err := jsonedit.Compile(all...)
	if err != nil {
		return nil, fmt.Errorf("spa: Config.Redact: %w", err)
	}
	return &redactor{editor, len(paths), len(all) - 1}, nil
}

// apply returns body with its tokens masked, or an error and nothing of it. A
// token that stands a second time where no path leads, is an error.
func (r *redactor) apply(body []byte) ([]byte, error) {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	_ = json.Unmarshal(body, &tokens) // what it cannot read the editor refuses
	var out bytes.Buffer
	if err := r.editor.Edit(&out, bytes.NewReader(body), r.replace); err != nil {
		return nil, err
	}
	for _, token := range []string{tokens.Access, tokens.Refresh} {
		if token != "" && bytes.Contains(out.Bytes(), []byte(token)) {
			return nil, errTwice
		}
	}
	return out.Bytes(), nil
}

var errTwice = errors.New("spa: the answer holds a token where none belongs")

func (r *redactor) replace(v jsonedit.Value) ([]byte, error) {
	switch raw := string(v.Raw); {
	case raw == "null", raw == `""`: // or the application would believe it holds a token
		return nil, nil
	case v.Path < r.masked:
	case v.Path < r.passed:
		return nil, nil
	case !tokenLike.Match(v.Raw):
		return nil, nil
	}
	return []byte(`"` + masked + `"`), nil
}

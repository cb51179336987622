package redact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
)

var (
	// ErrInvalid reports a body that is not what it is declared to be:
	// invalid or truncated JSON, JSON nested too deeply, damaged gzip.
	ErrInvalid = errors.New("redact: invalid body")
	// ErrTooLarge reports something that must be held as a whole and is over
	// Config.MaxBuffer.
	ErrTooLarge = errors.New("redact: over the buffer cap")
	// ErrUnreadable reports a body that cannot be looked into: an unknown
	// Content-Encoding, a charset that is not a superset of ASCII, a part of a
	// document (206).
	ErrUnreadable = errors.New("redact: body cannot be read")
)

// DefaultMask stands in a value's place when Config.Mask is empty, and is what
// a [Secret] prints.
const DefaultMask = "REDACTED"

const defaultMaxBuffer = 1 << 20

// Config says what counts as a credential.
type Config struct {
	// JSON holds JSONPaths (RFC 9535) of the values to mask in JSON texts:
	// "$.accessToken", "$..refresh_token", "$.items[*].secret". A path's last
	// name is also looked for in JSON fragments inside free text.
	JSON []string
	// Params holds names of form fields and query parameters; case does not
	// count.
	Params []string
	// Headers holds names of header fields.
	Headers []string
	// Attrs holds names of slog attributes and groups, map keys and struct
	// fields; case, "_" and "-" do not count.
	Attrs []string
	// Detect masks values that look like credentials as well, whatever their
	// name: see the package comment.
	Detect bool
	// MaskSealed masks sealed strings (tv1.…) too. They stay by default, even
	// under a configured name: without the key they are worth nothing.
	MaskSealed bool
	// Mask replaces a value; "" means DefaultMask.
	Mask string
	// InsecureKeep is the number of first characters of a masked string that
	// stay, for recognition. Strings of up to twice as many are masked whole.
	InsecureKeep int
	// MaxBuffer caps, in bytes, what must be held as a whole: a selected JSON
	// value, an event, a form, a dumped body. 0 means 1 MiB.
	MaxBuffer int64
	// Observe, if not nil, is called once for each body that Handler and
	// Transport have dealt with.
	Observe func(context.Context, Event)
}

// Event is what Observe is told about one body.
type Event struct {
	Kind     string        // "response" (Handler) or "reply" (Transport)
	Host     string        // the request's host
	Duration time.Duration // from the first byte to the last
	Err      error         // nil, ErrInvalid, ErrTooLarge or ErrUnreadable
}

// Default is the configuration for OAuth 2.0 and OpenID Connect (RFC 6749,
// 7521, 7523, 7591, 7636, 8628, 8693; OpenID Connect Core and Logout), with
// Detect. accessToken and refreshToken are the spelling of token vaults, whose
// idToken is for the page to read.
func Default() Config {
	grant := []string{
		"access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "assertion",
		"password", "subject_token", "actor_token", "device_code", "code_verifier",
		"registration_access_token", "logout_token",
	}
	c := Config{
		Params: append([]string{"code", "token", "id_token_hint", "auth_req_id", "api_key",
			"X-Amz-Signature", "X-Amz-Security-Token", "X-Goog-Signature"}, grant...),
		Headers: []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "DPoP",
			"X-Api-Key", "X-Auth-Token", "X-Amz-Security-Token"},
		Attrs: append([]string{"token", "secret", "passwd", "authorization", "proxy_authorization", "cookie",
			"set_cookie", "api_key", "private_key", "session_token", "authorization_code", "id_token_hint",
			"bearer", "jwt", "dpop", "x_api_key", "x_auth_token"}, grant...),
		Detect: true,
	}
	for _, name := range append([]string{"accessToken", "refreshToken", "clientSecret"}, grant...) {
		c.JSON = append(c.JSON, "$.."+name)
	}
	return c
}

// A Redactor masks credentials. It is safe for concurrent use.
type Redactor struct {
	editor     *jsonedit.Editor
	paths      bool            // there are Config.JSON
	members    map[string]bool // last names of Config.JSON, for fragments in text
	params     map[string]bool // lower case
	headers    map[string]bool // canonical
	attrs      nameSet
	gate       *gate
	mask       string
	maskJSON   []byte
	keep       int
	detect     bool
	maskSealed bool
	max        int64
	observe    func(context.Context, Event)
}

// New validates c. The error names the field and the index.
func New(c Config) (*Redactor, error) {
	r := &Redactor{
		mask: c.Mask, keep: c.InsecureKeep, max: c.MaxBuffer, observe: c.Observe,
		detect: c.Detect, maskSealed: c.MaskSealed,
		members: map[string]bool{}, params: map[string]bool{}, headers: map[string]bool{},
	}
	if len(c.JSON)+len(c.Params)+len(c.Headers)+len(c.Attrs) == 0 && !c.Detect && !c.MaskSealed {
		return nil, errors.New("redact: Config: nothing to redact: JSON, Params, Headers, Attrs, Detect and MaskSealed are empty")
	}
	if r.keep < 0 {
		return nil, errors.New("redact: Config.InsecureKeep: negative")
	}
	switch {
	case r.max < 0:
		return nil, errors.New("redact: Config.MaxBuffer: negative")
	case r.max == 0:
		r.max = defaultMaxBuffer
	}
	if err := r.setMask(c.Mask); err != nil {
		return nil, err
	}
	if err := r.setPaths(c.JSON); err != nil {
		return nil, err
	}
	if err := r.setNames(c); err != nil {
		return nil, err
	}
	r.gate = r.newGate()
	return r, nil
}

// setMask takes a mask that is safe wherever a masked value may stand: in a
// header, a line of an event stream, a JSON string.
func (r *Redactor) setMask(mask string) error {
	if mask == "" {
		mask = DefaultMask
	}
	for _, c := range mask {
		if c < ' ' || c == 0x7f || c == '"' || c == '\\' || c == '\uFFFD' {
			return errors.New("redact: Config.Mask: control character, quote, backslash or invalid UTF-8")
		}
	}
	r.mask, r.maskJSON = mask, []byte(`"`+mask+`"`)
	return nil
}

// nowhere selects nothing: without Config.JSON, bodies are checked all the same.
const nowhere = "$[9007199254740991]"

func (r *Redactor) setPaths(paths []string) error {
	for i, path := range paths {
		if _, err := jsonedit.Compile(path); err != nil {
			return fmt.Errorf("redact: Config.JSON[%d]: %w", i, err)
		}
		if name := lastName(path); name != "" {
			r.members[name] = true
		}
	}
	r.paths = len(paths) > 0
	if !r.paths {
		paths = []string{nowhere}
	}
	e, err := jsonedit.Compile(paths...)
	if err != nil {
		return fmt.Errorf("redact: Config.JSON: %w", err)
	}
	r.editor = e.Limit(r.max)
	return nil
}

func (r *Redactor) setNames(c Config) error {
	for i, name := range c.Params {
		if name == "" {
			return fmt.Errorf("redact: Config.Params[%d]: empty", i)
		}
		r.params[strings.ToLower(name)] = true
	}
	for i, name := range c.Headers {
		if !validToken(name) {
			return fmt.Errorf("redact: Config.Headers[%d]: not a header field name", i)
		}
		r.headers[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	for i, name := range c.Attrs {
		if !r.attrs.add(name) {
			return fmt.Errorf("redact: Config.Attrs[%d]: empty", i)
		}
	}
	return nil
}

// validToken reports whether name is a token (RFC 9110, 5.6.2).
func validToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !alnum[c] && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

// hide returns what stands in for the string value s: "" stays, a sealed
// string stays unless MaskSealed, everything else becomes the mask.
func (r *Redactor) hide(s string) string {
	if s == "" || !r.maskSealed && sealedOnly(s) {
		return s
	}
	if r.keep == 0 {
		return r.mask
	}
	n, cut := 0, 0
	for i := range s {
		if n == r.keep {
			cut = i
		}
		n++
	}
	if n <= 2*r.keep {
		return r.mask
	}
	return s[:cut] + r.mask
}

func (r *Redactor) hideAll(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = r.hide(v)
	}
	return out
}

// event reports a finished body; err is reduced to its sentinel.
func (r *Redactor) event(ctx context.Context, kind string, req *http.Request, began time.Time, err error) {
	if r.observe == nil {
		return
	}
	e := Event{Kind: kind, Duration: time.Since(began), Err: sentinel(err)}
	if req != nil {
		e.Host = req.Host
		if e.Host == "" && req.URL != nil {
			e.Host = req.URL.Host
		}
	}
	r.observe(ctx, e)
}

func sentinel(err error) error {
	for _, s := range []error{ErrInvalid, ErrTooLarge, ErrUnreadable} {
		if errors.Is(err, s) {
			return s
		}
	}
	return nil
}

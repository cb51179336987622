package redact

import (
	"fmt"
	"log/slog"
	"strconv"
)

// Secret holds a credential that prints, formats, logs and marshals as
// DefaultMask, also where its methods cannot be called: in an unexported field,
// a map, a pointer, an error. The text is reached by a func alone, which
// reflection can neither read nor, in an unexported field, call.
//
// Secrets made by different calls of NewSecret are different map keys, whatever
// they hold. The zero Secret holds "".
type Secret struct{ hidden *hidden }

type hidden struct{ reveal func() string }

// NewSecret returns a Secret that holds s.
func NewSecret(s string) Secret {
	return Secret{&hidden{func() string { return s }}}
}

// Reveal returns the credential. It is the only way to it.
func (s Secret) Reveal() string {
	if s.hidden == nil {
		return ""
	}
	return s.hidden.reveal()
}

// String returns DefaultMask.
func (s Secret) String() string { return DefaultMask }

// GoString returns DefaultMask, quoted.
func (s Secret) GoString() string { return strconv.Quote(DefaultMask) }

// Format writes DefaultMask for every verb, honouring width and flags where
// the verb is one for strings.
func (s Secret) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		_, _ = fmt.Fprint(f, s.GoString())
	case verb == 'v' || verb == 's' || verb == 'q':
		_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), DefaultMask)
	default:
		_, _ = fmt.Fprint(f, DefaultMask)
	}
}

// LogValue returns DefaultMask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(DefaultMask) }

// MarshalText returns DefaultMask and never fails; encoding/json and
// encoding/xml use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(DefaultMask), nil }

// GobEncode returns DefaultMask and never fails.
func (s Secret) GobEncode() ([]byte, error) { return []byte(DefaultMask), nil }

// GobDecode yields a Secret that holds what GobEncode wrote, the mask.
func (s *Secret) GobDecode(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

package tokenvault

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// String returns the key ids, in order: "[new old]".
func (r Keyring) String() string { return "[" + strings.Join(r.keyIDs(), " ") + "]" }

// Format prints what String returns, whatever the verb.
func (r Keyring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, r.String()) }

// LogValue logs the key ids.
func (r Keyring) LogValue() slog.Value { return slog.AnyValue(r.keyIDs()) }

// MarshalJSON writes the key ids as an array of strings.
func (r Keyring) MarshalJSON() ([]byte, error) { return json.Marshal(r.keyIDs()) }

func (r Keyring) keyIDs() []string {
	ids := []string{}
	for _, k := range r.set().ordered {
		ids = append(ids, k.id)
	}
	return ids
}

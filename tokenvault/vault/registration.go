package vault

import (
	"errors"
	"fmt"
	"slices"
)

// Registration is what a provider's client is known by in public.
type Registration struct {
	ClientID, TokenURL string   // RFC 6749 sections 2.2 and 3.2
	Scopes             []string // those requested
	Hosts              []string // where access tokens may go, in canonical form
}

// Registration returns a provider's, as a copy. A name that Config.Providers
// does not have is an error.
func (v *Vault) Registration(provider string) (Registration, error) {
	p := v.providers[provider]
	if p == nil {
		return Registration{}, errors.New("vault: no such provider")
	}
	return Registration{p.clientID, p.tokenURL, slices.Clone(p.scopes), slices.Clone(p.hostNames)}, nil
}

// Answer is a token endpoint's answer as it came, with the tokens in it: it
// prints as its status only. A body over 56 KiB is cut.
type Answer struct {
	Status int // HTTP's; 0: there was no answer
	Body   []byte
}

// Format implements fmt.Formatter for every verb.
func (a Answer) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "vault.Answer(%d)", a.Status) }

// MarshalJSON keeps the body out of logs.
func (a Answer) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"status":%d}`, a.Status), nil
}

package tokenvault

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// AnyHost in Label.Hosts lets any host receive the plaintext.
const AnyHost = hosts.Any

// A Label travels with the sealed value. Anyone can read it; no one can alter
// it undetected. In the sealed string it is the protected header's members
// named below (RFC 7516, RFC 7519 section 5.3).
type Label struct {
	// Hosts ("aud", always an array) says who may receive the plaintext:
	// "api.example.com", "*.example.com" (one or more labels, never the bare
	// domain, never on a public suffix), either with ":port" unless the port
	// is 443, an IP address, or AnyHost. Empty: no host at all. Seal writes
	// them in canonical form: case-folded, IDNA ASCII.
	Hosts []string
	// Subject ("sub") says whose it is. Empty: shared.
	Subject string
	// Expires ("exp") is kept to the second. Zero: never.
	Expires time.Time
	// Purpose ("typ") keeps uses apart that must never stand in for each
	// other. Empty (no "typ") is a value for the relay.
	Purpose string
	// JSON ("cty":"json") says that the plaintext is exactly one JSON value,
	// not a string's text.
	JSON bool
}

// Use says what the plaintext is about to be used for; the label must allow
// all of it.
type Use struct {
	// Host must be covered by Label.Hosts. Empty: the plaintext goes to no
	// host.
	Host string
	// Subject must equal a non-empty Label.Subject.
	Subject string
	// Purpose must equal Label.Purpose, empty or not.
	Purpose string
	// AllowPublic accepts values made with a public key: anyone holding it
	// can make one, with any label.
	AllowPublic bool
	// Now is the time at which the label must not have expired. Zero:
	// time.Now().
	Now time.Time
}

// Header is what Inspect reads without a key. It proves nothing.
type Header struct {
	KeyID     string // "kid"
	Algorithm string // "alg": "A256KW" or "ECDH-ES+A256KW"
	Label     Label  // as whoever wrote the string wants it read
}

// maxExpires is the last second that RFC 3339 can write, 9999-12-31T23:59:59Z.
const maxExpires = 253402300799

// sealable returns l as Seal writes it, or why it does not.
func (l Label) sealable(plaintext []byte, now time.Time) (Label, error) {
	if l.expired(now) {
		return Label{}, fmt.Errorf("%w: Label.Expires: %w", ErrLabel, ErrExpired)
	}
	if l.Expires.Unix() > maxExpires {
		return Label{}, fmt.Errorf("%w: Label.Expires: after the year 9999", ErrLabel)
	}
	if !utf8.ValidString(l.Subject) {
		return Label{}, fmt.Errorf("%w: Label.Subject: not UTF-8", ErrLabel)
	}
	if !utf8.ValidString(l.Purpose) {
		return Label{}, fmt.Errorf("%w: Label.Purpose: not UTF-8", ErrLabel)
	}
	if l.JSON && !isJSON(plaintext) {
		return Label{}, fmt.Errorf("%w: Label.JSON: plaintext is not exactly one JSON value", ErrLabel)
	}
	return l.canonicalHosts()
}

// canonicalHosts leaves the caller's slice alone.
func (l Label) canonicalHosts() (Label, error) {
	given := l.Hosts
	for i, h := range given {
		p, err := hosts.Parse(h)
		if err != nil {
			return Label{}, fmt.Errorf("%w: Label.Hosts[%d]: %w", ErrLabel, i, err)
		}
		if p.String() == h {
			continue
		}
		if &l.Hosts[0] == &given[0] {
			l.Hosts = slices.Clone(given)
		}
		l.Hosts[i] = p.String()
	}
	return l, nil
}

// allows judges an authentic label.
func (l Label) allows(use Use, plaintext []byte) error {
	now := use.Now
	if now.IsZero() {
		now = time.Now()
	}
	switch {
	case l.expired(now):
		return ErrExpired
	case l.Purpose != use.Purpose:
		return fmt.Errorf("%w: sealed for another purpose", ErrLabel)
	case l.Subject != "" && l.Subject != use.Subject:
		return fmt.Errorf("%w: sealed for another subject", ErrLabel)
	case use.Host != "" && !l.covers(use.Host):
		return fmt.Errorf("%w: sealed for other hosts", ErrLabel)
	case l.JSON && !isJSON(plaintext):
		return fmt.Errorf("%w: sealed as JSON, but is not exactly one JSON value", ErrLabel)
	}
	return nil
}

// expired holds from the second named on (RFC 7519 section 4.1.4).
func (l Label) expired(now time.Time) bool {
	return !l.Expires.IsZero() && now.Unix() >= l.Expires.Unix()
}

// covers reports whether host may receive the plaintext. A listed host that is
// no valid pattern, as another implementation may have sealed it, covers
// nothing.
func (l Label) covers(host string) bool {
	host, err := hosts.Canonical(host)
	if err != nil {
		return false
	}
	for _, h := range l.Hosts {
		if h == host || h == AnyHost {
			return true
		}
		if p, err := hosts.Parse(h); err == nil && p.Match(host) {
			return true
		}
	}
	return false
}

// isJSON is stricter than json.Valid by RFC 8259 section 8.1: UTF-8.
func isJSON(b []byte) bool { return json.Valid(b) && utf8.Valid(b) }

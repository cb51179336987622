// Package hosts is the one rule for which hosts may receive a credential.
//
// A pattern is one of
//
//	api.example.com        this host, at port 443
//	api.example.com:8443   this host, at this port
//	*.example.com          every host below example.com, never example.com itself
//	192.0.2.1, [2001:db8::1]:8443
//	*                      every host at every port (Any)
//
// A "*." pattern covers one or more labels, and is refused on a public suffix
// (publicsuffix.org, private section included): whoever registers a name there
// would receive the credential.
//
// Canonical is the one spelling of a host. Who checks a host and then dials it
// dials the canonical form, so that the host checked is the host dialled;
// spellings that a resolver would read in another way than this package
// ("127.1", "0x7f000001", a zone) have no canonical form.
package hosts

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Any is the pattern that matches every host.
const Any = "*"

const (
	defaultPort = "443"
	maxName     = 253 // RFC 1035 section 2.3.4, without the root's dot
	maxLabel    = 63
)

// What is wrong with a host or pattern. The host itself is left to the caller,
// who knows which field it came from.
var (
	errEmpty  = errors.New("host is empty")
	errName   = errors.New("host is not a DNS name or IP address")
	errPort   = errors.New("port is not a number from 1 to 65535")
	errIP     = errors.New("host is not an IP address in its usual form")
	errSuffix = errors.New("pattern covers a public suffix")
	errStar   = errors.New(`"*" stands only alone or as the first label of a DNS name`)
)

// Pattern is a parsed host pattern. The zero Pattern matches nothing.
type Pattern struct{ s string }

// Parse validates pattern. The error says what is wrong with it.
func Parse(pattern string) (Pattern, error) {
	if pattern == Any {
		return Pattern{Any}, nil
	}
	below, wild := strings.CutPrefix(pattern, "*.")
	if strings.Contains(below, "*") {
		return Pattern{}, errStar
	}
	host, err := Canonical(below)
	if err != nil || !wild {
		return Pattern{host}, err
	}
	if err := wildcardable(host); err != nil {
		return Pattern{}, err
	}
	return Pattern{"*." + host}, nil
}

// wildcardable refuses what a "*." pattern must not be made of: an address, a
// public suffix, and the parent of nothing but public suffixes ("kawasaki.jp").
func wildcardable(host string) error {
	name, _, _ := strings.Cut(host, ":")
	if host[0] == '[' || isAddr(name) {
		return errStar
	}
	for _, n := range [...]string{name, "x." + name} {
		if suffix, _ := publicsuffix.PublicSuffix(n); suffix == n {
			return errSuffix
		}
	}
	return nil
}

// Match reports whether host, in the form Canonical returns, is covered.
func (p Pattern) Match(host string) bool {
	switch {
	case host == "":
		return false
	case p.s == Any:
		return true
	case strings.HasPrefix(p.s, "*."):
		return strings.HasSuffix(host, p.s[1:])
	}
	return p.s == host
}

// String returns the pattern in canonical form.
func (p Pattern) String() string { return p.s }

// Canonical returns host ("host" or "host:port") case-folded, in IDNA ASCII
// form (UTS 46), without a trailing dot and without ":443". IPv6 literals are
// bracketed. What is no host at all is an error.
func Canonical(host string) (string, error) {
	if isCanonicalName(host) {
		return host, nil
	}
	name, port, err := split(host)
	if err != nil {
		return "", err
	}
	if name, err = canonicalName(name); err != nil {
		return "", err
	}
	if port == "" || port == defaultPort {
		return name, nil
	}
	return name + ":" + port, nil
}

// split takes the port off. A bare IPv6 literal has none.
func split(host string) (name, port string, err error) {
	if host == "" {
		return "", "", errEmpty
	}
	if strings.Count(host, ":") > 1 && host[0] != '[' {
		return host, "", nil
	}
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") {
		return host, "", nil
	}
	name, port = host[:i], host[i+1:]
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || port[0] == '0' {
		return "", "", errPort
	}
	return name, port, nil
}

func canonicalName(name string) (string, error) {
	if strings.ContainsAny(name, ":[]%") {
		return canonicalIPv6(name)
	}
	name = strings.TrimSuffix(toASCII(name), ".")
	if !isName(name) {
		return "", errName
	}
	if !endsInNumber(name) {
		return name, nil
	}
	if !isAddr(name) {
		return "", errIP
	}
	return name, nil
}

func canonicalIPv6(name string) (string, error) {
	inner, open := strings.CutPrefix(name, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	addr, _ := netip.ParseAddr(inner) // the zero Addr is no IPv6 address
	if open != closed || !addr.Is6() || addr.Zone() != "" {
		return "", errIP
	}
	return "[" + addr.String() + "]", nil
}

// lookup is idna.Lookup without its refusal of underscores, which container
// and service names carry. isName is the judge of the result.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// toASCII leaves ASCII names without an A-label to be lower-cased, as
// net/http does; a name with one must be valid IDNA and already in its own
// final form, because net/http dials it as it is. What has no such form becomes
// "", which is no name either.
func toASCII(name string) string {
	lower := strings.ToLower(name)
	ascii := isASCII(name)
	if ascii && !strings.Contains(lower, "xn--") {
		return lower
	}
	mapped, err := lookup.ToASCII(name)
	if err != nil || !utf8.ValidString(name) || ascii && mapped != lower {
		return ""
	}
	return strings.ToLower(mapped)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isName reports whether s is a lower-case DNS name: labels of letters,
// digits, '-' and '_', none empty, none too long.
func isName(s string) bool {
	if len(s) > maxName {
		return false
	}
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			if label++; label > maxLabel {
				return false
			}
		default:
			return false
		}
	}
	return label > 0
}

// isCanonicalName answers for the common case without allocating: a name
// whose last label is a word, and that holds no A-label.
func isCanonicalName(s string) bool {
	return isName(s) && !endsInNumber(s) && !strings.Contains(s, "xn--")
}

// endsInNumber says that resolvers may read the name as an IPv4 address, as
// the WHATWG URL standard ("ends in a number checker") has it.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

func isAddr(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

package hosts_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/hosts"
)

// long253 is a name as long as a name may be.
var long253 = strings.Repeat("a.", 126) + "b"

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api.example.com":        "api.example.com",
		"API.Example.COM":        "api.example.com",
		"api.example.com.":       "api.example.com",
		"api.example.com:443":    "api.example.com",
		"api.example.com.:443":   "api.example.com",
		"api.example.com:80":     "api.example.com:80",
		"api.example.com:65535":  "api.example.com:65535",
		"localhost":              "localhost",
		"my_service.internal":    "my_service.internal",
		"bücher.example":         "xn--bcher-kva.example",
		"BÜCHER.example:8443":    "xn--bcher-kva.example:8443",
		"XN--bcher-KVA.example":  "xn--bcher-kva.example",
		"api。example。com":        "api.example.com",
		"ａｐｉ.example.com":        "api.example.com",
		"faß.example":            "xn--fa-hia.example",
		"192.0.2.1":              "192.0.2.1",
		"192.0.2.1:8080":         "192.0.2.1:8080",
		"[2001:DB8::1]":          "[2001:db8::1]",
		"[2001:db8:0:0::1]:443":  "[2001:db8::1]",
		"[2001:db8::1]:8443":     "[2001:db8::1]:8443",
		"2001:db8::1":            "[2001:db8::1]",
		"::1":                    "[::1]",
		"1.example":              "1.example",
		"0x7f.example":           "0x7f.example",
		"example.0xyz":           "example.0xyz",
		strings.Repeat("a", 63):  strings.Repeat("a", 63),
		"a" + "." + "b" + ":444": "a.b:444",
		"R3---SN.Example":        "r3---sn.example", // not IDNA's to refuse
		long253:                  long253,
	} {
		got, err := hosts.Canonical(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
		again, err := hosts.Canonical(got)
		require.NoError(t, err, in)
		require.Equal(t, got, again, in)
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	const none, port, address = "host is not a DNS name or IP address", "port is not a number from 1 to 65535", "host is not an IP address in its usual form"
	for _, tc := range []struct {
		rule, want string
		list       []string
	}{
		{"no host", "host is empty", []string{""}},
		{"a port and no host", none, []string{":443", ":8443"}},
		{"the root", none, []string{".", ".."}},
		{"empty labels", none, []string{"a..example", ".example.com", "example.com.."}},
		{"labels and names too long", none, []string{strings.Repeat("a", 64) + ".example", long253 + "b", strings.Repeat("a.", 127) + "com"}},
		{"what is not of a name", none, []string{"a b.example", "a/b", "user@example.com", "a\x00b", "a,b", "a\n", "*.example.com", "*"}},
		{"a URL", port, []string{"http://example.com"}},
		{"a port that is none", port, []string{":", "a.example:", "a.example:0", "a.example:65536", "a.example:080", "a.example:+80", "a.example:https", "a.example:-1", "[::1]:", "[::1]:x", "[::1]x"}},
		{"IPv4 as only some read it", address, []string{"127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "256.0.0.1", "0x", "example.1", "１２７.1", "127.1."}},
		{"IPv6 that is none", address, []string{"[]", "[]:443", "[::1", "::1]", "[fe80::1%eth0]", "fe80::1%eth0", "[::1]]", "[[::1]]", "[127.0.0.1]", "[example.com]", "1:2:3", "[::g]", "a:b:443", "a%2eb"}},
		{"A-labels that decode to none", none, []string{"xn--a.example", "xn--.example", "xn--bcher-kva-.example", "xn--BCHER-kva\u0301.example"}},
		{"mapped into what is no name", none, []string{"a\uff0fb.example", "a\uff20b.example", "example.com\uff1a8443", "a\u2100b.example"}},
		{"not UTF-8", none, []string{"a\xff.example", "ü\xff.example", "a\ufffd.example"}},
	} {
		for _, in := range tc.list {
			got, err := hosts.Canonical(in)
			require.EqualError(t, err, tc.want, "%s: %q", tc.rule, in)
			require.Empty(t, got, "%s: %q", tc.rule, in)
		}
	}
}

func TestParseAndMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, pattern, host string
		want                bool
	}{
		{"exact", "api.example.com", "api.example.com", true},
		{"case is folded", "API.example.com", "api.EXAMPLE.com", true},
		{"IDNA", "bücher.example", "xn--bcher-kva.example", true},
		{"443 is no port", "api.example.com:443", "api.example.com", true},
		{"another port", "api.example.com", "api.example.com:8443", false},
		{"a port that is named", "api.example.com:8443", "api.example.com:8443", true},
		{"a port that is named and not met", "api.example.com:8443", "api.example.com", false},
		{"a suffix is not enough", "api.example.com", "evil-api.example.com", false},
		{"a prefix is not enough", "api.example.com", "api.example.com.evil.test", false},
		{"a subdomain of an exact host", "example.com", "api.example.com", false},
		{"one label", "*.example.com", "api.example.com", true},
		{"more labels", "*.example.com", "a.b.c.example.com", true},
		{"never the bare domain", "*.example.com", "example.com", false},
		{"a label is whole", "*.example.com", "evilexample.com", false},
		{"pattern with a port", "*.example.com:8443", "api.example.com:8443", true},
		{"pattern with another port", "*.example.com:8443", "api.example.com", false},
		{"pattern without a port", "*.example.com", "api.example.com:8443", false},
		{"pattern of an A-label", "*.BÜCHER.example", "api.xn--bcher-kva.example", true},
		{"any host", "*", "api.example.com", true},
		{"any host at any port", "*", "[::1]:8443", true},
		{"an address", "192.0.2.1", "192.0.2.1", true},
		{"another address", "192.0.2.1", "192.0.2.10", false},
		{"IPv6 however written", "[2001:DB8:0::1]:8443", "[2001:db8::1]:8443", true},
		{"a mapped address is another host", "192.0.2.1", "[::ffff:192.0.2.1]", false},
		{"below a registrable name in a private suffix", "*.me.github.io", "a.me.github.io", true},
	} {
		p, err := hosts.Parse(tc.pattern)
		require.NoError(t, err, tc.rule)
		host, err := hosts.Canonical(tc.host)
		require.NoError(t, err, tc.rule)
		require.Equal(t, tc.want, p.Match(host), tc.rule)
		again, err := hosts.Parse(p.String())
		require.NoError(t, err, tc.rule)
		require.Equal(t, p, again, tc.rule)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, want string
		list       []string
	}{
		{"public suffix", "public suffix", []string{"*.com", "*.co.uk", "*.COM", "*.com.", "*.com:8443", "*.internal", "*.localhost"}},
		{"private public suffix", "public suffix", []string{"*.github.io", "*.blogspot.com"}},
		{"parent of public suffixes", "public suffix", []string{"*.kawasaki.jp", "*.ck"}},
		{"a star elsewhere", "stands only alone", []string{"api.*.com", "*api.example.com", "api*.example.com", "*.*.example.com", "**", "*:443", "*:8443", "*.*"}},
		{"below an address", "stands only alone", []string{"*.192.0.2.1", "*.192.0.2.1:8443", "*.[::1]", "*.[::1]:8443", "*.::1"}},
		{"what is no host", "host is", []string{"", " ", ".", "api.example.com/", "api example"}},
		{"a URL", "port is", []string{"https://api.example.com"}},
		{"what is no host below a star", "host is", []string{"*.", "*.exa mple.com", "*..example.com", "*.127.1"}},
	} {
		for _, in := range tc.list {
			p, err := hosts.Parse(in)
			require.ErrorContains(t, err, tc.want, "%s: %q", tc.rule, in)
			require.Equal(t, hosts.Pattern{}, p, "%s: %q", tc.rule, in)
		}
	}
}

func TestZeroPatternMatchesNothing(t *testing.T) {
	t.Parallel()
	require.False(t, hosts.Pattern{}.Match(""))
	require.False(t, hosts.Pattern{}.Match("api.example.com"))
	p, err := hosts.Parse(hosts.Any)
	require.NoError(t, err)
	require.False(t, p.Match(""))
}

func TestCanonicalOfAUsualHostAllocatesNothing(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(10, func() { _, _ = hosts.Canonical("api.example.com") }))
}

// What is canonical is its own canonical form, and a pattern of a host covers
// that host and nothing that has another canonical form.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"api.example.com", "API.example.com.:443", "[::1]:8443", "bücher.example", "127.1", "xn--a", "a:b:c", "[", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := hosts.Canonical(s)
		if err != nil {
			return
		}
		again, err := hosts.Canonical(c)
		require.NoError(t, err)
		require.Equal(t, c, again)
		require.NotContains(t, c, "*")
		p, err := hosts.Parse(s)
		require.NoError(t, err)
		require.True(t, p.Match(c))
		require.False(t, p.Match("x."+c))
	})
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"*.example.com", "api.example.com"}, {"*", "a"}, {"*.com", "a.com"}, {"*.example.com:8443", "a.example.com:8443"}, {"*.[::1]", "[::1]"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, host string) {
		p, err := hosts.Parse(pattern)
		if err != nil {
			require.Equal(t, hosts.Pattern{}, p)
			return
		}
		again, err := hosts.Parse(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
		host, err = hosts.Canonical(host)
		if err != nil || !p.Match(host) || pattern == hosts.Any {
			return
		}
		require.True(t, strings.HasSuffix(host, strings.TrimPrefix(p.String(), "*")))
		require.NotEqual(t, strings.TrimPrefix(p.String(), "*."), "."+host)
	})
}

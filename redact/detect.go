package redact

import "strings"

// set is a set of bytes.
type set [256]bool

// setOf joins ranges such as "a-z"; any other string stands for its bytes.
func setOf(ranges ...string) *set {
	var s set
	for _, r := range ranges {
		if len(r) == 3 && r[1] == '-' && r[0] < r[2] {
			for c := int(r[0]); c <= int(r[2]); c++ {
				s[c] = true
			}
			continue
		}
		for i := range len(r) {
			s[r[i]] = true
		}
	}
	return &s
}

var (
	digit     = setOf("0-9")
	hexLower  = setOf("0-9", "a-f")
	upper32   = setOf("A-Z", "0-9")
	alnum     = setOf("0-9", "A-Z", "a-z")
	letters   = setOf("A-Z", "a-z")
	base64Std = setOf("0-9", "A-Z", "a-z", "+/=")
	base64URL = setOf("0-9", "A-Z", "a-z", "_-")
	dotted    = setOf("0-9", "A-Z", "a-z", "-._")
	tilde     = setOf("0-9", "A-Z", "a-z", "-._~")
	token68   = setOf("0-9", "A-Z", "a-z", "-._~+/") // RFC 9110, 11.2, before its padding
)

// run returns the end of the run of bytes of set that begins at s[i].
func (set *set) run(s string, i int) int {
	for i < len(s) && set[s[i]] {
		i++
	}
	return i
}

// runTo is run over at most limit bytes.
func (set *set) runTo(s string, i, limit int) int {
	return set.run(s[:min(len(s), i+limit)], i)
}

// back returns the beginning of the run that ends before s[i], at most limit
// bytes long.
func (set *set) back(s string, i, limit int) int {
	for n := 0; i > 0 && n < limit && set[s[i-1]]; n++ {
		i--
	}
	return i
}

// startsWord reports whether a word may begin at s[i]: the byte before is no
// letter or digit, or it ends an escape (\n, %3D).
func startsWord(s string, i int) bool {
	if i == 0 || !alnum[s[i-1]] {
		return true
	}
	if i >= 2 && s[i-2] == '\\' && strings.IndexByte("nrtbf", s[i-1]) >= 0 {
		return true
	}
	return i >= 3 && s[i-3] == '%' && isHex(s[i-2]) && isHex(s[i-1])
}

func isHex(c byte) bool { return digit[c] || 'a' <= c|0x20 && c|0x20 <= 'f' }

// newGate announces everything r looks for in texts.
func (r *Redactor) newGate() *gate {
	g := &gate{}
	g.addAnchor("tv1.", matchSealed)
	r.announceParams(g)
	r.announceMembers(g)
	if r.detect {
		announceFormats(g)
		announceSchemes(g)
	}
	return g
}

func announceFormats(g *gate) {
	for i := range prefixes {
		p := &prefixes[i]
		if len(p.prefix) > 2 {
			g.addAnchor(p.prefix, p.match)
			continue
		}
		for c, in := range p.set {
			if in {
				g.add(p.prefix+string(rune(c)), 0, p.match)
			}
		}
	}
	for i := range infixes {
		g.addAnchor(infixes[i].infix, infixes[i].match)
	}
	for i := range keywords {
		g.addFold(keywords[i].name, keywords[i].match)
	}
	for c := '0'; c <= '9'; c++ {
		g.add(string(c)+"Q~", 3, matchEntra)
	}
	for _, tri := range discordLeads() {
		g.add(tri, 0, matchDiscord)
	}
}

func announceSchemes(g *gate) {
	for _, header := range []string{"eyJ", "eyAi", "ewog", "ew0K"} { // {" with and without white space
		g.addAnchor(header, matchJWT)
	}
	for _, scheme := range []string{"bearer", "dpop ", "basic"} {
		g.addFold(scheme, matchScheme)
	}
	g.addAnchor("-----BEGIN ", matchPEM)
	g.addAnchor("://", matchUserinfo)
	g.addAnchor(`:\/\/`, matchUserinfo)
}

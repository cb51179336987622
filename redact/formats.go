package redact

import (
	"encoding/base64"
	"strings"
)

// prefixed is a key that begins with a well-known prefix, at the beginning of a
// word, and goes on with min to max bytes of set; max 0 means any number.
type prefixed struct {
	prefix   string
	set      *set
	min, max int
}

// The formats are the issuers' own; gitleaks, GitHub secret scanning and
// trufflehog publish collections of them.
var prefixes = []prefixed{
	{"ghp_", alnum, 36, 0}, {"gho_", alnum, 36, 0}, {"ghu_", alnum, 36, 0}, {"ghs_", dotted, 36, 0}, {"ghr_", alnum, 36, 0},
	{"github_pat_", base64URL, 36, 0},
	{"glpat-", dotted, 20, 0}, {"gldt-", base64URL, 20, 0}, {"glrt-", dotted, 20, 0}, {"glcbt-", base64URL, 20, 0},
	{"glptt-", base64URL, 20, 0}, {"glft-", base64URL, 20, 0}, {"glimt-", base64URL, 20, 0}, {"glagent-", base64URL, 20, 0},
	{"gloas-", base64URL, 20, 0}, {"glsoat-", base64URL, 20, 0}, {"glffct-", base64URL, 20, 0},
	{"xoxb-", base64URL, 20, 0}, {"xoxp-", base64URL, 20, 0}, {"xoxa-", base64URL, 20, 0}, {"xoxr-", base64URL, 20, 0},
	{"xoxs-", base64URL, 20, 0}, {"xoxc-", base64URL, 20, 0}, {"xoxd-", tilde, 20, 0}, {"xoxe-", base64URL, 20, 0},
	{"xoxe.xox", base64URL, 20, 0}, {"xapp-", base64URL, 20, 0}, {"hooks.slack.com/services/", setOf("0-9", "A-Z", "a-z", "/"), 20, 0},
	{"sk_live_", alnum, 10, 0}, {"sk_test_", alnum, 10, 0}, {"rk_live_", alnum, 10, 0}, {"rk_test_", alnum, 10, 0}, {"whsec_", base64Std, 24, 0},
	{"AKIA", upper32, 16, 16}, {"ASIA", upper32, 16, 16}, {"ABSK", base64Std, 100, 0},
	{"FwoGZXIvYXdzE", base64Std, 80, 0}, {"IQoJb3JpZ2lu", base64Std, 80, 0},
	{"AIza", base64URL, 35, 35}, {"GOCSPX-", base64URL, 24, 0}, {"ya29.", dotted, 20, 0}, {"1//0", base64URL, 40, 0},
	{"npm_", alnum, 36, 0}, {"pypi-AgE", base64URL, 50, 0}, {"rubygems_", hexLower, 48, 0}, {"cio", alnum, 32, 32}, {"oy2", setOf("0-9", "a-z"), 43, 43},
	{"SG.", dotted, 66, 0}, {"xkeysib-", setOf("0-9", "a-z", "A-Z", "-"), 64, 0}, {"key-", hexLower, 32, 32}, {"SK", hexLower, 32, 32},
	{"sk-ant-", base64URL, 20, 0}, {"sk-proj-", base64URL, 20, 0}, {"sk-svcacct-", base64URL, 20, 0}, {"sk-admin-", base64URL, 20, 0},
	{"sk-or-v1-", hexLower, 64, 64}, {"sk-", alnum, 32, 0}, {"gsk_", alnum, 40, 0}, {"xai-", alnum, 60, 0}, {"pplx-", alnum, 40, 0},
	{"r8_", alnum, 37, 40}, {"hf_", alnum, 30, 0}, {"api_org_", alnum, 30, 0}, {"lsv2_", base64URL, 32, 0},
	{"dop_v1_", hexLower, 64, 64}, {"doo_v1_", hexLower, 64, 64}, {"dor_v1_", hexLower, 64, 64},
	{"shpat_", alnum, 32, 0}, {"shpca_", alnum, 32, 0}, {"shppa_", alnum, 32, 0}, {"shpss_", alnum, 32, 0}, {"shptka_", alnum, 32, 0},
	{"EAAA", base64URL, 56, 64}, {"sq0atp-", base64URL, 22, 0}, {"sq0csp-", base64URL, 43, 0},
	{"hvs.", base64URL, 24, 0}, {"hvb.", base64URL, 24, 0}, {"hvr.", base64URL, 24, 0},
	{"dapi", setOf("0-9", "a-f", "-"), 32, 34}, {"ATATT3", setOf("0-9", "A-Z", "a-z", "-_="), 40, 0}, {"ATCTT3", setOf("0-9", "A-Z", "a-z", "-_="), 40, 0}, {"ATBB", alnum, 32, 0},
	{"dp.pt.", alnum, 40, 0}, {"dp.ct.", alnum, 40, 0}, {"dp.sa.", alnum, 40, 0}, {"dp.st.", dotted, 40, 0}, {"dp.scim.", alnum, 40, 0}, {"dp.audit.", alnum, 40, 0},
	{"lin_api_", alnum, 32, 0}, {"lin_oauth_", alnum, 32, 0}, {"PMAK-", setOf("0-9", "a-f", "-"), 59, 59},
	{"AGE-SECRET-KEY-1", upper32, 58, 58}, {"AGE-SECRET-KEY-PQ-1", upper32, 58, 0},
	{"glsa_", base64URL, 32, 0}, {"glc_eyJ", base64Std, 40, 0}, {"pul-", hexLower, 40, 40}, {"dckr_pat_", base64URL, 27, 0}, {"dckr_oat_", base64URL, 27, 0},
	{"fm2_", base64Std, 40, 0}, {"fm1a_", base64Std, 40, 0}, {"ntn_", alnum, 40, 0}, {"secret_", alnum, 43, 43}, {"sbp_", hexLower, 40, 0}, {"sb_secret_", base64URL, 20, 0},
	{"figd_", base64URL, 36, 0}, {"NRAK-", upper32, 27, 27}, {"sntrys_", base64Std, 40, 0}, {"sntryu_", hexLower, 64, 64}, {"CFPAT-", base64URL, 43, 43},
	{"dt0c01.", dotted, 80, 0}, {"HRKU-", base64URL, 36, 0}, {"tskey-", base64URL, 20, 0}, {"sgp_", base64URL, 40, 0}, {"pscale_", dotted, 35, 0},
	{"pat-na1-", setOf("0-9", "a-f", "-"), 36, 36}, {"pat-eu1-", setOf("0-9", "a-f", "-"), 36, 36}, {"AKCp", alnum, 65, 73}, {"cmVmdGtu", alnum, 56, 56},
	{"CLOJARS_", hexLower, 60, 60}, {"tfp_", tilde, 40, 0}, {"ops_eyJ", base64URL, 100, 0}, {"CCIPAT_", base64URL, 40, 0}, {"nfp_", alnum, 36, 0},
	{"bkua_", hexLower, 40, 40},
	{"v2.local.", base64URL, 40, 0}, {"v3.local.", base64URL, 40, 0}, {"v4.local.", base64URL, 40, 0}, {"v2.public.", base64URL, 60, 0}, {"v4.public.", base64URL, 60, 0},
}

func (p prefixed) match(t *text, at int) finding {
	body := at + len(p.prefix)
	if !strings.HasPrefix(t.s[at:], p.prefix) || !startsWord(t.s, at) {
		return finding{}
	}
	// No further than needed to tell: prefixes may stand one after the other.
	end := p.set.runTo(t.s, body, max(p.min, p.max+1, sample))
	n := end - body
	switch {
	case n > p.max && p.max > 0:
		return finding{}
	case t.atEnd(end):
		return finding{verdict: open, start: at}
	case n < p.min, !mixed(t.s[body:end]):
		return finding{}
	}
	if end = p.set.run(t.s, end); t.atEnd(end) {
		return finding{verdict: open, start: at}
	}
	return t.mask(at, end)
}

// sample is how much of a key mixed looks at.
const sample = 64

// mixed tells random characters from words and rulers: it asks for a digit
// among them or a change of case, and for more than a few different bytes.
func mixed(s string) bool {
	var seen set
	distinct, digits, upper, lower := 0, 0, 0, 0
	for i := range min(len(s), sample) {
		c := s[i]
		switch {
		case digit[c]:
			digits++
		case 'a' <= c && c <= 'z':
			lower++
		case 'A' <= c && c <= 'Z':
			upper++
		}
		if !seen[c] {
			seen[c] = true
			distinct++
		}
	}
	return distinct >= 6 && (digits > 0 || upper > 0 && lower > 0 || upper >= 16 && distinct >= 8)
}

// infixed is a key known by what stands in its middle.
type infixed struct {
	infix                string
	before               *set
	minBefore, maxBefore int
	after                *set
	minAfter, maxAfter   int
}

var infixes = []infixed{
	{"T3BlbkFJ", base64URL, 20, 200, base64URL, 20, 200}, // OpenAI
	{"AZDO", alnum, 76, 76, alnum, 4, 4},                 // Azure DevOps
	{"JQQJ99", alnum, 52, 52, alnum, 24, 30},             // Azure AI services
	{":AA", digit, 8, 10, base64URL, 33, 33},             // Telegram
	{".atlasv1.", alnum, 14, 14, base64URL, 60, 70},      // Terraform Cloud
	{"-us", hexLower, 32, 32, digit, 1, 2},               // Mailchimp
}

func (f infixed) match(t *text, at int) finding {
	if !strings.HasPrefix(t.s[at:], f.infix) {
		return finding{}
	}
	start := f.before.back(t.s, at, f.maxBefore+1)
	body := at + len(f.infix)
	end := f.after.runTo(t.s, body, f.maxAfter+1)
	switch n := at - start; {
	case n < f.minBefore, n > f.maxBefore, end-body > f.maxAfter:
		return finding{}
	case t.atEnd(end):
		return finding{verdict: open, start: start}
	case end-body < f.minAfter:
		return finding{}
	}
	return t.mask(start, end)
}

// keyword is a key without a shape of its own, told by the setting it is
// assigned to.
type keyword struct {
	name     string // lower case
	set      *set
	min, max int
}

var keywords = []keyword{
	{"secret_access_key", base64Std, 40, 40},
	{"secretaccesskey", base64Std, 40, 40},
	{"session_token", base64Std, 100, 0},
	{"accountkey", base64Std, 80, 0},
	{"sharedaccesskey", base64Std, 40, 0},
	{"twilio_auth_token", hexLower, 32, 32},
}

var assignment = setOf(" \t\"'`:=>\\")

func (k keyword) match(t *text, at int) finding {
	name := at + len(k.name)
	if name > len(t.s) || !strings.EqualFold(t.s[at:name], k.name) {
		return finding{}
	}
	start := assignment.runTo(t.s, name, 12)
	end := k.set.run(t.s, start)
	switch n := end - start; {
	case t.atEnd(end):
		return finding{verdict: open, start: at}
	case start == name, n < k.min, k.max > 0 && n > k.max, !mixed(t.s[start:end]):
		return finding{}
	}
	return t.mask(start, end)
}

// matchEntra finds client secrets of Microsoft Entra: three characters, a
// digit, "Q~" and 31 to 34 more.
func matchEntra(t *text, at int) finding {
	if at < 0 || at+6 > len(t.s) || tilde.run(t.s[:at+3], at) != at+3 {
		return finding{}
	}
	end := tilde.runTo(t.s, at+6, 35)
	switch n := end - at - 6; {
	case n > 34:
		return finding{}
	case t.atEnd(end):
		return finding{verdict: open, start: at}
	case n < 31:
		return finding{}
	}
	return t.mask(at, end)
}

// discordLeads are the first three base64 characters of a number.
func discordLeads() []string {
	var out []string
	for n := byte(10); n < 100; n++ {
		out = append(out, base64.StdEncoding.EncodeToString([]byte{'0' + n/10, '0' + n%10, '0'})[:3])
	}
	return out
}

// matchDiscord finds bot tokens: the bot's number in base64, a time stamp of six
// characters, a MAC.
func matchDiscord(t *text, at int) finding {
	if !startsWord(t.s, at) {
		return finding{}
	}
	id := base64URL.runTo(t.s, at, 30)
	stamp := base64URL.runTo(t.s, min(id+1, len(t.s)), 7)
	end := base64URL.runTo(t.s, min(stamp+1, len(t.s)), 40)
	if t.atEnd(end) && end-at < 80 {
		return finding{verdict: open, start: at}
	}
	if id-at < 23 || stamp-id != 7 || end-stamp < 28 || t.s[id] != '.' || t.s[stamp] != '.' {
		return finding{}
	}
	number, err := base64.RawURLEncoding.DecodeString(t.s[at:id])
	if err != nil || digit.run(string(number), 0) != len(number) {
		return finding{}
	}
	return t.mask(at, end)
}

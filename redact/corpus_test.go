package redact_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// source makes random keys and look-alikes, the same ones on every run.
type source struct{ *rand.Rand }

func newSource() source {
	return source{rand.New(rand.NewChaCha8(sha256.Sum256([]byte("corpus"))))}
}

const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base62  = digits + upper + lower
	urlSafe = base62 + "-_"
	hexa    = "0123456789abcdef"
	bech32  = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
)

func (s source) of(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.IntN(len(alphabet))]
	}
	return string(b)
}

func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return b
}

func (s source) uuid() string {
	h := hex.EncodeToString(s.bytes(16))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// github is GitHub's token: a prefix, 30 random base62 digits, a CRC-32 in six.
// https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
func (s source) github(prefix string) string {
	body := s.of(base62, 30)
	sum := crc32.ChecksumIEEE([]byte(body))
	check := make([]byte, 6)
	for i := range check {
		check[5-i] = base62[sum%62]
		sum /= 62
	}
	return prefix + body + string(check)
}

func segment(v any) string {
	b, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s source) jwt() string {
	head := map[string]string{"alg": []string{"RS256", "ES256", "EdDSA", "HS256"}[s.IntN(4)], "typ": "JWT", "kid": s.of(base62, 8)}
	body := map[string]any{"iss": "https://issuer.example.test", "sub": s.uuid(), "exp": 1900000000 + s.IntN(1e6)}
	return segment(head) + "." + segment(body) + "." + base64.RawURLEncoding.EncodeToString(s.bytes(64))
}

func (s source) pem() string {
	var der []byte
	kind := "PRIVATE KEY"
	if s.IntN(2) == 0 {
		der, _ = x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(s.bytes(32)))
	} else {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 1), s.bytes(31)...))
		if err != nil {
			panic(err)
		}
		der, _ = x509.MarshalECPrivateKey(key)
		kind = "EC PRIVATE KEY"
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// kind is a credential with a published format. secret is what must not be left
// of it; text, if it differs, is what is written.
type kind struct {
	name string
	make func(s source) (text, secret string)
}

func plain(f func(s source) string) func(s source) (string, string) {
	return func(s source) (string, string) { k := f(s); return k, k }
}

// kinds follows the issuers' documentation of their formats.
var kinds = []kind{
	// docs.github.com "About authentication to GitHub", token formats
	{"GitHub classic", plain(func(s source) string {
		return s.github([]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}[s.IntN(5)])
	})},
	{"GitHub fine-grained", plain(func(s source) string { return "github_pat_" + s.of(base62, 22) + "_" + s.of(base62, 59) })},
	// docs.gitlab.com "Token overview", prefixes; devise friendly token of 20
	{"GitLab", plain(func(s source) string {
		return []string{"glpat-", "gldt-", "glrt-", "glptt-", "glft-", "gloas-"}[s.IntN(6)] + s.of(urlSafe, 20)
	})},
	// api.slack.com "Token types"
	{"Slack bot", plain(func(s source) string {
		return "xoxb-" + s.of(digits[1:], 12) + "-" + s.of(digits[1:], 13) + "-" + s.of(base62, 24)
	})},
	{"Slack user", plain(func(s source) string {
		return "xoxp-" + s.of(digits[1:], 12) + "-" + s.of(digits[1:], 12) + "-" + s.of(digits[1:], 12) + "-" + s.of(hexa, 32)
	})},
	{"Slack app", plain(func(s source) string {
		return "xapp-1-A" + s.of(digits+upper, 10) + "-" + s.of(digits, 13) + "-" + s.of(hexa, 64)
	})},
	// api.slack.com "Sending messages using incoming webhooks"
	{"Slack webhook", func(s source) (string, string) {
		k := s.of(base62, 24)
		return "https://hooks.slack.com/services/T" + s.of(upper+digits, 8) + "/B" + s.of(upper+digits, 8) + "/" + k, k
	}},
	// docs.stripe.com "API keys"
	{"Stripe", plain(func(s source) string {
		return []string{"sk_live_", "sk_test_", "rk_live_", "rk_test_"}[s.IntN(4)] + "51" + s.of(base62, 97)
	})},
	{"Stripe older", plain(func(s source) string { return "sk_live_" + s.of(base62, 24) })},
	{"Stripe webhook", plain(func(s source) string { return "whsec_" + s.of(base62, 32) })},
	// docs.aws.amazon.com IAM "Unique identifiers": prefixes, base32
	{"AWS access key", plain(func(s source) string { return []string{"AKIA", "ASIA"}[s.IntN(2)] + s.of(upper+"234567", 16) })},
	// docs.aws.amazon.com CLI "Configuration and credential file settings"
	{"AWS secret key", func(s source) (string, string) {
		k := s.of(base62+"+/", 40)
		return []string{"aws_secret_access_key = ", "AWS_SECRET_ACCESS_KEY=", `"SecretAccessKey": "`}[s.IntN(3)] + k, k
	}},
	// cloud.google.com "Manage API keys"; developers.google.com "Using OAuth 2.0"
	{"Google API key", plain(func(s source) string { return "AIza" + s.of(urlSafe, 35) })},
	{"Google access token", plain(func(s source) string { return "ya29." + s.of(urlSafe, 180) })},
	{"Google refresh token", plain(func(s source) string { return "1//0" + s.of(urlSafe, 98) })},
	{"Google client secret", plain(func(s source) string { return "GOCSPX-" + s.of(urlSafe, 28) })},
	// github.blog "npm has a new access token format": npm_, 30 and a checksum
	{"npm", plain(func(s source) string { return s.github("npm_") })},
	// pypi.org/help "API tokens": a macaroon with location pypi.org
	{"PyPI", plain(func(s source) string {
		return "pypi-" + base64.RawURLEncoding.EncodeToString(append([]byte("\x02\x01\x08pypi.org\x02\x24"+s.uuid()), s.bytes(60)...))
	})},
	// docs.sendgrid.com "API keys": SG. id of 22 . secret of 43
	{"SendGrid", plain(func(s source) string { return "SG." + s.of(urlSafe, 22) + "." + s.of(urlSafe, 43) })},
	// twilio.com/docs/glossary "SID": two letters and 32 hex digits
	{"Twilio API key", plain(func(s source) string { return "SK" + s.of(hexa, 32) })},
	// learn.microsoft.com Purview "Azure AD client secret" definition
	{"Microsoft Entra", plain(func(s source) string {
		return s.of(base62, 3) + s.of(digits, 1) + "Q~" + s.of(base62+"_.-~", 30) + s.of(base62, 4)
	})},
	// learn.microsoft.com "Configure Azure Storage connection strings"
	{"Azure Storage", func(s source) (string, string) {
		k := base64.StdEncoding.EncodeToString(s.bytes(64))
		return "DefaultEndpointsProtocol=https;AccountName=store;AccountKey=" + k + ";EndpointSuffix=core.windows.net", k
	}},
	// learn.microsoft.com Azure DevOps "Use personal access tokens": 84, AZDO at 77
	{"Azure DevOps", plain(func(s source) string { return s.of(base62, 76) + "AZDO" + s.of(base62, 4) })},
	// platform.openai.com "API keys"
	{"OpenAI", plain(func(s source) string { return "sk-" + s.of(base62, 20) + "T3BlbkFJ" + s.of(base62, 20) })},
	{"OpenAI project", plain(func(s source) string { return "sk-proj-" + s.of(urlSafe, 74) + "T3BlbkFJ" + s.of(urlSafe, 74) })},
	// docs.anthropic.com "Getting started"; GitHub secret scanning patterns
	{"Anthropic", plain(func(s source) string { return "sk-ant-api03-" + s.of(urlSafe, 93) + "AA" })},
	// docs.digitalocean.com "Personal access tokens"
	{"DigitalOcean", plain(func(s source) string {
		return []string{"dop_v1_", "doo_v1_", "dor_v1_"}[s.IntN(3)] + s.of(hexa, 64)
	})},
	// shopify.dev changelog "Access token format"
	{"Shopify", plain(func(s source) string {
		return []string{"shpat_", "shpca_", "shppa_", "shpss_"}[s.IntN(4)] + s.of(hexa, 32)
	})},
	// developer.squareup.com "Access tokens"
	{"Square", plain(func(s source) string { return "EAAA" + s.of(urlSafe, 60) })},
	{"Square secret", plain(func(s source) string { return "sq0csp-" + s.of(urlSafe, 43) })},
	// documentation.mailgun.com "Authentication"
	{"Mailgun", plain(func(s source) string { return "key-" + s.of(hexa, 32) })},
	// mailchimp.com/developer "About API keys": 32 hex and the data centre
	{"Mailchimp", plain(func(s source) string { return s.of(hexa, 32) + "-us" + fmt.Sprint(1+s.IntN(21)) })},
	// core.telegram.org/bots/api "Authorizing your bot"
	{"Telegram", plain(func(s source) string { return s.of(digits[1:], 10) + ":AA" + s.of(urlSafe, 33) })},
	// discord.com/developers/docs/reference: base64 of the id, time stamp, HMAC
	{"Discord", plain(func(s source) string {
		id := base64.RawURLEncoding.EncodeToString([]byte(s.of(digits[1:], 18+s.IntN(2))))
		at := binary.BigEndian.AppendUint32(nil, 1_700_000_000+s.Uint32N(1e8))
		return id + "." + base64.RawURLEncoding.EncodeToString(at) + "." + s.of(urlSafe, 38)
	})},
	// huggingface.co/docs/hub/security-tokens
	{"Hugging Face", plain(func(s source) string { return "hf_" + s.of(upper+lower, 34) })},
	// developer.hashicorp.com/vault/docs/concepts/tokens "Token prefixes"
	{"Vault", plain(func(s source) string { return []string{"hvs.", "hvb.", "hvr."}[s.IntN(3)] + s.of(urlSafe, 90) })},
	{"Terraform Cloud", plain(func(s source) string { return s.of(base62, 14) + ".atlasv1." + s.of(base62, 67) })},
	// docs.databricks.com "Personal access tokens"
	{"Databricks", plain(func(s source) string { return "dapi" + s.of(hexa, 32) })},
	// support.atlassian.com "Manage API tokens"
	{"Atlassian", plain(func(s source) string { return "ATATT3xFfGF0" + s.of(urlSafe, 171) + "=" + s.of(hexa, 8) })},
	// docs.doppler.com "Token formats"
	{"Doppler", plain(func(s source) string { return []string{"dp.pt.", "dp.ct.", "dp.sa."}[s.IntN(3)] + s.of(base62, 43) })},
	{"Doppler service", plain(func(s source) string { return "dp.st.prd." + s.of(base62, 43) })},
	// developers.linear.app "Personal API keys"
	{"Linear", plain(func(s source) string { return "lin_api_" + s.of(base62, 40) })},
	// learning.postman.com "Postman API authentication"
	{"Postman", plain(func(s source) string { return "PMAK-" + s.of(hexa, 24) + "-" + s.of(hexa, 34) })},
	// age-encryption.org/v1: Bech32, upper case
	{"age", plain(func(s source) string { return "AGE-SECRET-KEY-1" + s.of(bech32, 58) })},
	// grafana.com/docs "Service accounts"; fly.io, docker.com, rubygems.org, tailscale.com docs
	{"Grafana", plain(func(s source) string { return "glsa_" + s.of(base62, 32) + "_" + s.of(hexa, 8) })},
	{"Docker", plain(func(s source) string { return "dckr_pat_" + s.of(urlSafe, 27) })},
	{"RubyGems", plain(func(s source) string { return "rubygems_" + s.of(hexa, 48) })},
	{"Tailscale", plain(func(s source) string { return "tskey-auth-" + s.of(base62, 12) + "CNTRL-" + s.of(base62, 32) })},
	// RFC 7468, 5208, 5915
	{"PEM", func(s source) (string, string) {
		block := s.pem()
		return block, strings.Split(block, "\n")[1]
	}},
	// RFC 7519
	{"JWT", plain(source.jwt)},
	// RFC 7516, 3.1: five parts
	{"JWE", plain(func(s source) string {
		e := func(n int) string { return base64.RawURLEncoding.EncodeToString(s.bytes(n)) }
		return segment(map[string]string{"alg": "RSA-OAEP", "enc": "A256GCM"}) + "." + e(256) + "." + e(12) + "." + e(80) + "." + e(16)
	})},
	// RFC 6750, 2.1
	{"Bearer", func(s source) (string, string) {
		k := s.of(base62+"-._~", 24+s.IntN(20))
		return []string{"Authorization: Bearer ", "bearer ", "Bearer "}[s.IntN(3)] + k, k
	}},
	// RFC 7617, 2
	{"Basic", func(s source) (string, string) {
		k := base64.StdEncoding.EncodeToString([]byte(s.of(lower, 6) + ":" + s.of(base62, 8+s.IntN(10))))
		return []string{"Authorization: Basic ", "basic "}[s.IntN(2)] + k, k
	}},
	// RFC 3986, 3.2.1
	{"URL userinfo", func(s source) (string, string) {
		k := s.of(base62+"-._~", 12)
		return []string{"postgres", "https", "amqp", "redis"}[s.IntN(4)] + "://" + s.of(lower, 5) + ":" + k + "@db.example.test:5432/app", k
	}},
}

// frames are the places where a credential is come across.
var frames = []string{
	"%s", "token=%s", "key: %s\n", `{"value":"%s"}`, "export KEY='%s'", "request failed (%s), retrying",
	"<code>%s</code>", "a\t%s\tb", `msg="login" value=%s status=200`,
}

// lookAlike is text that has the looks of a credential and is none.
type lookAlike struct {
	name string
	make func(s source) string
}

var lookAlikes = []lookAlike{
	{"UUID", source.uuid},
	{"UUIDs", func(s source) string { return "req-" + s.uuid() + "/" + strings.ToUpper(s.uuid()) }},
	{"SHA-1", func(s source) string { return "commit " + s.of(hexa, 40) }},
	{"SHA-256", func(s source) string { return "sha256:" + s.of(hexa, 64) }},
	{"SHA-512", func(s source) string { return s.of(hexa, 128) }},
	{"MD5", func(s source) string { return s.of(hexa, 32) + "  file.bin" }},
	{"bcrypt", func(s source) string { return "$2b$12$" + s.of(base62+"./", 53) }},
	{"base64 image", func(s source) string {
		return `<img src="data:image/png;base64,iVBORw0KGgo` + base64.StdEncoding.EncodeToString(s.bytes(4096)) + `">`
	}},
	{"base64url blob", func(s source) string { return base64.RawURLEncoding.EncodeToString(s.bytes(4096)) }},
	{"source map", func(s source) string {
		return "//# sourceMappingURL=data:application/json;base64," + base64.StdEncoding.EncodeToString([]byte(`{"version":3,"sources":["`+s.of(lower, 60)+`"]}`))
	}},
	{"minified code", minified},
	{"package-lock.json", func(s source) string {
		return fmt.Sprintf(`"node_modules/%s": {"version": "%d.%d.%d", "resolved": "https://registry.example.test/%s/-/x-1.0.0.tgz", "integrity": "sha512-%s==", "token": "^1.0.0"}`,
			s.of(lower, 8), s.IntN(20), s.IntN(20), s.IntN(20), s.of(lower, 8), s.of(base62+"+/", 86))
	}},
	{"git lock entry", func(s source) string { return "git+ssh://git@github.com/org/repo.git#" + s.of(hexa, 40) }},
	{"go.sum", func(s source) string {
		return "github.com/" + s.of(lower, 6) + "/" + s.of(lower, 6) + " v1.2.3 h1:" + base64.StdEncoding.EncodeToString(s.bytes(32))
	}},
	{"Cargo.lock", func(s source) string { return "checksum = \"" + s.of(hexa, 64) + "\"" }},
	{"semver", func(s source) string {
		return fmt.Sprintf("v%d.%d.%d-0.%s-%s", s.IntN(9), s.IntN(30), s.IntN(9), s.of(digits, 14), s.of(hexa, 12))
	}},
	{"sealed", func(s source) string {
		e := func(n int) string { return base64.RawURLEncoding.EncodeToString(s.bytes(n)) }
		return "tv1." + segment(map[string]string{"alg": "A256KW", "enc": "A256GCM"}) + "." + e(40) + "." + e(12) + "." + e(100) + "." + e(16)
	}},
	{"sealed bearer", func(s source) string {
		e := func(n int) string { return base64.RawURLEncoding.EncodeToString(s.bytes(n)) }
		return "Authorization: Bearer tv1." + segment(map[string]string{"alg": "A256KW", "enc": "A256GCM"}) + "." + e(40) + "." + e(12) + "." + e(20) + "." + e(16)
	}},
	{"public key", func(s source) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.bytes(91)})) +
			string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.bytes(400)}))
	}},
	{"SSH public key", func(s source) string {
		return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA" + s.of(base62, 44) + " user@host"
	}},
	{"age recipient", func(s source) string { return "age1" + strings.ToLower(s.of(bech32, 58)) }},
	{"prose", func(s source) string {
		return []string{
			"The bearer of this letter asks for basic knowledge of the subject.", "Basic authentication is not enough; use bearer tokens.",
			`WWW-Authenticate: Bearer realm="example", error="invalid_token"`, "see https://example.test/@user/path?x=1#frag", "mailto:someone@example.test",
			"Authorization: Bearer <token>", "curl -H \"Authorization: Bearer $TOKEN\"", "https://${USER}:${PASSWORD}@host/", "the sk-learn and sk-image packages",
			"run ghp_ through the npm_config_registry setting", "AKIA is a prefix, and so is ASIA", "key-value stores, SG.example.internal",
		}[s.IntN(12)]
	}},
	{"trace", func(s source) string { return "traceparent: 00-" + s.of(hexa, 32) + "-" + s.of(hexa, 16) + "-01" }},
	{"ARN", func(s source) string {
		return "arn:aws:iam::" + s.of(digits, 12) + ":role/" + s.of(lower, 10) + " i-" + s.of(hexa, 17) + " AROA" + s.of(upper, 16)
	}},
	{"ULID and snowflake", func(s source) string {
		return "01" + s.of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24) + " " + s.of(digits, 18)
	}},
	{"stack trace", func(s source) string {
		return fmt.Sprintf("goroutine %d [running]:\nmain.(*Server).handle(0xc000%s, {0x%s, 0x%s})\n\t/src/server.go:%d +0x%s", s.IntN(100), s.of(hexa, 6), s.of(hexa, 6), s.of(hexa, 2), s.IntN(999), s.of(hexa, 3))
	}},
}

func minified(s source) string {
	var b bytes.Buffer
	for range 40 {
		a, c := s.of(lower, 1), s.of(lower, 2)
		switch s.IntN(5) {
		case 0:
			fmt.Fprintf(&b, "function %s(%s){return %s.token||%s.password}", c, a, a, a)
		case 1:
			fmt.Fprintf(&b, "var %s={token:%s,key:%s.key,secret:!0,basic:%d};", c, a, a, s.IntN(99))
		case 2:
			fmt.Fprintf(&b, "%s.prototype.setBearerToken=function(%s){this.h[\"Authorization\"]=\"Bearer \"+%s};", c, a, a)
		case 3:
			fmt.Fprintf(&b, "%s=/^[a-z0-9]+:\\/\\/([^@]+)@/.exec(%s),", a, c)
		case 4:
			fmt.Fprintf(&b, "btoa(%s+\":\"+%s);s.%s%s2(\"#%s\");", a, c, c, s.of(lower, 20), s.of(hexa, 6))
		}
	}
	return b.String()
}

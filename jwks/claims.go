package jwks

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// Claims are the verified claims of one token. It is a value: what its methods
// return is the caller's to keep and change. The zero Claims has no claims.
type Claims struct{ c *claims }

// claims is shared by all holders of a cached token and never changes.
type claims struct {
	payload                     string
	issuer, subject, id, client string
	audience, scopes            []string
	exp, nbf, iat               date
}

// date is a NumericDate (RFC 7519 section 2), which may be absent.
type date struct {
	time.Time
	set bool
}

var errNoClaims = errors.New("jwks: no claims to decode")

func (c Claims) get() *claims {
	if c.c == nil {
		return &claims{}
	}
	return c.c
}

// Issuer is the iss claim, one of the configured Issuer.URLs.
func (c Claims) Issuer() string { return c.get().issuer }

// Subject is the sub claim. It is unique for its issuer only.
func (c Claims) Subject() string { return c.get().subject }

// ClientID is the client_id claim (RFC 9068 section 2.2).
func (c Claims) ClientID() string { return c.get().client }

// ID is the jti claim.
func (c Claims) ID() string { return c.get().id }

// Expires is the exp claim; the zero time if there is none (Issuer.MaxAge).
func (c Claims) Expires() time.Time { return c.get().exp.Time }

// IssuedAt is the iat claim; the zero time if there is none.
func (c Claims) IssuedAt() time.Time { return c.get().iat.Time }

// HasScope reports whether the token grants scope.
func (c Claims) HasScope(scope string) bool { return slices.Contains(c.get().scopes, scope) }

// HasAudience reports whether the token is meant for audience.
func (c Claims) HasAudience(audience string) bool {
	return slices.Contains(c.get().audience, audience)
}

// Scopes are the values of the scope claim (RFC 8693 section 4.2), in order.
func (c Claims) Scopes() []string { return slices.Clone(c.get().scopes) }

// Decode reads the payload into v, as json.Unmarshal would, but with names
// compared exactly: a claim "EXP" never lands in a field for "exp". Its errors
// are those of package json, and one for the zero Claims.
func (c Claims) Decode(v any) error {
	if c.c == nil {
		return errNoClaims
	}
	return json.Unmarshal([]byte(c.c.payload), v)
}

// payload is the JSON text of each claim that is judged; empty if absent.
type payload struct {
	iss, sub, aud, exp, nbf, iat, jti, clientID, scope, cnf string
}

var (
	errPayload   = refuse(ErrMalformed, "the payload is not a JSON object")
	errClaimType = refuse(ErrMalformed, "a registered claim has the wrong type")
	errNoIssuer  = refuse(ErrIssuer, "iss is missing")
)

// parsePayload finds the claims in s. It is called before the signature is
// checked, for iss alone, and must stay cheap.
func parsePayload(s string) (p payload, err error) {
	ok := members(s, func(name, raw string) {
		switch name {
		case "iss":
			p.iss = raw
		case "sub":
			p.sub = raw
		case "aud":
			p.aud = raw
		case "exp":
			p.exp = raw
		case "nbf":
			p.nbf = raw
		case "iat":
			p.iat = raw
		case "jti":
			p.jti = raw
		case "client_id":
			p.clientID = raw
		case "scope":
			p.scope = raw
		case "cnf":
			p.cnf = raw
		}
	})
	if !ok {
		return payload{}, errPayload
	}
	return p, nil
}

func (p *payload) issuer() (string, error) {
	if p.iss == "" {
		return "", errNoIssuer
	}
	iss, ok := text(p.iss)
	if !ok {
		return "", errClaimType
	}
	return iss, nil
}

// claims decodes p, which was found in the text s.
func (p *payload) claims(s, issuer string) (*claims, error) {
	c := &claims{payload: s, issuer: issuer}
	var ok [8]bool
	c.subject, ok[0] = text(p.sub)
	c.id, ok[1] = text(p.jti)
	c.client, ok[2] = text(p.clientID)
	c.exp, ok[3] = numericDate(p.exp)
	c.nbf, ok[4] = numericDate(p.nbf)
	c.iat, ok[5] = numericDate(p.iat)
	c.audience, ok[6] = oneOrMore(p.aud)
	c.scopes, ok[7] = scopeList(p.scope)
	if ok != [8]bool{true, true, true, true, true, true, true, true} {
		return nil, errClaimType
	}
	return c, nil
}

// oneOrMore reads a string or an array of strings (RFC 7519 section 4.1.3).
func oneOrMore(raw string) ([]string, bool) {
	if raw == "" {
		return nil, true
	}
	if s, ok := text(raw); ok {
		return []string{s}, true
	}
	return texts(raw)
}

// scopeList reads a space-separated string (RFC 8693 section 4.2), or the array
// of strings that some servers send in its place.
func scopeList(raw string) ([]string, bool) {
	s, ok := text(raw)
	if !ok {
		return texts(raw)
	}
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), true
}

// numericDate reads seconds since 1970, whole or not. What is no finite number
// or lies after the year 9999 (milliseconds, as a rule) is refused. Of the JSON
// that raw is, ParseFloat reads numbers alone.
func numericDate(raw string) (date, bool) {
	if raw == "" {
		return date{}, true
	}
	const limit = 253402300799 // 9999-12-31T23:59:59Z
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.Abs(f) > limit {
		return date{}, false
	}
	whole, part := math.Modf(f)
	return date{Time: time.Unix(int64(whole), int64(part*1e9)), set: true}, true
}

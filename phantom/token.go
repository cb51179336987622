package phantom

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// A Token is what an opaque token stands for. It is a value, safe for concurrent
// use; nothing done with it changes another's. The zero Token is empty. Its
// formatted and JSON forms say nothing about it.
type Token struct{ g *grant }

// grant is the immutable content of a Token.
type grant struct {
	bearer   string // "Bearer " and the JWT, or empty
	claims   string // JSON object; empty when they are the JWT's payload
	subject  string
	client   string
	scope    string // space-delimited, RFC 6749 section 3.3
	audience []string
	expires  int64 // Unix seconds, 0 when not known
}

const bearerPrefix = "Bearer "

// JWT is the compact JWS for the next handler, or empty if the answer was claims
// only and there is no Config.Mint.
func (t Token) JWT() string {
	if t.g == nil {
		return ""
	}
	return t.g.jwt()
}

// Subject is the sub claim, or empty.
func (t Token) Subject() string {
	if t.g == nil {
		return ""
	}
	return t.g.subject
}

// ClientID is the client_id claim, in its absence azp, or empty.
func (t Token) ClientID() string {
	if t.g == nil {
		return ""
	}
	return t.g.client
}

// Expires is the exp claim, or the zero time. If answer and JWT both have one it
// is the earlier.
func (t Token) Expires() time.Time {
	if t.g == nil || t.g.expires == 0 {
		return time.Time{}
	}
	return time.Unix(t.g.expires, 0)
}

// HasScope reports whether the token was granted the scope s (RFC 6749 section
// 3.3, compared exactly).
func (t Token) HasScope(s string) bool { return t.g != nil && t.g.hasScope(s) }

// Decode stores the claims in v as json.Unmarshal does, errors included: those of
// the server's JWT if it gave one, otherwise those of its answer.
func (t Token) Decode(v any) error {
	if t.g == nil {
		return errors.New("phantom: an empty token has no claims")
	}
	claims := []byte(t.g.claims)
	if len(claims) == 0 {
		_, rest, _ := strings.Cut(t.g.jwt(), ".")
		payload, _, _ := strings.Cut(rest, ".")
		var err error
		if claims, err = base64.RawURLEncoding.DecodeString(payload); err != nil {
			return errors.New("phantom: the token's claims are not base64url")
		}
	}
	if json.Unmarshal(claims, v) != nil { // the error may quote a claim
		return errors.New("phantom: the token's claims do not fit the value")
	}
	return nil
}

const concealed = "phantom.Token(concealed)"

// String says nothing of the token.
func (t Token) String() string { return concealed }

// Format says nothing of the token, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, concealed) }

// LogValue says nothing of the token.
func (t Token) LogValue() slog.Value { return slog.StringValue(concealed) }

// MarshalText says nothing of the token; it makes the JSON form, too. It never
// fails.
func (t Token) MarshalText() ([]byte, error) { return []byte(concealed), nil }

func (g *grant) expired(now time.Time) bool { return g.expires != 0 && now.Unix() >= g.expires }

func (g *grant) jwt() string { return strings.TrimPrefix(g.bearer, bearerPrefix) }

func (g *grant) hasScope(s string) bool {
	if s == "" {
		return false
	}
	for rest := g.scope; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, " ")
		if one == s {
			return true
		}
	}
	return false
}

type contextKey struct{}

// FromContext is the token that Handler put into a request's context.
func FromContext(ctx context.Context) (Token, bool) {
	t, ok := ctx.Value(contextKey{}).(Token)
	return t, ok
}

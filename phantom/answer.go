package phantom

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// A reader makes a grant of the server's answer.
type reader struct{ cfg *Config }

// read goes strictly by the Content-Type. That a token is not active may be said
// in JSON even by a server asked for something else only.
func (rd reader) read(ctx context.Context, r reply) (*grant, error) {
	listed := slices.Contains(rd.cfg.Accept, r.format)
	switch {
	case r.empty:
		return nil, ErrInactive
	case r.format == JSON:
		return rd.readJSON(ctx, r.body, listed)
	case r.format == JWT && listed:
		return rd.readJWT(ctx, strings.TrimRight(string(r.body), " \t\r\n"))
	case r.format == Introspection && listed:
		return rd.readIntrospection(ctx, strings.TrimRight(string(r.body), " \t\r\n"))
	}
	return nil, unusable("a Content-Type not asked for")
}

func (rd reader) readJWT(ctx context.Context, jwt string) (*grant, error) {
	g, err := grantOfJWT(jwt)
	if err != nil {
		return nil, unusable("not a compact JWS with claims")
	}
	return g, rd.verify(ctx, jwt)
}

func (rd reader) verify(ctx context.Context, jwt string) error {
	if rd.cfg.Verify == nil {
		return nil
	}
	if err := rd.cfg.Verify(ctx, jwt); err != nil {
		return judge(err, unusable("Verify refuses the JWT"))
	}
	return nil
}

// readIntrospection is RFC 9701 section 5: the claims are those of one member,
// and what is around it is about the answer.
func (rd reader) readIntrospection(ctx context.Context, jwt string) (*grant, error) {
	parsed, err := parseJWS(jwt)
	if err != nil || parsed.typ != "" && !isIntrospectionType(parsed.typ) {
		return nil, unusable("not a signed introspection response")
	}
	payload, err := rd.cfg.VerifyResponse(ctx, jwt)
	if err != nil {
		return nil, judge(err, unusable("VerifyResponse refuses the answer"))
	}
	members, err := parseObject(payload)
	if err != nil {
		return nil, unusable("bad claims")
	}
	return rd.readJSON(ctx, members["token_introspection"], true)
}

// isIntrospectionType compares as RFC 7515 section 4.1.9 says.
func isIntrospectionType(typ string) bool {
	return strings.EqualFold(strings.TrimPrefix(strings.ToLower(typ), "application/"), "token-introspection+jwt")
}

func (rd reader) readJSON(ctx context.Context, body []byte, listed bool) (*grant, error) {
	members, err := parseObject(body)
	if err != nil {
		return nil, unusable("not a JSON object of distinct members")
	}
	switch string(members["active"]) {
	case "false":
		return nil, ErrInactive
	case "true":
	default:
		return nil, unusable("active is not a boolean")
	}
	if !listed {
		return nil, unusable("a Content-Type not asked for")
	}
	jwt, err := embedded(members)
	if err != nil {
		return nil, unusable("bad phantom_token or jwt")
	}
	g, err := grantOf(members)
	if err != nil {
		return nil, unusable("bad claims")
	}
	if jwt != "" {
		return rd.join(ctx, g, jwt)
	}
	g.claims = string(body)
	return rd.mint(ctx, g)
}

// embedded is the JWT inside an RFC 7662 answer, under either name.
func embedded(members object) (jwt string, err error) {
	for _, name := range [...]string{"phantom_token", "jwt"} {
		if !members.has(name) {
			continue
		}
		s, _ := members.text(name) // empty if it is no string
		if s == "" || jwt != "" && s != jwt {
			return "", errClaim
		}
		jwt = s
	}
	return jwt, nil
}

// join adds to what the answer says what only its JWT says. The earlier exp counts.
func (rd reader) join(ctx context.Context, g *grant, jwt string) (*grant, error) {
	inner, err := rd.readJWT(ctx, jwt)
	if err != nil {
		return nil, err
	}
	if g.subject != "" {
		inner.subject = g.subject
	}
	if g.client != "" {
		inner.client = g.client
	}
	if g.scope != "" {
		inner.scope = g.scope
	}
	if g.audience != nil {
		inner.audience = g.audience
	}
	inner.expires = earlier(g.expires, inner.expires)
	return inner, nil
}

// mint makes the JWT of an answer that has none.
func (rd reader) mint(ctx context.Context, g *grant) (*grant, error) {
	if rd.cfg.Mint == nil {
		return g, nil
	}
	jwt, err := rd.cfg.Mint(ctx, json.RawMessage(g.claims))
	if err != nil {
		return nil, judge(err, unusable("Mint failed"))
	}
	minted, err := grantOfJWT(jwt)
	if err != nil || len(jwt) > maxAnswer {
		return nil, unusable("Mint made no compact JWS with claims")
	}
	g.bearer = minted.bearer
	g.expires = earlier(g.expires, minted.expires)
	return g, nil
}

// earlier is the smaller of two dates, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func grantOfJWT(jwt string) (*grant, error) {
	parsed, err := parseJWS(jwt)
	if err != nil {
		return nil, err
	}
	members, err := parseObject(parsed.payload)
	if err != nil {
		return nil, err
	}
	g, err := grantOf(members)
	if err != nil {
		return nil, err
	}
	g.bearer = bearerPrefix + jwt
	return g, nil
}

// grantOf reads the claims that matter here; RFC 7662 section 2.2 and RFC 9068
// section 2.2 call them alike. A scope may also be an array of strings, as some
// servers write it.
func grantOf(members object) (*grant, error) {
	var g grant
	var err error
	if g.subject, err = members.text("sub"); err != nil {
		return nil, err
	}
	if g.client, err = members.text("client_id"); err != nil {
		return nil, err
	}
	if g.client == "" {
		if g.client, err = members.text("azp"); err != nil {
			return nil, err
		}
	}
	scopes, err := members.texts("scope")
	if err != nil {
		return nil, err
	}
	g.scope = strings.Join(scopes, " ")
	if g.audience, err = members.texts("aud"); err != nil {
		return nil, err
	}
	g.expires, err = members.date("exp")
	return &g, err
}

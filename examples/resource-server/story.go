package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// story calls the API and remembers the first answer that was wrong.
type story struct {
	ctx context.Context
	out io.Writer
	api string
	*issuers
	err error
}

// call is one request and the status it must get.
type call struct {
	what   string
	method string
	header http.Header
	want   int
}

func (s *story) say(title string, calls ...call) {
	_, _ = fmt.Fprintf(s.out, "\n%s\n", title)
	for _, c := range calls {
		status, told, err := s.do(c)
		if err == nil && status != c.want {
			err = fmt.Errorf("%s: answered %d, not %d", c.what, status, c.want)
		}
		if s.err == nil {
			s.err = err
		}
		_, _ = fmt.Fprintf(s.out, "  %-44s %d  %s\n", c.what, status, told)
	}
}

// do returns the status and what the answer tells the client.
func (s *story) do(c call) (status int, told string, err error) {
	req, err := http.NewRequestWithContext(s.ctx, c.method, s.api+"/orders", nil)
	if err != nil {
		return 0, "", err
	}
	req.Header = c.header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if challenge := res.Header.Get("WWW-Authenticate"); challenge != "" {
		return res.StatusCode, challenge, err
	}
	return res.StatusCode, strings.TrimSpace(string(body)), err
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// mobileToken is an access token of the EdDSA issuer.
func (s *story) mobileToken(change map[string]any) string {
	claims := s.mobile.Claims(audience)
	claims["scope"] = "orders:read orders:write"
	maps.Copy(claims, change)
	return s.mobile.Sign(claims)
}

// partnerToken is an access token of the RS256 issuer.
func (s *story) partnerToken(scope string) string {
	claims := s.partner.Claims(audience)
	claims["scope"] = scope
	return s.partner.SignWith(s.partner.Keys()[0], map[string]any{"typ": "JWT"}, claims)
}

func (s *story) twoIssuers() {
	s.say("Two issuers, one subject each of the same name:",
		call{"EdDSA, at+jwt", "GET", bearer(s.mobileToken(nil)), 200},
		call{"RS256, JWT", "GET", bearer(s.partnerToken("orders:read")), 200},
		call{"EdDSA, writing", "POST", bearer(s.mobileToken(nil)), 200},
	)
}

func (s *story) refusals() {
	good := s.mobileToken(nil)
	s.say("What is refused says no more than the client needs:",
		call{"no token", "GET", http.Header{}, 401},
		call{"expired", "GET", bearer(s.mobileToken(map[string]any{"exp": 1})), 401},
		call{"for another API", "GET", bearer(s.mobileToken(map[string]any{"aud": "https://other.example"})), 401},
		call{"a claim changed after signing", "GET", bearer(strings.Replace(good, ".", ".e", 1)), 401},
		call{"signed by the other issuer's key", "GET", bearer(s.mobile.SignWith(s.partner.Keys()[0], nil, s.mobile.Claims(audience))), 401},
		call{"bound to a DPoP key", "GET", bearer(s.mobileToken(map[string]any{"cnf": map[string]any{"jkt": "x"}})), 401},
		call{"without the scope", "POST", bearer(s.mobileToken(map[string]any{"scope": "orders:read"})), 403},
		call{"a scope that partners may not have", "POST", bearer(s.partnerToken("orders:write")), 403},
		call{"two Authorization headers", "GET", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, 400},
	)
}

func (s *story) cookie() {
	cookie := func(site string) http.Header {
		h := http.Header{"Cookie": {"authorization=" + s.mobileToken(nil)}}
		if site != "" {
			h.Set("Sec-Fetch-Site", site)
		}
		return h
	}
	s.say("The token in a cookie:",
		call{"reading", "GET", cookie(""), 200},
		call{"writing from the same origin", "POST", cookie("same-origin"), 200},
		call{"writing from another site", "POST", cookie("cross-site"), 403},
	)
}

func (s *story) rotation() {
	before := s.partner.Fetches()
	old := s.partnerToken("orders:read")
	s.partner.Rotate("RS256")
	s.say("The partner rotates its keys:",
		call{"a token of the new key", "GET", bearer(s.partnerToken("orders:read")), 200},
		call{"a token of the removed key", "GET", bearer(old), 401},
	)
	s.note("fetches of the partner's keys for it", s.partner.Fetches()-before <= 2)
}

func (s *story) outage() {
	s.partner.Fail(500)
	s.say("The partner's key endpoint fails:",
		call{"a token of a known key", "GET", bearer(s.partnerToken("orders:read")), 200},
	)
	s.partner.Rotate("RS256")
	s.say("and it signs with a key that cannot be fetched:",
		call{"a token of the unknown key", "GET", bearer(s.partnerToken("orders:read")), 503},
		call{"the other issuer meanwhile", "GET", bearer(s.mobileToken(nil)), 200},
	)
}

func (s *story) note(what string, ok bool) {
	if !ok && s.err == nil {
		s.err = fmt.Errorf("%s: too many", what)
	}
	_, _ = fmt.Fprintf(s.out, "  %-44s %v\n", what+": at most two", ok)
}

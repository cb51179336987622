package vault

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// verdict is what a token endpoint's answer means for the grant.
type verdict int

const (
	granted      verdict = iota // RFC 6749 section 5.1: an access token
	invalidGrant                // section 5.2: the refresh token (or code) is invalid, expired or revoked
	refused                     // certainly no token, and the grant may be as good as before: 429, 5xx, another error, never sent
	unanswered                  // sent, and a token may exist that nobody knows
)

// outcome is a verdict with what came along.
type outcome struct {
	verdict verdict
	answer  answer
	reason  string        // unless granted; without text from upstream
	after   time.Duration // Retry-After, when refused
	cause   error
}

// err is the outcome as ErrUnavailable.
func (o outcome) err(after time.Duration) error { return unavailable(o.reason, after, o.cause) }

// judge maps one POST to a verdict.
func judge(r reply, failed *postError, now time.Time) outcome {
	switch {
	case failed != nil && failed.sent:
		return outcome{verdict: unanswered, reason: failed.reason, cause: failed.cause}
	case failed != nil:
		return outcome{verdict: refused, reason: failed.reason, cause: failed.cause}
	case r.status == http.StatusTooManyRequests, r.status >= 500, r.status < 200, r.status >= 300 && r.status < 400:
		reason := "the authorization server answered with status " + strconv.Itoa(r.status)
		return outcome{verdict: refused, reason: reason, after: retryAfter(r.header, now)}
	}
	a, ok := parseAnswer(r)
	code := errorCode(string(a.Error))
	switch {
	case ok && a.Error == "invalid_grant":
		return outcome{verdict: invalidGrant, reason: "the authorization server answered invalid_grant"}
	case r.status >= 300 || ok && a.Error != "":
		return outcome{verdict: refused, reason: "the authorization server answered " + code, after: retryAfter(r.header, now)}
	case !ok || a.AccessToken == "":
		return outcome{verdict: unanswered, reason: "the authorization server's answer has no readable token"}
	}
	return outcome{verdict: granted, answer: a}
}

// errorCode returns a code that is known, since an unknown one is text from
// upstream (RFC 6749 section 5.2, RFC 8707 section 2, RFC 7009 section 2.2.1).
func errorCode(code string) string {
	known := []string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "invalid_target", "unsupported_token_type",
	}
	if slices.Contains(known, code) {
		return code
	}
	return "an error"
}

// answer is a token endpoint's answer, error or not. A member of another type
// than expected counts as absent: it is no reason to lose a refresh token that
// stands beside it.
type answer struct {
	AccessToken      text    `json:"access_token"`
	TokenType        text    `json:"token_type"`
	RefreshToken     text    `json:"refresh_token"`
	IDToken          text    `json:"id_token"`
	Scope            scopes  `json:"scope"`
	ExpiresIn        seconds `json:"expires_in"`
	RefreshExpiresIn seconds `json:"refresh_expires_in"`
	Error            text    `json:"error"`
}

// parseAnswer reads JSON, or the form encoding that some servers still use.
func parseAnswer(r reply) (a answer, ok bool) {
	if r.truncated {
		return answer{}, false
	}
	media, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if media == "application/x-www-form-urlencoded" || media == "text/plain" && !looksLikeJSON(r.body) {
		form, err := url.ParseQuery(string(r.body))
		return fromForm(form), err == nil
	}
	if json.Unmarshal(r.body, &a) != nil {
		return answer{}, false
	}
	return a, true
}

func looksLikeJSON(b []byte) bool { return strings.HasPrefix(strings.TrimSpace(string(b)), "{") }

func fromForm(form url.Values) answer {
	get := func(name string) text { return text(form.Get(name)) }
	return answer{
		AccessToken: get("access_token"), TokenType: get("token_type"), RefreshToken: get("refresh_token"),
		IDToken: get("id_token"), Scope: strings.Fields(form.Get("scope")), Error: get("error"),
		ExpiresIn: parseSeconds(form.Get("expires_in")), RefreshExpiresIn: parseSeconds(form.Get("refresh_expires_in")),
	}
}

type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// scopes is a space-separated list (RFC 6749 section 3.3); some servers answer
// with an array.
type scopes []string

func (s *scopes) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) != nil {
		var line text
		_ = line.UnmarshalJSON(b)
		list = strings.Fields(string(line))
	}
	*s = list
	return nil
}

// seconds is a lifetime as servers write it: a number, or one in a string.
type seconds time.Duration

func (s *seconds) UnmarshalJSON(b []byte) error {
	*s = parseSeconds(strings.Trim(string(b), `"`))
	return nil
}

func parseSeconds(number string) seconds {
	const century = 100 * 365 * 24 * 3600
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) {
		return 0
	}
	return seconds(min(n, century) * float64(time.Second))
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3), an hour at most.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = time.Hour
	value := h.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, most)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(at.Sub(now), most))
	}
	return 0
}

// next returns g with the tokens of a: what the answer leaves out stays as it
// was (RFC 6749 sections 5.1 and 6).
func (g *grant) next(a answer, now time.Time, p *provider) *grant {
	n := *g
	n.Generation++
	n.Access, n.TokenType = string(a.AccessToken), string(a.TokenType)
	if a.RefreshToken != "" {
		n.Refresh = string(a.RefreshToken)
	}
	if a.IDToken != "" {
		n.IDToken = string(a.IDToken)
	}
	if len(a.Scope) > 0 {
		n.Scopes = a.Scope
	}
	n.Issued, n.AccessExpires = microseconds(now), time.Time{}
	if a.ExpiresIn > 0 {
		n.AccessExpires = microseconds(now.Add(time.Duration(a.ExpiresIn)))
	}
	n.extend(now, time.Duration(a.RefreshExpiresIn), p.lifetime)
	return &n
}

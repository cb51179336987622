package vault

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is no JSON answer, and what is one only in part.
func TestJudge_ByContentTypeAndStatus(t *testing.T) {
	t.Parallel()
	const form, plain, object = "application/x-www-form-urlencoded", "text/plain", "application/json"
	for rule, c := range map[string]struct {
		status      int
		media, body string
		want        verdict
		reason      string
	}{
		"a form":                              {200, form, "access_token=a", granted, ""},
		"a form as plain text":                {200, plain, "access_token=a", granted, ""},
		"JSON as plain text":                  {200, plain, ` {"access_token":"a"}`, granted, ""},
		"a form as JSON":                      {200, object, "access_token=a", unanswered, ""},
		"a form that does not parse":          {200, form, "access_token=a&%zz", unanswered, ""},
		"with an error":                       {200, form, "access_token=a&error=invalid_request&%zz", unanswered, ""},
		"with invalid_grant":                  {400, form, "error=invalid_grant&%zz", refused, ""},
		"invalid_grant in a form":             {400, form, "error=invalid_grant", invalidGrant, ""},
		"an informational status":             {101, object, `{"access_token":"a"}`, refused, ""},
		"a choice of answers":                 {300, object, `{"error":"invalid_grant"}`, refused, ""},
		"a redirect":                          {307, object, `{"error":"invalid_grant"}`, refused, ""},
		"the last success":                    {299, object, `{"access_token":"a"}`, granted, ""},
		"a known error is named":              {400, object, `{"error":"invalid_client"}`, refused, "the authorization server answered invalid_client"},
		"an unknown one is text from outside": {400, object, `{"error":"token abc is bad"}`, refused, "the authorization server answered an error"},
		"an array":                            {200, object, `[]`, unanswered, ""},
	} {
		o := judge(reply{status: c.status, header: http.Header{"Content-Type": {c.media}}, body: []byte(c.body)}, nil, time.Now())
		require.Equal(t, c.want, o.verdict, rule)
		if c.reason != "" {
			require.Equal(t, c.reason, o.reason, rule)
		}
	}
	for body, want := range map[string]scopes{`["a","b"]`: {"a", "b"}, `"a b"`: {"a", "b"}, `7`: {}, `["a",7]`: {}} {
		a, ok := parseAnswer(reply{header: http.Header{}, body: []byte(`{"scope":` + body + `}`)})
		require.True(t, ok)
		require.ElementsMatch(t, want, a.Scope, body)
	}
}

// RFC 6750 section 2.1, and nothing that could end a header.
func TestVisible(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "!~", "a.b-c_d~e+f/g=="} {
		require.True(t, visible(s), "%q", s)
	}
	for _, s := range []string{"a b", " a", "a\n", "a\r", "a\x00", "a\x7f", "ä", "a\x80"} {
		require.False(t, visible(s), "%q", s)
	}
}

package vault

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	sooner, later := now.Add(-time.Microsecond), now.Add(time.Microsecond)
	for rule, c := range map[string]struct {
		row  Row
		want step
	}{
		"a later generation is used":                     {Row{Generation: 8, Holder: "h", LeaseUntil: later, NotBefore: later}, use},
		"a free row is taken":                            {Row{Generation: 7}, take},
		"an earlier generation is refreshed too":         {Row{Generation: 6}, take},
		"a live lease is waited for":                     {Row{Generation: 7, Holder: "h", LeaseUntil: later}, wait},
		"a lease that ends now has lapsed":               {Row{Generation: 7, Holder: "h", LeaseUntil: now}, take},
		"a lapsed lease is taken over":                   {Row{Generation: 7, Holder: "h", LeaseUntil: sooner, Intent: sooner}, take},
		"a released row has no lease":                    {Row{Generation: 7, LeaseUntil: later}, take},
		"not-before holds":                               {Row{Generation: 7, NotBefore: later}, pause},
		"not-before holds after a lapsed lease":          {Row{Generation: 7, Holder: "h", LeaseUntil: sooner, NotBefore: later}, pause},
		"not-before has passed":                          {Row{Generation: 7, NotBefore: now}, take},
		"a holder under way comes before its not-before": {Row{Generation: 7, Holder: "h", LeaseUntil: later, NotBefore: later.Add(1)}, wait},
	} {
		c.row.Now = now
		require.Equal(t, c.want, nextStep(c.row, 7), rule)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	ok := `{"access_token":"a"}`
	for rule, c := range map[string]struct {
		status int
		body   string
		failed *postError
		want   verdict
	}{
		"200 with a token":                       {200, ok, nil, granted},
		"201 with a token":                       {201, ok, nil, granted},
		"200 with a member of another type":      {200, `{"access_token":"a","scope":7,"expires_in":[],"refresh_token":{}}`, nil, granted},
		"200 with invalid_grant":                 {200, `{"error":"invalid_grant"}`, nil, invalidGrant},
		"200 with another error":                 {200, `{"error":"bad_refresh_token"}`, nil, refused},
		"200 with a token and an error":          {200, `{"access_token":"a","error":"invalid_request"}`, nil, refused},
		"200 without token":                      {200, `{}`, nil, unanswered},
		"200 that is not JSON":                   {200, `<html>`, nil, unanswered},
		"204":                                    {204, ``, nil, unanswered},
		"400 invalid_grant":                      {400, `{"error":"invalid_grant"}`, nil, invalidGrant},
		"400 invalid_grant in another case":      {400, `{"error":"Invalid_Grant"}`, nil, refused},
		"400 invalid_client":                     {400, `{"error":"invalid_client"}`, nil, refused},
		"400 with a token":                       {400, ok, nil, refused},
		"400 that is not JSON":                   {400, `invalid_grant`, nil, refused},
		"400 truncated":                          {400, `{"error":"invalid_grant`, nil, refused},
		"429 invalid_grant":                      {429, `{"error":"invalid_grant"}`, nil, refused},
		"500 invalid_grant":                      {500, `{"error":"invalid_grant"}`, nil, refused},
		"307 with a token":                       {307, ok, nil, refused},
		"sent, no answer":                        {0, "", &postError{sent: true}, unanswered},
		"never sent":                             {0, "", &postError{}, refused},
		"an error that is an object":             {400, `{"error":{"message":"invalid_grant"}}`, nil, refused},
		"invalid_grant beside the wrong members": {400, `{"error":"invalid_grant","error_description":7,"expires_in":"soon"}`, nil, invalidGrant},
	} {
		r := reply{status: c.status, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(c.body)}
		o := judge(r, c.failed, time.Now())
		require.Equal(t, c.want, o.verdict, rule)
		if c.want != granted && c.failed == nil {
			require.NotEmpty(t, o.reason, rule)
		}
	}
	truncated := judge(reply{status: 200, body: []byte(ok), truncated: true, header: http.Header{}}, nil, time.Now())
	require.Equal(t, unanswered, truncated.verdict, "more than is read")
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-5": 0, "1e9": 0, "99999": time.Hour, "soon": 0, "99999999999999999999": 0,
		"Tue, 01 Jan 2030 00:01:00 GMT": time.Minute, "Tue, 01 Jan 2030 09:00:00 GMT": time.Hour, "Mon, 31 Dec 2029 00:00:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"60": time.Minute, "60.5": 60500 * time.Millisecond, "0": 0, "-1": 0, "NaN": 0, "": 0, "null": 0, "x": 0,
		"1e300": 100 * 365 * 24 * time.Hour, "Inf": 100 * 365 * 24 * time.Hour,
	} {
		require.Equal(t, seconds(want), parseSeconds(text), text)
	}
}

func TestLeaseIsAsPromised(t *testing.T) {
	t.Parallel()
	d := vaulttiming.Default()
	require.Equal(t, 8*time.Second, d.HTTP)
	require.Equal(t, 5*time.Second, d.Save)
	require.Equal(t, 15*time.Second, d.Lease())
	require.Equal(t, 50*time.Millisecond, d.PollMin)
	require.Equal(t, 250*time.Millisecond, d.PollMax)
}

func TestFormBody_IsNotReadAfterTheDeadline(t *testing.T) {
	t.Parallel()
	b := &formBody{form: strings.NewReader("refresh_token=x"), deadline: time.Now().Add(-time.Nanosecond)}
	n, err := b.Read(make([]byte, 100))
	require.Zero(t, n)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.False(t, b.read.Load())
	// A machine that was suspended has a wall clock past the deadline and a
	// monotonic clock that is not.
	require.True(t, passed(time.Now().Add(-time.Hour).Round(0)))
	require.False(t, passed(time.Now().Add(time.Hour)))
}

func TestRetryError_FindsItsCauseWithoutPrintingIt(t *testing.T) {
	t.Parallel()
	err := unavailable("reason", 0, errors.Join(context.Canceled, errors.New("upstream text")))
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrReauthorize)
	require.EqualError(t, err, "vault: temporarily unavailable: reason")
}

// The answer's parser meets bytes from a server that may be hostile.
func FuzzJudge(f *testing.F) {
	for _, body := range []string{`{"access_token":"a","expires_in":"60","scope":["a"]}`, `{"error":"invalid_grant"}`, `access_token=a&scope=b`, `{`, ``} {
		for _, media := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain", ";"} {
			f.Add(200, media, body)
			f.Add(400, media, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, media, body string) {
		o := judge(reply{status: status, header: http.Header{"Content-Type": {media}}, body: []byte(body)}, nil, time.Now())
		if (o.verdict == granted) != (o.answer.AccessToken != "") {
			t.Fatalf("verdict %d with an access token of %d bytes", o.verdict, len(o.answer.AccessToken))
		}
		if o.verdict == granted && status/100 != 2 || o.verdict == invalidGrant && status >= 500 {
			t.Fatalf("verdict %d for status %d", o.verdict, status)
		}
		if len(body) > 8 && strings.Contains(o.reason, body) {
			t.Fatal("the reason quotes the server")
		}
	})
}

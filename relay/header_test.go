package relay

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// A header field is opened as a whole, refused, or left as it is.
func TestHeaderFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"header:Authorization", "header:Proxy-Authorization", "header:X-Api-Key", "cookie:sid"}},
		Destination{Host: "plain.example.com", Open: []string{"path"}})
	const shut = "plain.example.com"
	sealed := r.sealAs(secret, tokenvault.Label{Hosts: []string{host, shut}})
	b64 := base64.StdEncoding.EncodeToString
	unpadded := base64.RawStdEncoding.EncodeToString
	url := base64.RawURLEncoding.EncodeToString
	odd := sealed + ":p"
	for len(odd)%3 == 0 {
		odd += "p"
	}
	slash := sealed + ":"
	for len(slash)%3 != 0 {
		slash += "x"
	}
	slash += "xx?"
	require.Contains(t, b64([]byte(slash)), "/")
	for _, tt := range []struct {
		rule, host, name, value string
		arrives                 string // empty: refused
		err                     error
	}{
		{"several spaces after the scheme", host, "Authorization", "Bearer   " + sealed, "Bearer " + secret, nil},
		{"a word after the value", host, "Authorization", sealed + " more", "", ErrPlace},
		{"a sentence", host, "Authorization", "Bearer xtv1.abc", "Bearer xtv1.abc", nil},
		{"one word that does not begin so", host, "Authorization", "xtv1.abc", "xtv1.abc", nil},
		{"no sealed value", host, "Authorization", "Bearer abc", "Bearer abc", nil},
		{"a word about them", host, "X-Comment", "values begin with tv1. here", "values begin with tv1. here", nil},
		{"a cookie's form in another field", host, "X-Comment", "sid=" + sealed, "", ErrPlace},
		{"Basic without one", host, "Authorization", "Basic " + b64([]byte("u:p")), "Basic " + b64([]byte("u:p")), nil},
		{"Basic without one, where none opens", shut, "Authorization", "Basic " + b64([]byte("u:p")), "Basic " + b64([]byte("u:p")), nil},
		{"Basic that is no base64", host, "Authorization", "Basic !!!", "Basic !!!", nil},
		{"Basic with a damaged password", host, "Authorization", "Basic " + b64([]byte("u:tv1.abc")), "", tokenvault.ErrMalformed},
		{"Basic with a damaged user", host, "Authorization", "Basic " + b64([]byte("tv1.abc:p")), "", tokenvault.ErrMalformed},
		{"Basic with a damaged password, where none opens", shut, "Authorization", "Basic " + b64([]byte("u:tv1.abc")), "", ErrPlace},
		{"Basic without padding would lose its end", host, "Authorization", "Basic " + unpadded([]byte(odd)), "", ErrPlace},
		{"Basic in base64's other alphabet", host, "Authorization", "Basic " + url([]byte(slash)), "", ErrPlace},
		{"Basic with a slash, where none opens", shut, "Authorization", "Basic " + b64([]byte(slash)), "", ErrPlace},
		{"Basic, where none opens", shut, "Authorization", "Basic " + b64([]byte("u:"+sealed)), "", ErrPlace},
		{"half of a proxy's Basic", host, "Proxy-Authorization", "Basic " + b64([]byte("u:"+sealed)), "Basic " + b64([]byte("u:"+secret)), nil},
		{"half of a proxy's Basic, where none opens", shut, "Proxy-Authorization", "Basic " + b64([]byte("u:"+sealed)), "", ErrPlace},
		{"a cookie without a value", host, "Cookie", "sid; sid=" + sealed, "sid; sid=" + secret, nil},
		{"a cookie that is none", host, "Cookie", sealed + "; sid=" + sealed, "", ErrPlace},
	} {
		req := newRequest(t, "GET", "https://"+tt.host+"/", "", "")
		req.Header.Set(tt.name, tt.value)
		if tt.arrives == "" {
			r.refused(tt.err, req)
			continue
		}
		before := len(r.requests())
		_, _, err := r.do(req)
		require.NoError(t, err, tt.rule)
		require.Equal(t, tt.arrives, r.requests()[before].Header.Get(tt.name), tt.rule)
	}
}

func TestEveryValueOfAFieldIsOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t, Destination{Host: host, Open: []string{"header:X-Api-Key"}})
	req := newRequest(t, "GET", "https://"+host+"/", "", "")
	req.Header["X-Api-Key"] = []string{r.seal("first secret"), "plain", r.seal("second secret")}
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, []string{"first secret", "plain", "second secret"}, r.only().Header.Values("X-Api-Key"))
}

func TestDigestsOfABodyThatStaysStay(t *testing.T) {
	t.Parallel()
	r := bodyRig(t, false)
	req := newRequest(t, "POST", "https://"+host+"/", formType, "k=v")
	req.Header.Set("Content-Digest", "sha-256=:x:")
	_, _, err := r.do(req)
	require.NoError(t, err)
	require.Equal(t, "sha-256=:x:", r.only().Header.Get("Content-Digest"))
}

func TestARefererThatHoldsNothingStays(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{
		config: Config{Destinations: []Destination{{Host: host}}},
		answer: func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/start" {
				http.Redirect(w, req, "/end", http.StatusFound)
			}
		},
	})
	resp, err := r.client.Get("https://" + host + "/start")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "https://"+host+"/start", r.requests()[1].Header.Get("Referer"))
}

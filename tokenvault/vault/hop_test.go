package vault_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Where the bearer goes depends on scheme and port, as they are dialled.
func TestTransport_HopsAreJudgedByWhatIsDialled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, listed, url, host string
		bearer                  bool
		dialled                 string // URL.Host for the base; empty: an error, nothing sent
	}{
		{"one spelling is dialled", "api.example.com", "https://API.Example.com.:443/", "", true, "api.example.com"},
		{"a Host of another spelling", "api.example.com", "https://api.example.com/", "API.example.com:443", true, "api.example.com"},
		{"a Host that is none", "api.example.com", "https://api.example.com/", "a b", false, ""},
		{"http at its own port", "api.example.com:80", "http://api.example.com/", "", true, "api.example.com"},
		{"http at its own port, said", "api.example.com:80", "http://api.example.com:80/", "", true, "api.example.com:80"},
		{"http at another's port", "api.example.com:80", "http://api.example.com:443/", "", false, "api.example.com:443"},
		{"https is not http's port", "api.example.com:80", "https://api.example.com/", "", false, "api.example.com"},
		{"http at 443 stays there", "api.example.com", "http://api.example.com:443/", "", true, "api.example.com:443"},
		{"another scheme is not judged", "api.example.com", "ftp://api.example.com/", "", false, "api.example.com"},
		{"no host", "api.example.com", "https:///", "", false, ""},
	} {
		f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.Hosts, p.InsecureHTTP = []string{c.listed}, true })
		tok := f.connect("g", "alice", time.Hour)
		u, err := url.Parse(c.url)
		require.NoError(t, err)
		var got *http.Request
		_, err = f.vault.Transport("g", "alice", roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "" {
				return nil, http.ErrMissingFile
			}
			got = r
			return answer(r, 200, nil, ""), nil
		})).RoundTrip(&http.Request{Method: http.MethodGet, URL: u, Host: c.host, Header: http.Header{"Accept": {"text/plain"}}})
		if c.dialled == "" {
			require.Error(t, err, c.rule)
			require.Nil(t, got, c.rule)
			continue
		}
		require.NoError(t, err, c.rule)
		require.Equal(t, c.dialled, got.URL.Host, c.rule)
		require.Equal(t, "text/plain", got.Header.Get("Accept"), c.rule)
		require.Equal(t, c.bearer, got.Header.Get("Authorization") == "Bearer "+tok.AccessToken, c.rule)
		require.Equal(t, c.bearer, got.Header.Get("Authorization") != "", c.rule)
	}
}

// A request to a host that no provider lists needs no grant, and starts nothing.
func TestTransport_OtherHostsNeedNoGrant(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("expired", "alice", -time.Minute)
	for _, id := range []string{"nobody", "expired"} {
		var base counter
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://other.example/", nil)
		require.NoError(t, err)
		_, err = f.vault.Transport(id, "alice", &base).RoundTrip(req)
		require.NoError(t, err)
		require.EqualValues(t, 1, base.n.Load())
	}
	require.Empty(t, f.as.requests)
}

func TestTransport_ARequestWithoutHeadersGetsTheBearer(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tok := f.connect("g", "alice", time.Hour)
	req := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "api.example.com"}}
	_, err := f.vault.Transport("g", "alice", roundTripper(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, http.Header{"Authorization": {"Bearer " + tok.AccessToken}}, r.Header)
		return answer(r, 200, nil, ""), nil
	})).RoundTrip(req)
	require.NoError(t, err)
	require.Nil(t, req.Header)
}

func TestTransport_AnErrorThatQuotesNothingIsItself(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", nil)
	require.NoError(t, err)
	_, err = f.vault.Transport("g", "alice", roundTripper(func(*http.Request) (*http.Response, error) { return nil, errStoreDown })).RoundTrip(req)
	require.ErrorIs(t, err, errStoreDown)
}

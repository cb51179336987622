package vault_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func errTransport(*http.Request) (*http.Response, error) { return nil, errors.New("dial: refused") }

func TestTransport_AttachesTheBearerToTheProvidersHostsOnly(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://api.example.com/":           "yes",
		"https://API.example.com:443/":       "yes",
		"https://api.example.com./":          "yes",
		"https://deep.eu.example.net/":       "yes",
		"https://example.net/":               "no",
		"https://evil.example.com/":          "no",
		"https://api.example.com.evil.test/": "no",
		"https://evilapi.example.com/":       "no",
		"https://api.example.com:8443/":      "no",
		"https://127.0.0.1/":                 "no",
		"http://api.example.com/":            "error",
		"http://api.example.com:443/":        "error",
		"https://user@api.example.com/":      "error",
	} {
		f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.Hosts = []string{"api.example.com", "*.example.net"} })
		tok := f.connect("g", "alice", time.Hour)
		got, sent := "", false
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			got, sent = req.Header.Get("Authorization"), true
			return answer(req, 200, nil, ""), nil
		})
		body := &closer{Reader: strings.NewReader("x")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
		require.NoError(t, err)
		resp, err := f.vault.Transport("g", "alice", base).RoundTrip(req)
		require.Empty(t, req.Header, "the caller's request is not changed")
		switch want {
		case "yes":
			require.NoError(t, err, url)
			require.Equal(t, "Bearer "+tok.AccessToken, got, url)
			require.Same(t, req, resp.Request, "and is what the response tells of")
		case "no":
			require.NoError(t, err, url)
			require.Empty(t, got, url)
		default:
			require.Error(t, err, url)
			require.False(t, sent, url)
			require.True(t, body.closed, url)
		}
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestTransport_RefusesWhatIsCheckedHereAndDialledThere(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	for name, change := range map[string]func(*http.Request){
		"another Host": func(r *http.Request) { r.Host = "evil.example" },
		"opaque":       func(r *http.Request) { r.URL.Opaque = "//evil.example/" },
	} {
		var base counter
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", nil)
		require.NoError(t, err)
		change(req)
		_, err = f.vault.Transport("g", "alice", &base).RoundTrip(req)
		require.Error(t, err, name)
		require.Zero(t, base.n.Load(), name)
	}
}

func TestTransport_ReplacesEveryAuthorizationOfTheCaller(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tok := f.connect("g", "alice", time.Hour)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", nil)
	require.NoError(t, err)
	req.Header["authorization"] = []string{"Basic one"}
	req.Header.Set("Authorization", "Basic two")
	var got http.Header
	_, err = f.vault.Transport("g", "alice", roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return answer(r, 200, nil, ""), nil
	})).RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.Header{"Authorization": {"Bearer " + tok.AccessToken}}, got)
}

func TestTransport_WithoutAGrantNothingIsSent(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	var base counter
	body := &closer{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/", body)
	require.NoError(t, err)
	_, err = f.vault.Transport("nobody", "alice", &base).RoundTrip(req)
	require.Error(t, err)
	require.Zero(t, base.n.Load())
	require.True(t, body.closed)
}

func TestTransport_TheCallersTraceDoesNotSeeTheToken(t *testing.T) {
	t.Parallel()
	var received string
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { received = r.Header.Get("Authorization") }))
	defer api.Close()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) {
		p.Hosts, p.InsecureHTTP = []string{strings.TrimPrefix(api.URL, "http://")}, true
	})
	tok := f.connect("g", "alice", time.Hour)
	fields, gotConn := 0, false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { fields++ },
		GotConn:          func(httptrace.GotConnInfo) { gotConn = true },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: f.vault.Transport("g", "alice", nil)}).Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, "Bearer "+tok.AccessToken, received)
	require.Zero(t, fields)
	require.True(t, gotConn, "the other hooks stay")
	require.Empty(t, resp.Request.Header.Get("Authorization"))
}

func TestTransport_AnErrorThatQuotesTheTokenIsReplaced(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tok := f.connect("g", "alice", time.Hour)
	client := &http.Client{Transport: f.vault.Transport("g", "alice", roundTripper(func(r *http.Request) (*http.Response, error) {
		return nil, errors.New("cannot send " + r.Header.Get("Authorization"))
	}))}
	_, err := client.Get("https://api.example.com/")
	require.Error(t, err)
	require.NotContains(t, err.Error(), tok.AccessToken)
}

func TestTokenSource_SealedForTheProvidersHostsAndTheOwner(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.Hosts = []string{"API.example.com", "*.example.net"} })
	tok := f.connect("g", "alice", time.Hour)
	got, err := f.vault.TokenSource(t.Context(), "g", "alice").Token()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(got.AccessToken, tokenvault.Prefix))
	require.Empty(t, got.RefreshToken)
	require.Equal(t, "Bearer", got.Type())
	require.WithinDuration(t, tok.Expiry, got.Expiry, time.Millisecond)
	header, err := tokenvault.Inspect(got.AccessToken)
	require.NoError(t, err)
	require.Equal(t, []string{"api.example.com", "*.example.net"}, header.Label.Hosts)
	require.Equal(t, "alice", header.Label.Subject)
	require.Empty(t, header.Label.Purpose, "a value for the relay")
	require.WithinDuration(t, tok.Expiry, header.Label.Expires, time.Second)
	plaintext, _, err := f.ring.Open(t.Context(), got.AccessToken, tokenvault.Use{Host: "api.example.com", Subject: "alice"})
	require.NoError(t, err)
	require.Equal(t, tok.AccessToken, string(plaintext))
}

func TestTokenSource_InTheLastSecondOfAToken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", 900*time.Millisecond)
	_, err := f.vault.TokenSource(t.Context(), "g", "alice").Token()
	require.NoError(t, err)
}

func TestTokenSource_KeepsToItsContext(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", -time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.vault.TokenSource(ctx, "g", "alice").Token()
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, f.as.requests)
}

func TestARowIsNeverABearerToken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", time.Hour)
	_, _, err := f.ring.Open(t.Context(), f.row("g").Blob, tokenvault.Use{Subject: "alice"})
	require.ErrorIs(t, err, tokenvault.ErrLabel)
	_, _, err = f.ring.Open(t.Context(), f.row("g").Blob, tokenvault.Use{Host: "api.example.com", Subject: "alice", Purpose: "tv-grant"})
	require.ErrorIs(t, err, tokenvault.ErrLabel)
}

func TestTransport_AnotherProvidersHostGetsNoBearer(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *vault.Config, _ *vault.Provider) {
		other := provider(newServer())
		other.Name, other.Hosts = "other", []string{"api.other.example"}
		c.Providers = append(c.Providers, other)
	})
	f.connect("g", "alice", time.Hour)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.other.example/", nil)
	require.NoError(t, err)
	sent := false
	_, err = f.vault.Transport("g", "alice", roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = true
		require.Empty(t, r.Header)
		return answer(r, 200, nil, ""), nil
	})).RoundTrip(req)
	require.NoError(t, err)
	require.True(t, sent)
}

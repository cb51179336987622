package vault_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestNew_ErrorsNameFieldAndIndex(t *testing.T) {
	t.Parallel()
	noAuth := func(context.Context, string, http.Header, url.Values) error { return nil }
	for want, change := range map[string]func(*vault.Config, *vault.Provider){
		"vault: Config.Sealer is nil":                                                              func(c *vault.Config, _ *vault.Provider) { c.Sealer = nil },
		"vault: Config.Providers is empty":                                                         func(c *vault.Config, _ *vault.Provider) { c.Providers = nil },
		"vault: Config.RefreshBefore is negative":                                                  func(c *vault.Config, _ *vault.Provider) { c.RefreshBefore = -1 },
		"vault: Config.Providers[1] is nil":                                                        func(c *vault.Config, _ *vault.Provider) { c.Providers[1] = nil },
		"vault: Config.Providers[1].Name: empty, too long or not UTF-8":                            func(_ *vault.Config, p *vault.Provider) { p.Name = "" },
		"vault: Config.Providers[1].Name is that of an earlier provider":                           func(_ *vault.Config, p *vault.Provider) { p.Name = "as" },
		"vault: Config.Providers[1].OAuth2 is nil":                                                 func(_ *vault.Config, p *vault.Provider) { p.OAuth2 = nil },
		"vault: Config.Providers[1].OAuth2.ClientID is empty":                                      func(_ *vault.Config, p *vault.Provider) { p.OAuth2.ClientID = "" },
		"vault: Config.Providers[1].OAuth2.Endpoint.TokenURL is empty":                             func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "" },
		"vault: Config.Providers[1].OAuth2.Endpoint.TokenURL is not an absolute URL":               func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "/token" },
		"vault: Config.Providers[1].OAuth2.Endpoint.TokenURL is http; https, or InsecureHTTP":      func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "http://as.example.com/" },
		"vault: Config.Providers[1].OAuth2.Endpoint.TokenURL is not https":                         func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "ftp://as.example.com/" },
		"vault: Config.Providers[1].OAuth2.Endpoint.TokenURL has a fragment":                       func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "https://as.example.com/#x" },
		"vault: Config.Providers[1].OAuth2.Endpoint.TokenURL holds user information":               func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.TokenURL = "https://u:p@as.example.com/" },
		"vault: Config.Providers[1].OAuth2.Endpoint.AuthURL is http; https, or InsecureHTTP":       func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.AuthURL = "http://as.example.com/" },
		"vault: Config.Providers[1].OAuth2.Endpoint.DeviceAuthURL is http; https, or InsecureHTTP": func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.DeviceAuthURL = "http://as.example.com/" },
		"vault: Config.Providers[1].OAuth2.RedirectURL is http; https, or InsecureHTTP":            func(_ *vault.Config, p *vault.Provider) { p.OAuth2.RedirectURL = "http://app.example.com/" },
		"vault: Config.Providers[1].RevocationURL is http; https, or InsecureHTTP":                 func(_ *vault.Config, p *vault.Provider) { p.RevocationURL = "http://as.example.com/" },
		"vault: Config.Providers[1].OAuth2.Endpoint.AuthStyle is unknown":                          func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Endpoint.AuthStyle = 7 },
		"vault: Config.Providers[1].Auth and .OAuth2.ClientSecret exclude each other":              func(_ *vault.Config, p *vault.Provider) { p.Auth = noAuth },
		"vault: Config.Providers[1].Hosts is empty: nowhere may the access tokens go":              func(_ *vault.Config, p *vault.Provider) { p.Hosts = nil },
		"vault: Config.Providers[1].Hosts[1]: pattern covers a public suffix":                      func(_ *vault.Config, p *vault.Provider) { p.Hosts = []string{"a.example.com", "*.com"} },
		"vault: Config.Providers[1].Hosts[0]: names every host":                                    func(_ *vault.Config, p *vault.Provider) { p.Hosts = []string{"*"} },
		"vault: Config.Providers[1].Lifetime is negative":                                          func(_ *vault.Config, p *vault.Provider) { p.Lifetime = -time.Second },
		"vault: Config.Providers[1].StrictScopes needs OAuth2.Scopes":                              func(_ *vault.Config, p *vault.Provider) { p.StrictScopes = true },
	} {
		p := provider(newServer())
		p.Name = "second"
		c := vault.Config{Sealer: newKeys(t, 1).ring(t), Providers: []*vault.Provider{provider(newServer()), p}}
		change(&c, p)
		_, err := vault.New(c)
		require.EqualError(t, err, want)
	}
}

func TestNew_LoopbackAndPrivateSchemesMayBeRedirectedTo(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "http://localhost:8080/cb", "http://127.0.0.1/cb", "http://[::1]:1/cb", "com.example.app:/cb"} {
		p := provider(newServer())
		p.OAuth2.RedirectURL = u
		_, err := vault.New(vault.Config{Sealer: newKeys(t, 1).ring(t), Providers: []*vault.Provider{p}})
		require.NoError(t, err, u)
	}
}

func TestNew_KeepsNothingOfTheCallers(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Scopes, p.StrictScopes = []string{"read"}, true })
	p := f.config.Providers[0]
	p.OAuth2.Scopes[0], p.Hosts[0], p.OAuth2.Endpoint.TokenURL = "admin", "evil.example", "https://evil.example/"
	f.connect("g", "alice", time.Hour)
	require.NoError(t, f.vault.Refresh(t.Context(), "g", "alice"))
	require.Equal(t, "as.example.com", f.as.requests[0].host)
	entries, err := f.vault.List(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, []string{"read"}, entries[0].Scopes)
}

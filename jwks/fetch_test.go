package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/stretchr/testify/require"
)

// site serves an issuer at real addresses, with what a test puts in its way.
func site(t *testing.T, routes map[string]http.HandlerFunc) (*httptest.Server, *jwkstest.Issuer) {
	t.Helper()
	iss := jwkstest.NewIssuer(t)
	mux := http.NewServeMux()
	for path, h := range routes {
		mux.HandleFunc(path, h)
	}
	mux.Handle("/keys", iss)
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	iss.URL = srv.URL
	return srv, iss
}

func discovering(t *testing.T, srv *httptest.Server, iss *jwkstest.Issuer) (*jwks.Verifier, *[]jwks.Event) {
	t.Helper()
	var events []jwks.Event
	v := newVerifier(t, iss, func(c *jwks.Config) {
		c.Client, c.Issuers[0].JWKSURL = srv.Client(), ""
		c.Observe = func(_ context.Context, e jwks.Event) {
			if e.Kind == jwks.EventFetch {
				events = append(events, e)
			}
		}
	})
	return v, &events
}

func document(issuer, jwksURI func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"other":[1]}`, issuer(), jwksURI())
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	for rule, row := range map[string]struct{ path, at string }{
		"RFC 8414":                    {"", "/.well-known/oauth-authorization-server"},
		"RFC 8414 with a path":        {"/tenant", "/.well-known/oauth-authorization-server/tenant"},
		"OpenID Connect":              {"", "/.well-known/openid-configuration"},
		"OpenID Connect with a path":  {"/tenant", "/tenant/.well-known/openid-configuration"},
		"OpenID Connect with a slash": {"/tenant/", "/tenant/.well-known/openid-configuration"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			var iss *jwkstest.Issuer
			var srv *httptest.Server
			srv, iss = site(t, map[string]http.HandlerFunc{
				row.at: func(w http.ResponseWriter, r *http.Request) {
					document(func() string { return iss.URL }, func() string { return srv.URL + "/keys" })(w, r)
				},
			})
			iss.URL += row.path
			v, _ := discovering(t, srv, iss)
			require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
		})
	}
}

func TestDiscoveryRefuses(t *testing.T) {
	t.Parallel()
	for rule, row := range map[string]struct{ issuer, jwksURI, detail string }{
		"another issuer":        {"https://evil.test", "", "names another issuer"},
		"a slash more":          {"/", "", "names another issuer"},
		"keys without TLS":      {"", "http://127.0.0.1/keys", "no metadata"},
		"keys nowhere":          {"", "/keys", "no metadata"},
		"keys in a file":        {"", "file:///etc/passwd", "no metadata"},
		"keys behind user:pass": {"", "https://u:p@127.0.0.1/keys", "no metadata"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			var srv *httptest.Server
			var iss *jwkstest.Issuer
			serve := func(w http.ResponseWriter, r *http.Request) {
				issuer, address := row.issuer, row.jwksURI
				if len(issuer) < 2 {
					issuer = srv.URL + issuer
				}
				if address == "" {
					address = srv.URL + "/keys"
				}
				document(func() string { return issuer }, func() string { return address })(w, r)
			}
			srv, iss = site(t, map[string]http.HandlerFunc{"/.well-known/openid-configuration": serve})
			v, events := discovering(t, srv, iss)
			require.ErrorIs(t, verify(t, v, iss.Sign(iss.Claims(api))), jwks.ErrUnavailable)
			require.NoError(t, v.Close())
			require.Zero(t, iss.Fetches(), "keys that were not to be trusted were not fetched")
			require.Contains(t, (*events)[0].Detail, row.detail)
			require.Equal(t, jwks.ErrUnavailable, (*events)[0].Err)
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("left https") }))
	t.Cleanup(plain.Close)
	for rule, row := range map[string]struct {
		to string
		ok bool
	}{
		"within https":   {"/keys", true},
		"to http":        {plain.URL, false},
		"in a circle":    {"/redirect", false},
		"to another way": {"ftp://127.0.0.1/keys", false},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			srv, iss := site(t, map[string]http.HandlerFunc{"/redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, row.to, http.StatusFound)
			}})
			v := newVerifier(t, iss, func(c *jwks.Config) { c.Client, c.Issuers[0].JWKSURL = srv.Client(), srv.URL+"/redirect" })
			err := verify(t, v, iss.Sign(iss.Claims(api)))
			if row.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.ErrorContains(t, err, "redirect")
		})
	}
}

func TestTheClientsOwnRuleForRedirectsHolds(t *testing.T) {
	t.Parallel()
	srv, iss := site(t, map[string]http.HandlerFunc{"/redirect": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/keys", http.StatusFound)
	}})
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("no redirects here") }
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Client, c.Issuers[0].JWKSURL = client, srv.URL+"/redirect" })
	require.ErrorIs(t, verify(t, v, iss.Sign(iss.Claims(api))), jwks.ErrUnavailable)
	require.Zero(t, iss.Fetches())
}

// What a fetch may bring at most, and what its failure may say.
func TestFetchFailures(t *testing.T) {
	t.Parallel()
	const secret = "body-of-the-issuer"
	for rule, row := range map[string]struct {
		answer http.HandlerFunc
		detail string
	}{
		"over a megabyte": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20+1)) }, "over 1 MiB"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(secret))
		}, "broke off"},
		"status 404":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, 404) }, "not answer 200"},
		"status 204":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "not answer 200"},
		"no JSON":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(secret)) }, "no JWK set"},
		"no keys":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"x":"` + secret + `"}`)) }, "no JWK set"},
		"keys object": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":{}}`)) }, "no JWK set"},
		"keys twice":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[],"keys":[]}`)) }, "no JWK set"},
		"empty":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }, "no usable key"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			srv, iss := site(t, map[string]http.HandlerFunc{"/bad": row.answer})
			v := newVerifier(t, iss, func(c *jwks.Config) { c.Client, c.Issuers[0].JWKSURL = srv.Client(), srv.URL+"/bad" })
			err := verify(t, v, iss.Sign(iss.Claims(api)))
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.ErrorContains(t, err, row.detail)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func TestDefaultClient(t *testing.T) {
	t.Parallel()
	iss := jwkstest.NewIssuer(t)
	srv := httptest.NewServer(iss)
	t.Cleanup(srv.Close)
	iss.URL = srv.URL
	secure := httptest.NewUnstartedServer(iss)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	v := newVerifier(t, iss, func(c *jwks.Config) { c.Client, c.Issuers[0].InsecureHTTP = nil, true })
	require.NoError(t, verify(t, v, iss.Sign(iss.Claims(api))))
	v = newVerifier(t, iss, func(c *jwks.Config) { c.Client, c.Issuers[0].JWKSURL = nil, secure.URL+"/jwks" })
	require.ErrorContains(t, verify(t, v, iss.Sign(iss.Claims(api))), "cannot be reached", "a certificate of nobody")
}

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
	"golang.org/x/oauth2"
)

// Four host names of one site.
const (
	appHost   = "app.example.test"
	vaultHost = "vault.example.test"
	apiHost   = "api.example.test"
	loginHost = "login.example.test"
)

const clientID = "notes"

// demo is everything that runs.
type demo struct {
	appOrigin, vaultOrigin, apiOrigin string

	cert     authserver.Cert
	certFile string
	network  *http.Transport
	login    *authserver.Server
	grants   *vault.Vault
	closers  []func() error
}

func start(ctx context.Context, addr string) (_ *demo, err error) {
	d := &demo{}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, l.Close)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	d.appOrigin, d.vaultOrigin, d.apiOrigin = "https://"+appHost+":"+port, "https://"+vaultHost+":"+port, "https://"+apiHost+":"+port
	if err := d.certify(); err != nil {
		return nil, err
	}
	secret := rand.Text()
	if err := d.startLogin(ctx, secret); err != nil {
		return nil, err
	}
	handler, err := d.handler(secret)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	d.closers = append(d.closers, server.Close)
	go func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{d.cert.Pair}}))
	}()
	return d, nil
}

// certify makes a certificate for the names and writes it where a browser can
// be told to trust it.
func (d *demo) certify() (err error) {
	if d.cert, err = authserver.SelfSigned(appHost, vaultHost, apiHost, loginHost); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tokenvault-spa-")
	if err != nil {
		return err
	}
	d.closers = append(d.closers, func() error { return os.RemoveAll(dir) })
	d.certFile = filepath.Join(dir, "certificate.pem")
	d.network = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.cert.Pool}, DialContext: loopback, IdleConnTimeout: 2 * time.Second}
	d.closers = append(d.closers, func() error { d.network.CloseIdleConnections(); return nil })
	return os.WriteFile(d.certFile, d.cert.CertPEM, 0o600)
}

// loopback dials this machine, whatever the name.
func loopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// startLogin starts the authorization server, where the vault is a confidential
// client and the application no client at all.
func (d *demo) startLogin(ctx context.Context, secret string) (err error) {
	d.login, err = authserver.Start(ctx, authserver.Config{
		Host: loginHost, CertPEM: d.cert.CertPEM, KeyPEM: d.cert.KeyPEM, AccessTokenTTL: 60,
		Clients: []authserver.Client{{
			"client_id": clientID, "client_secret": secret, "client_name": "Notes",
			"redirect_uris":             []string{d.appOrigin + "/callback"},
			"post_logout_redirect_uris": []string{d.appOrigin + "/"},
			"grant_types":               []string{"authorization_code", "refresh_token"},
		}},
		Scopes:          []string{"notes"},
		Resources:       map[string]authserver.Resource{d.apiOrigin: {Scope: "notes"}},
		DefaultResource: d.apiOrigin,
	})
	if err == nil {
		d.closers = append(d.closers, d.login.Close)
	}
	return err
}

// handler is all host names but the authorization server's.
func (d *demo) handler(secret string) (http.Handler, error) {
	proxy, err := d.newProxy(secret)
	if err != nil {
		return nil, err
	}
	api, err := d.newAPI()
	if err != nil {
		return nil, err
	}
	app, err := d.newApp()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(appHost+"/", app)
	mux.Handle(vaultHost+"/", proxy)
	mux.Handle(apiHost+"/", api)
	return mux, nil
}

// newProxy is the part to copy.
func (d *demo) newProxy(secret string) (*spa.Proxy, error) {
	jwk, err := tokenvault.NewKey() // a real vault reads it from a file
	if err != nil {
		return nil, err
	}
	keys, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		return nil, err
	}
	issuer, err := url.Parse(d.login.Issuer)
	if err != nil {
		return nil, err
	}
	d.grants, err = vault.New(vault.Config{Sealer: keys, Providers: []*vault.Provider{{
		Name: "login",
		OAuth2: &oauth2.Config{
			ClientID: clientID, ClientSecret: secret, Scopes: []string{"openid", "profile", "notes"},
			Endpoint: oauth2.Endpoint{TokenURL: d.login.Issuer + "/token"},
		},
		RevocationURL: d.login.Issuer + "/token/revocation",
		Hosts:         []string{strings.TrimPrefix(d.apiOrigin, "https://"), issuer.Host},
		Client:        &http.Client{Transport: d.network, Timeout: 10 * time.Second},
	}}})
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, func() error { return d.grants.Close(context.Background()) })
	return spa.New(spa.Config{
		Vault: d.grants, Provider: "login",
		Issuer:       d.login.Issuer,
		Origin:       d.vaultOrigin,
		Origins:      []string{d.appOrigin},
		RedirectURIs: []string{d.appOrigin + "/callback"},
		Resources:    []spa.Resource{{Pattern: "/v1/", Upstream: d.apiOrigin, Scopes: []string{"notes"}}},
		Base:         d.network,
	})
}

// fingerprint is what Chromium knows the certificate's key by.
func (d *demo) fingerprint() string {
	sum := sha256.Sum256(d.cert.Pair.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (d *demo) close() {
	var errs []error
	for i := range d.closers {
		errs = append(errs, d.closers[len(d.closers)-1-i]())
	}
	if err := errors.Join(errs...); err != nil && !errors.Is(err, net.ErrClosed) {
		fmt.Fprintln(os.Stderr, "spa:", err)
	}
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
)

// issuers are the two authorization servers of the story, on real sockets.
type issuers struct {
	mobile, partner *jwkstest.Issuer
	servers         []*httptest.Server
	trust           *x509.CertPool
}

// startIssuers starts one that signs with EdDSA and one that signs with RS256.
// They serve their keys at any path; the verifier's configuration says which.
func startIssuers() *issuers {
	i := &issuers{trust: x509.NewCertPool()}
	start := func(alg string) *jwkstest.Issuer {
		iss := jwkstest.NewIssuer(fatal{}, alg)
		srv := httptest.NewTLSServer(iss)
		iss.URL = srv.URL
		i.servers = append(i.servers, srv)
		i.trust.AddCert(srv.Certificate())
		return iss
	}
	i.mobile, i.partner = start("EdDSA"), start("RS256")
	return i
}

// client trusts their certificates; a service in production needs no client.
func (i *issuers) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: i.trust, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}}
}

func (i *issuers) close() {
	for _, srv := range i.servers {
		srv.Close()
	}
}

// fatal is jwkstest's view of a program that is no test.
type fatal struct{}

func (fatal) Helper()                           {}
func (fatal) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

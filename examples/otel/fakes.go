package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/jwks/jwkstest"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// fakes are everyone the service talks to: its own authorization server, the
// bank's, and the bank.
type fakes struct {
	issuer        *jwkstest.Issuer
	introspection *phantomtest.Server
	token, bank   *httptest.Server
	clientSecret  string
	opaque        string // alice's token for the service

	mu      sync.Mutex
	access  string   // the bank accepts
	refresh string   // the bank's authorization server accepts
	secrets []string // all there ever were
}

func startFakes() *fakes {
	f := &fakes{issuer: jwkstest.NewIssuer(fatal{}), introspection: phantomtest.NewServer()}
	f.clientSecret, f.opaque = f.secret("client-secret-"), f.secret("opaque-")
	f.access, f.refresh = f.secret("access-"), f.secret("refresh-")
	claims := f.issuer.Claims(audience)
	claims["sub"] = "alice"
	jwt := f.issuer.Sign(claims)
	f.secrets = append(f.secrets, jwt)
	f.introspection.Answer(f.opaque, phantomtest.Answer{Format: phantom.JWT, Body: []byte(jwt)})
	f.token = httptest.NewTLSServer(http.HandlerFunc(f.serveToken))
	f.bank = httptest.NewTLSServer(http.HandlerFunc(f.serveBank))
	return f
}

func (f *fakes) close() {
	f.introspection.Close()
	f.token.Close()
	f.bank.Close()
}

// secret makes a token that the test will look for.
func (f *fakes) secret(prefix string) string {
	s := prefix + rand.Text()
	f.secrets = append(f.secrets, s)
	return s
}

func (f *fakes) bankHost() string { return strings.TrimPrefix(f.bank.URL, "https://") }

// expired is alice's grant at the bank: the first use must renew it.
func (f *fakes) expired() *oauth2.Token {
	return &oauth2.Token{AccessToken: f.access, RefreshToken: f.refresh, Expiry: time.Now().Add(-time.Minute)}
}

// serveToken is the bank's token endpoint: each refresh token is good once.
func (f *fakes) serveToken(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.PostFormValue("refresh_token") != f.refresh {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `{"error":"invalid_grant"}`)
		return
	}
	f.access, f.refresh = f.secret("access-"), f.secret("refresh-")
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":3600}`, f.access, f.refresh)
}

// serveBank answers whoever has the token. It echoes a credential, too, which the
// service's own redaction takes out.
func (f *fakes) serveBank(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+f.access {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"balance":42,"refresh_token":%q}`, f.refresh)
}

// fatal is jwkstest's view of a program that is no test.
type fatal struct{}

func (fatal) Helper()                           {}
func (fatal) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

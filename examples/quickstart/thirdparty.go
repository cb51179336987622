package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// thirdParty is an API somewhere on the internet. It has never heard of sealed
// values: it wants a password, hands out a token, and wants that token back.
type thirdParty struct {
	*httptest.Server
	password string
	key      []byte

	mu       sync.Mutex
	received []string // the credential of each request: "Authorization: …", or the body
	requests int
}

func startThirdParty(password string) *thirdParty {
	p := &thirdParty{password: password, key: make([]byte, 32)}
	_, _ = rand.Read(p.key)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/fetchToken", p.fetchToken)
	mux.HandleFunc("POST /api/authenticatedEndpoint", p.authenticatedEndpoint)
	p.Server = httptest.NewTLSServer(p.recording(mux))
	return p
}

func (p *thirdParty) recording(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		p.mu.Lock()
		p.requests++
		if auth := r.Header.Get("Authorization"); auth != "" {
			p.received = append(p.received, "Authorization: "+auth)
		} else {
			p.received = append(p.received, string(body))
		}
		p.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// seen returns how many requests arrived so far and the credential of the last.
func (p *thirdParty) seen() (requests int, last string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.received); n > 0 {
		last = p.received[n-1]
	}
	return p.requests, last
}

type answer struct {
	Authenticated bool   `json:"authenticated"`
	Message       string `json:"message"`
	AccessToken   string `json:"accessToken,omitempty"`
}

func (p *thirdParty) fetchToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Password string `json:"password"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || subtle.ConstantTimeCompare([]byte(in.Password), []byte(p.password)) != 1 {
		write(w, http.StatusUnauthorized, answer{Message: "Hello, Claude! Unfortunately, your authentication attempt was unsuccessful. Please try and request an access token again."})
		return
	}
	token, err := p.issue()
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	write(w, http.StatusOK, answer{
		Authenticated: true,
		Message:       "Hello, Claude! You have been successfully authenticated. Your access token is attached.",
		AccessToken:   token,
	})
}

// issue signs a token that is good for five minutes.
func (p *thirdParty) issue() (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: p.key}, nil)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Subject: "claude", Expiry: jwt.NewNumericDate(time.Now().Add(5 * time.Minute)),
	}).Serialize()
}

func (p *thirdParty) authenticatedEndpoint(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var claims jwt.Claims
	token, err := jwt.ParseSigned(bearer, []jose.SignatureAlgorithm{jose.HS256})
	if err == nil {
		err = token.Claims(p.key, &claims)
	}
	if err == nil {
		err = claims.Validate(jwt.Expected{Subject: "claude", Time: time.Now()})
	}
	if err != nil {
		write(w, http.StatusUnauthorized, answer{Message: "Hello, Claude! Your access token is missing, wrong or expired."})
		return
	}
	write(w, http.StatusOK, answer{Authenticated: true, Message: "Hello, Claude! You have reached the authenticated endpoint."})
}

func write(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a)
}

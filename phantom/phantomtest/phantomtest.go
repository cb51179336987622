// Package phantomtest is a fake introspection endpoint (RFC 7662) for tests of
// what uses package phantom: every answer format, delays, faults, answers held
// back until released, and counts of what was asked.
//
//	srv := phantomtest.NewServer()
//	t.Cleanup(srv.Close)
//	srv.Answer("opaque", phantomtest.Answer{Format: phantom.JWT, Claims: map[string]any{"sub": "alice"}})
//
// A token without an answer is inactive. The server speaks TLS with a certificate
// that only its Client trusts, and signs with an ES256 key of its own. It takes any
// client authentication; Last tells what it was.
package phantomtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed-6d9a6c17/tokenvault/phantom"
)

// An Answer is what the server says about a token. The zero Answer is
// {"active":false}.
type Answer struct {
	// Format of the answer; empty is phantom.JSON.
	Format phantom.Format
	// Claims of the token. If not nil the token is active, unless they say otherwise
	// by a member active. In phantom.JWT they are the JWT's, in phantom.Introspection
	// the token_introspection member's.
	Claims map[string]any
	// Embed adds a phantom_token member with a JWT of the claims to phantom.JSON.
	Embed bool
	// Status, if not 0, is sent; with other than 200 the body is empty.
	Status int
	// Header is added to the response, and may replace the Content-Type.
	Header http.Header
	// Body, if not nil, is sent in place of one made of the claims.
	Body []byte
	// Delay before the answer, cut short when the client leaves.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
}

// A Request is what the server was asked.
type Request struct {
	Header http.Header
	Form   url.Values
}

// A Server is a running fake. Its methods are safe for concurrent use.
type Server struct {
	srv *httptest.Server
	key jose.JSONWebKey

	mu       sync.Mutex
	answers  map[string]Answer
	calls    map[string]int
	total    int
	inside   int
	peak     int
	held     int
	gate     chan struct{} // nil when nothing is held
	changed  chan struct{} // closed and replaced when held changes
	last     Request
	fallback Answer
}

// NewServer starts a server. Close it.
func NewServer() *Server {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	s := &Server{
		key:     jose.JSONWebKey{Key: private, KeyID: "phantomtest", Algorithm: "ES256", Use: "sig"},
		answers: map[string]Answer{}, calls: map[string]int{}, changed: make(chan struct{}),
	}
	s.srv = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.srv.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that leave are no news
	s.srv.StartTLS()
	return s
}

// Close releases what is held and stops the server.
func (s *Server) Close() {
	s.release()
	s.srv.Close()
}

// URL is the endpoint.
func (s *Server) URL() string { return s.srv.URL + "/introspect" }

// Client trusts the server's certificate.
func (s *Server) Client() *http.Client { return s.srv.Client() }

// JWKS is the key set, as JSON, that verifies what the server signs.
func (s *Server) JWKS() []byte {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}})
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	return set
}

// Sign makes a JWT of claims with the typ header typ.
func (s *Server) Sign(typ string, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	return compact
}

// Answer sets what the server says about token.
func (s *Server) Answer(token string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[token] = a
}

// Otherwise sets what the server says about tokens without an answer of their own.
func (s *Server) Otherwise(a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallback = a
}

// Hold keeps answers back from now on, until release is called.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate == nil {
		s.gate = make(chan struct{})
	}
	return s.release
}

func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != nil {
		close(s.gate)
		s.gate = nil
	}
}

// AwaitHeld waits until n requests are being held back.
func (s *Server) AwaitHeld(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		held, changed := s.held, s.changed
		s.mu.Unlock()
		if held >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("phantomtest: %d of %d requests: %w", held, n, ctx.Err())
		}
	}
}

// Calls is how often the server was asked about token.
func (s *Server) Calls(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[token]
}

// Total is how often the server was asked.
func (s *Server) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Peak is how many requests there were at once at most.
func (s *Server) Peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

// Last is the latest request.
func (s *Server) Last() Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	a, gate := s.enter(r)
	defer s.leave()
	if gate != nil {
		s.hold(r.Context(), gate)
	}
	if a.Delay > 0 {
		select {
		case <-time.After(a.Delay):
		case <-r.Context().Done():
		}
	}
	if a.Drop {
		panic(http.ErrAbortHandler)
	}
	s.write(w, a)
}

func (s *Server) enter(r *http.Request) (Answer, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := r.PostForm.Get("token")
	s.calls[token]++
	s.total++
	s.inside++
	s.peak = max(s.peak, s.inside)
	s.last = Request{Header: r.Header.Clone(), Form: maps.Clone(r.PostForm)}
	a, ok := s.answers[token]
	if !ok {
		a = s.fallback
	}
	return a, s.gate
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
}

func (s *Server) hold(ctx context.Context, gate chan struct{}) {
	s.count(1)
	defer s.count(-1)
	select {
	case <-gate:
	case <-ctx.Done():
	}
}

func (s *Server) count(delta int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held += delta
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) write(w http.ResponseWriter, a Answer) {
	body, contentType := s.body(a)
	w.Header().Set("Content-Type", contentType)
	maps.Copy(w.Header(), a.Header)
	if a.Status != 0 && a.Status != http.StatusOK {
		w.WriteHeader(a.Status)
		return
	}
	_, _ = w.Write(body)
}

func (s *Server) body(a Answer) (body []byte, contentType string) {
	format := a.Format
	if format == "" {
		format = phantom.JSON
	}
	if a.Body != nil {
		return a.Body, string(format)
	}
	claims := map[string]any{"active": a.Claims != nil}
	maps.Copy(claims, a.Claims)
	switch {
	case claims["active"] == true && format == phantom.JWT:
		return []byte(s.Sign("at+jwt", a.Claims)), string(format)
	case format == phantom.Introspection:
		return []byte(s.Sign("token-introspection+jwt", map[string]any{
			"iss": s.srv.URL, "token_introspection": claims,
		})), string(format)
	case a.Embed && claims["active"] == true:
		claims["phantom_token"] = s.Sign("at+jwt", a.Claims)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic("phantomtest: " + err.Error())
	}
	return body, string(phantom.JSON)
}

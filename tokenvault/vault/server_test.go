package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

// server is an authorization server in the shape of a RoundTripper: strict
// refresh-token rotation, and a token used twice ends its whole family
// (RFC 9700 section 4.14.2). It counts what reached it.
type server struct {
	mu       sync.Mutex
	families map[string]*family // by refresh token, used or not
	access   map[string]*family // by access token
	requests []request
	script   func(n int) act // what happens to the nth token request; nil: answer

	lifetime time.Duration  // of access tokens; 0: not stated
	extra    map[string]any // overrides members of a token answer; nil values remove
}

type family struct {
	current string // refresh token
	ended   bool
}

// request is one that reached the server whole.
type request struct {
	path, authorization string
	host                string
	form                url.Values
}

// act is what befalls one token request. ctx is the request's.
type act struct {
	unsent error                       // returned before anything is read
	before func(context.Context)       // after the request has been counted
	status int                         // answered instead of being processed
	header http.Header                 // of that answer
	body   string                      // of that answer
	after  func(context.Context)       // after processing, before the answer
	fail   func(context.Context) error // after processing; its error comes instead of an answer
}

// dropped as a status is no answer at all, nor any processing.
const dropped = -1

func newServer() *server {
	return &server{families: make(map[string]*family), access: make(map[string]*family), lifetime: time.Hour}
}

// issue makes a new family, as a login does.
func (s *server) issue() (access, refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rotate(new(family))
}

func (s *server) rotate(f *family) (access, refresh string) {
	access, f.current = "at-"+rand.Text(), "rt-"+rand.Text()
	s.families[f.current], s.access[access] = f, f
	return access, f.current
}

// alive reports whether the server would accept the access token.
func (s *server) alive(access string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.access[access]
	return f != nil && !f.ended
}

// posts returns the requests to path.
func (s *server) posts(path string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []request
	for _, r := range s.requests {
		if r.path == path {
			found = append(found, r)
		}
	}
	return found
}

func (s *server) refreshes() int { return len(s.posts("/token")) }

func (s *server) set(script func(n int) act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	defer req.Body.Close()
	s.mu.Lock()
	var a act
	if s.script != nil && req.URL.Path == "/token" {
		n := 1
		for _, r := range s.requests {
			if r.path == "/token" {
				n++
			}
		}
		a = s.script(n)
	}
	s.mu.Unlock()
	if a.unsent != nil {
		return nil, a.unsent
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.requests = append(s.requests, request{req.URL.Path, req.Header.Get("Authorization"), req.URL.Host, form})
	s.mu.Unlock()
	if a.before != nil {
		a.before(req.Context())
	}
	if a.status == dropped {
		return nil, errors.New("read: connection timed out")
	}
	if a.status != 0 {
		return answer(req, a.status, a.header, a.body), nil
	}
	resp := s.process(req, form)
	if a.after != nil {
		a.after(req.Context())
	}
	if a.fail != nil {
		if err := a.fail(req.Context()); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

func (s *server) process(req *http.Request, form url.Values) *http.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.URL.Path == "/revoke" {
		for _, m := range []map[string]*family{s.families, s.access} {
			if f := m[form.Get("token")]; f != nil {
				f.ended = true
			}
		}
		return answer(req, 200, nil, "")
	}
	f := new(family)
	if form.Get("grant_type") == "refresh_token" {
		token := form.Get("refresh_token")
		f = s.families[token]
		if f != nil && f.current != token {
			f.ended = true // reuse
		}
		if f == nil || f.ended {
			return answer(req, 400, nil, `{"error":"invalid_grant","error_description":"`+token+`"}`)
		}
	}
	access, refresh := s.rotate(f)
	members := map[string]any{
		"access_token": access, "token_type": "Bearer", "refresh_token": refresh, "expires_in": int(s.lifetime.Seconds()),
	}
	if form.Get("grant_type") == "client_credentials" {
		delete(members, "refresh_token")
	}
	for name, value := range s.extra {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	b, _ := json.Marshal(members)
	return answer(req, 200, nil, string(b))
}

func answer(req *http.Request, status int, h http.Header, body string) *http.Response {
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader([]byte(body))),
		ContentLength: int64(len(body)), Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// hang waits until the client gives up.
func hang(ctx context.Context) { <-ctx.Done() }

// reset is a connection that breaks after the server has done its work.
func reset(context.Context) error { return errors.New("read: connection reset by peer") }

// once applies a to the first token request and answers the others.
func once(a act) func(int) act { return first(1, a) }

// first applies a to the first n token requests.
func first(n int, a act) func(int) act {
	return func(i int) act {
		if i <= n {
			return a
		}
		return act{}
	}
}

func TestServer_ReuseEndsTheFamily(t *testing.T) {
	t.Parallel()
	s := newServer()
	_, refresh := s.issue()
	client := &http.Client{Transport: s}
	post := func(token string) *http.Response {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		resp, err := client.PostForm("https://as.example.com/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp
	}
	if got := post(refresh).StatusCode; got != 200 {
		t.Fatalf("first use: status %d", got)
	}
	if got := post(refresh).StatusCode; got != 400 {
		t.Fatalf("second use: status %d", got)
	}
	for access, f := range s.access {
		if s.alive(access) || !f.ended {
			t.Fatal("a family outlived the reuse of its token")
		}
	}
}

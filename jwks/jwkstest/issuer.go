package jwkstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
)

// Issuer is a fake issuer. It serves metadata (RFC 8414, OpenID Connect) at the
// well-known paths and its JWK set at every other path. It is safe for
// concurrent use, once URL and Now are set.
type Issuer struct {
	URL string           // iss and the metadata's issuer; https://issuer.test at first
	Now func() time.Time // for Claims; time.Now at first

	tb      TB
	mu      sync.Mutex
	made    int // keys so far, for their kids
	keys    []*Key
	raw     []byte
	header  http.Header
	status  int
	gate    chan struct{} // answers wait until it is closed
	fetches int
}

// NewIssuer returns an issuer with a signing key for each of algs, ES256 if
// there are none.
func NewIssuer(tb TB, algs ...string) *Issuer {
	tb.Helper()
	if len(algs) == 0 {
		algs = []string{"ES256"}
	}
	i := &Issuer{URL: "https://issuer.test", Now: time.Now, tb: tb, header: http.Header{}}
	for _, alg := range algs {
		i.keys = append(i.keys, i.NewKey(alg))
	}
	return i
}

// NewKey makes a key with a kid of its own, but does not publish it.
func (i *Issuer) NewKey(alg string) *Key {
	i.tb.Helper()
	i.mu.Lock()
	i.made++
	kid := fmt.Sprintf("key-%d", i.made)
	i.mu.Unlock()
	return NewKey(i.tb, alg, kid)
}

// Config is what a jwks.Verifier needs to accept i's tokens for audience.
func (i *Issuer) Config(audience ...string) jwks.Issuer {
	return jwks.Issuer{URL: i.URL, JWKSURL: i.URL + "/jwks", Audience: audience}
}

// Client reaches i in memory, under every URL. It honours the request's context.
func (i *Issuer) Client() *http.Client { return &http.Client{Transport: (*transport)(i)} }

type transport Issuer

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		(*Issuer)(t).ServeHTTP(w, req)
	}()
	<-done // ServeHTTP ends with the request's context
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	res := w.Result()
	res.Request = req
	return res, nil
}

// Claims are those of a good RFC 9068 access token for audience, valid for five
// minutes, to be changed at will.
func (i *Issuer) Claims(audience string) map[string]any {
	now := i.Now().Unix()
	return map[string]any{
		"iss": i.URL, "aud": audience, "sub": "user-1", "client_id": "client-1", "jti": "token-1",
		"iat": now, "exp": now + 300, "scope": "read write",
	}
}

// Sign makes a token of claims with the first of the issuer's current keys.
func (i *Issuer) Sign(claims map[string]any) string {
	i.tb.Helper()
	return i.SignWith(i.Keys()[0], nil, claims)
}

// SignWith makes a token of claims with any key. Its header is alg, kid and
// "typ":"at+jwt", with the members of header added or, if nil, left out.
func (i *Issuer) SignWith(key *Key, header, claims map[string]any) string {
	i.tb.Helper()
	h := merge(map[string]any{"alg": key.Alg, "kid": key.KID, "typ": "at+jwt"}, header)
	return key.Sign(marshal(i.tb, h), marshal(i.tb, claims))
}

// Keys are the current signing keys.
func (i *Issuer) Keys() []*Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]*Key(nil), i.keys...)
}

// Publish replaces the current keys.
func (i *Issuer) Publish(keys ...*Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys, i.raw = keys, nil
}

// Rotate puts a new key of alg in the place of all current ones.
func (i *Issuer) Rotate(alg string) *Key {
	i.tb.Helper()
	k := i.NewKey(alg)
	i.Publish(k)
	return k
}

// PublishRaw serves any bytes as the JWK set, until the next Publish.
func (i *Issuer) PublishRaw(body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.raw = body
}

// SetHeader sets a header of all answers, such as Cache-Control.
func (i *Issuer) SetHeader(name, value string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.header.Set(name, value)
}

// Fail answers every request with status; 0 ends that.
func (i *Issuer) Fail(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

// Hold keeps every request waiting until release is called, or its client
// leaves. Never calling it is a hang.
func (i *Issuer) Hold() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	gate := make(chan struct{})
	i.gate = gate
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.gate == gate {
			i.gate = nil
		}
		close(gate)
	})
}

// Fetches counts the requests for the JWK set, failed and held ones included.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// ServeHTTP serves metadata and the JWK set.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	metadata := r.URL.Path == "/.well-known/oauth-authorization-server" || r.URL.Path == "/.well-known/openid-configuration"
	if !metadata {
		i.fetches++
	}
	gate := i.gate
	i.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.Copy(w.Header(), i.header)
	switch {
	case i.status != 0:
		w.WriteHeader(i.status)
	case metadata:
		_, _ = w.Write(marshal(i.tb, map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"}))
	case i.raw != nil:
		_, _ = w.Write(i.raw)
	default:
		set := make([]json.RawMessage, len(i.keys))
		for n, k := range i.keys {
			set[n] = k.JWK(nil)
		}
		_, _ = w.Write(marshal(i.tb, map[string]any{"keys": set}))
	}
}

package vault

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// Client authentication that the authority insists on.
const (
	clientID     = "client"
	clientSecret = "s3cret of the client"
)

// behaviour is what the authority does with one POST.
type behaviour int

const (
	answer            behaviour = iota // rotates the refresh token and answers
	hang                               // neither rotates nor answers
	rotateAndReset                     // rotates, then resets the connection
	tooManyRequests                    // 429 with Retry-After: 3
	internalError                      // 500
	rotateAndHoldBack                  // rotates, then answers when letGo is called
)

// authority is an authorization server with strict refresh-token rotation: a
// refresh token is good for one POST, and one that comes a second time ends its
// whole family (RFC 9700 section 4.14.2).
type authority struct {
	*httptest.Server
	mu       sync.Mutex
	families map[string]*family
	lifetime time.Duration // of access tokens
	strays   int           // requests that were none of a known client or family
	secrets  []string      // every token ever issued
}

// family is one user's grant as the server knows it. Everything that follows
// is counted here and nowhere else.
type family struct {
	posts, rotations, reuses int
	revoked                  bool // by reuse or by the client
	refresh                  string
	access                   string
	script                   []behaviour // of the next POSTs; then answer
	held                     chan struct{}
	release                  chan struct{}
}

func newAuthority(t testing.TB) *authority {
	a := &authority{families: make(map[string]*family), lifetime: time.Hour}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", a.token)
	mux.HandleFunc("POST /revoke", a.revoke)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		a.mu.Lock()
		for _, f := range a.families {
			f.free()
		}
		a.mu.Unlock()
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// grant begins a family whose POSTs go by script, and returns its first token,
// of which the access token has expired.
func (a *authority) grant(id string, script ...behaviour) *oauth2.Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := &family{script: script, held: make(chan struct{}, 8), release: make(chan struct{})}
	a.families[id] = f
	a.rotate(id, f)
	return &oauth2.Token{AccessToken: f.access, TokenType: "Bearer", RefreshToken: f.refresh, Expiry: time.Now().Add(-time.Hour)}
}

func (a *authority) rotate(id string, f *family) {
	f.refresh = fmt.Sprintf("rt.%s.%s", id, rand.Text())
	f.access = fmt.Sprintf("at.%s.%s", id, rand.Text())
	a.secrets = append(a.secrets, f.refresh, f.access)
}

// counts is a copy of what the server knows of a family.
func (a *authority) counts(id string) family {
	a.mu.Lock()
	defer a.mu.Unlock()
	return *a.families[id]
}

// forget takes POSTs out of the count that were the test's own proof.
func (a *authority) forget(id string, posts int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.families[id].posts -= posts
}

func (a *authority) strayed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.strays
}

func (a *authority) issued() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.secrets)
}

// letGo releases the answers that are held back.
func (a *authority) letGo(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.families[id].free()
}

// free lets held-back answers go. a.mu is held.
func (f *family) free() {
	select {
	case <-f.release:
	default:
		close(f.release)
	}
}

// find returns the family a token belongs to, for a client that has
// authenticated. a.mu is held.
func (a *authority) find(r *http.Request, token string) (string, *family) {
	id, secret, ok := r.BasicAuth()
	if parts := strings.Split(token, "."); ok && id == clientID && secret == strings.ReplaceAll(clientSecret, " ", "+") && len(parts) == 3 {
		if f := a.families[parts[1]]; f != nil {
			return parts[1], f
		}
	}
	a.strays++
	return "", nil
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		return // given up half way
	}
	token := r.PostForm.Get("refresh_token")
	a.mu.Lock()
	id, f := a.find(r, token)
	if f == nil || r.PostForm.Get("grant_type") != "refresh_token" {
		a.mu.Unlock()
		reply(w, http.StatusUnauthorized, `{"error":"invalid_client"}`)
		return
	}
	next := f.next()
	if next != answer && next != rotateAndReset && next != rotateAndHoldBack {
		a.mu.Unlock()
		f.refuse(w, r, next)
		return
	}
	body, ok := a.redeem(id, f, token)
	a.mu.Unlock()
	switch {
	case !ok:
		reply(w, http.StatusBadRequest, `{"error":"invalid_grant"}`)
	case next == rotateAndReset:
		reset(w)
	case next == rotateAndHoldBack:
		f.held <- struct{}{}
		<-f.release
		fallthrough
	default:
		reply(w, http.StatusOK, body)
	}
}

// next counts a POST and returns what to do with it. a.mu is held.
func (f *family) next() behaviour {
	f.posts++
	if len(f.script) == 0 {
		return answer
	}
	b := f.script[0]
	f.script = f.script[1:]
	return b
}

func (f *family) refuse(w http.ResponseWriter, r *http.Request, b behaviour) {
	switch b {
	case hang:
		select {
		case <-r.Context().Done():
		case <-f.release:
		}
		panic(http.ErrAbortHandler)
	case tooManyRequests:
		w.Header().Set("Retry-After", "3")
		reply(w, http.StatusTooManyRequests, "slow down")
	default:
		reply(w, http.StatusInternalServerError, "broken")
	}
}

// redeem rotates, or ends the family if the token was redeemed before. a.mu is
// held.
func (a *authority) redeem(id string, f *family, token string) (string, bool) {
	switch {
	case f.revoked:
		return "", false
	case token != f.refresh:
		f.reuses++
		f.revoked = true
		return "", false
	}
	f.rotations++
	a.rotate(id, f)
	return fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","refresh_token":%q,"expires_in":%d}`,
		f.access, f.refresh, int(a.lifetime/time.Second)), true
}

func (a *authority) revoke(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		return
	}
	token := r.PostForm.Get("token")
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, f := a.find(r, token); f != nil && (token == f.refresh || token == f.access) {
		f.revoked = true
	}
	w.WriteHeader(http.StatusOK)
}

// totals sums the counts of all families.
func (a *authority) totals() (sum family) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for f := range maps.Values(a.families) {
		sum.posts += f.posts
		sum.rotations += f.rotations
		sum.reuses += f.reuses
	}
	return sum
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// reset ends the connection with RST, as a load balancer that loses its backend
// does.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

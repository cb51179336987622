package compose

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	_ "modernc.org/sqlite" // database/sql driver

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

const (
	audience      = "https://api.example.test"
	introSecret   = "secret of the introspection client"
	partnerSecret = "secret of the partner's client"
)

// world is one service made of every package, and everybody it talks to.
type world struct {
	*testing.T
	intro   *phantomtest.Server // our authorization server: opaque tokens
	partner *partner            // a third party: an API and its authorization server
	redis   *testserver.Server
	dir     string
	log     *syncBuffer
	service *httptest.Server
	vault   *vault.Vault
	faults  faults
	secrets []string
}

// faults are switched while requests run.
type faults struct {
	introDown, partnerDown atomic.Bool
	partnerSlow            atomic.Bool
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, intro: phantomtest.NewServer(), partner: newPartner(), dir: t.TempDir(), log: new(syncBuffer)}
	t.Cleanup(w.intro.Close)
	t.Cleanup(w.partner.Close)
	w.partner.slow = &w.faults.partnerSlow
	w.redis = testserver.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	w.service = httptest.NewServer(w.assemble())
	t.Cleanup(w.service.Close)
	w.secrets = append(w.secrets, introSecret, partnerSecret)
	return w
}

// assemble is the program that a user of this library would write.
func (w *world) assemble() http.Handler {
	jwk, err := tokenvault.NewKey()
	require.NoError(w, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(w, err)
	var key struct{ K string }
	require.NoError(w, json.Unmarshal(jwk, &key))
	w.secrets = append(w.secrets, key.K)

	redactor, err := redact.New(redact.Default())
	require.NoError(w, err)
	log := slog.New(redactor.Log(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))

	verifier, err := jwks.New(jwks.Config{Issuers: []jwks.Issuer{{
		URL: "https://issuer.example.test", Audience: []string{audience}, Keys: w.intro.JWKS(),
	}}, Observe: func(ctx context.Context, e jwks.Event) { log.DebugContext(ctx, "jwks", "event", e) }})
	require.NoError(w, err)
	w.Cleanup(func() { _ = verifier.Close() })

	transport, err := relay.New(relay.Config{
		Sealer: keys, Base: breakable(w.partner.Client().Transport, &w.faults.partnerDown),
		Destinations: []relay.Destination{
			{Host: w.partner.host(), Routes: []string{"POST /token"}, Open: []string{"header:Authorization"}},
			{Host: w.partner.host(), Routes: []string{"/v1/"}, RequireSubject: true},
		},
		Observe: func(ctx context.Context, e relay.Event) { log.DebugContext(ctx, "relay", "event", e) },
	})
	require.NoError(w, err)
	secret, err := keys.Seal(w.Context(), []byte(partnerSecret), tokenvault.Label{Hosts: []string{w.partner.host()}})
	require.NoError(w, err)

	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "grants.db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_txlock=immediate")
	require.NoError(w, err)
	w.Cleanup(func() { _ = db.Close() })
	store := sqlstore.NewStore(db, sqlstore.SQLite)
	require.NoError(w, store.Migrate(w.Context()))
	w.vault, err = vault.New(vault.Config{
		Sealer: keys, Store: store,
		Providers: []*vault.Provider{{
			Name:   "partner",
			OAuth2: &oauth2.Config{ClientID: "us", ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: w.partner.URL + "/token"}},
			Hosts:  []string{w.partner.host()}, Client: &http.Client{Transport: transport},
		}},
		RefreshBefore: 500 * time.Millisecond,
		Observe:       func(ctx context.Context, e vault.Event) { log.DebugContext(ctx, "vault", "event", e) },
	})
	require.NoError(w, err)
	w.Cleanup(func() { _ = w.vault.Close(context.WithoutCancel(w.Context())) })

	cache := redis.NewClient(&redis.Options{Addr: w.redis.Addr, DialTimeout: 200 * time.Millisecond, ReadTimeout: 200 * time.Millisecond, MaxRetries: -1})
	w.Cleanup(func() { _ = cache.Close() })
	cacheKey := make([]byte, 32)
	_, _ = rand.Read(cacheKey)
	client := *w.intro.Client()
	client.Transport = breakable(client.Transport, &w.faults.introDown)
	exchanger, err := phantom.New(phantom.Config{
		Endpoint: w.intro.URL(), Auth: clientauth.Basic("us", introSecret), Client: &client, Verify: verifier.Check,
		Cache: redisstore.NewCache(cache), CacheKey: cacheKey, MaxTTL: 2 * time.Second,
		Observe: func(ctx context.Context, e phantom.Event) { log.DebugContext(ctx, "phantom", "event", e) },
	})
	require.NoError(w, err)
	w.Cleanup(func() { _ = exchanger.Close() })

	api := w.api(log, transport)
	return redactor.Handler(exchanger.Handler(verifier.Handler(api)))
}

// api answers with what the partner says about the caller.
func (w *world) api(log *slog.Logger, transport *relay.Transport) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		claims, _ := jwks.FromContext(r.Context())
		user := claims.Subject()
		client := &http.Client{Transport: &oauth2.Transport{
			Source: w.vault.TokenSource(r.Context(), "grant of "+user, user), Base: transport.As(user),
		}}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, w.partner.URL+"/v1/me", nil)
		if err != nil {
			http.Error(rw, "internal error", http.StatusInternalServerError)
			return
		}
		res, err := client.Do(req)
		log.InfoContext(r.Context(), "partner called", "user", user, "headers", r.Header, "request", req, "err", err)
		var later interface{ RetryAfter() time.Duration }
		switch {
		case errors.As(err, &later):
			http.Error(rw, "later", http.StatusServiceUnavailable)
			return
		case err != nil:
			http.Error(rw, "partner", http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(res.StatusCode)
		_, _ = io.Copy(rw, res.Body)
	})
}

// breakable is a network that can be down.
func breakable(base http.RoundTripper, down *atomic.Bool) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if down.Load() {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, errors.New("connection refused")
		}
		return base.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// addUser makes an opaque token and a grant for user.
func (w *world) addUser(user string) (opaque string) {
	opaque = "opaque-" + rand.Text()
	w.intro.Answer(opaque, phantomtest.Answer{Format: phantom.JWT, Claims: map[string]any{
		"iss": "https://issuer.example.test", "aud": audience, "sub": user, "client_id": "c", "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}})
	access, refresh := w.partner.grant(user)
	t := &oauth2.Token{AccessToken: access, RefreshToken: refresh, Expiry: time.Now().Add(w.partner.life)}
	require.NoError(w, w.vault.Put(w.Context(), "grant of "+user, user, "partner", t))
	w.secrets = append(w.secrets, opaque)
	return opaque
}

// captured is all that was written anywhere: log, database, Redis' files.
func (w *world) captured() []byte {
	out := bytes.NewBuffer(w.log.bytes())
	for _, dir := range []string{w.dir, w.redis.Dir} {
		require.NoError(w, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			out.Write(text)
			return err
		}))
	}
	return out.Bytes()
}

// syncBuffer keeps the first megabytes of a log.
type syncBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.b) < 16<<20 {
		s.b = append(s.b, p...)
	}
	return len(p), nil
}

func (s *syncBuffer) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b)
}

// partner is a third party with strict refresh-token rotation: a token used
// twice ends the grant. Its API echoes what it was sent.
type partner struct {
	*httptest.Server
	life time.Duration
	slow *atomic.Bool

	mu      sync.Mutex
	access  map[string]string // token: user
	refresh map[string]string
	issued  []string
	reused  int
	posts   int
}

func newPartner() *partner {
	p := &partner{life: 3 * time.Second, access: map[string]string{}, refresh: map[string]string{}}
	p.Server = httptest.NewTLSServer(p)
	return p
}

func (p *partner) host() string {
	u, _ := url.Parse(p.URL)
	return u.Host
}

func (p *partner) grant(user string) (access, refresh string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issue(user)
}

func (p *partner) issue(user string) (access, refresh string) {
	access, refresh = "access-"+rand.Text(), "refresh-"+rand.Text()
	p.access[access], p.refresh[refresh] = user, user
	p.issued = append(p.issued, access, refresh)
	return access, refresh
}

func (p *partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.slow.Load() {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		p.token(w, r)
		return
	}
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	user, ok := p.access[bearer]
	p.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"user": user, "you_sent": r.Header.Get("Authorization")})
}

func (p *partner) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if secret, _ = url.QueryUnescape(secret); id != "us" || secret != partnerSecret {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posts++
	old := r.PostFormValue("refresh_token")
	user, ok := p.refresh[old]
	if !ok {
		p.reused++
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	delete(p.refresh, old)
	access, refresh := p.issue(user)
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":%d}`, access, refresh, int(p.life/time.Second))
}

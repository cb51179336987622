package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"
	_ "modernc.org/sqlite"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// vaultRows measure a fresh token, which every request of an application asks
// for, and a refresh end to end over loopback. SQLite is on disk with
// synchronous=FULL, so its refresh is two writes that the disk has confirmed.
func vaultRows() []ratio.Row {
	w := newGrants()
	ctx := context.Background()
	blob := must(w.keys.Seal(ctx, make([]byte, 700), tokenvault.Label{Subject: "alice", Purpose: "grant"}))
	use := tokenvault.Use{Subject: "alice", Purpose: "grant"}
	return []ratio.Row{{
		Name: "fresh token",
		Cases: []ratio.Case{
			{Name: "open 700 bytes", Run: func(n int) {
				repeat(n, func() {
					_, _, err := w.keys.Open(ctx, blob, use)
					must(0, err)
				})
			}},
			{Name: "vault, memory", Run: func(n int) { repeat(n, func() { must(w.memory.Reveal(ctx, "fresh", "alice")) }) }},
			{Name: "vault, SQLite", Run: func(n int) { repeat(n, func() { must(w.sqlite.Reveal(ctx, "fresh", "alice")) }) }},
		},
	}, {
		Name: "refresh",
		Cases: []ratio.Case{
			{Name: "x/oauth2, not kept", Run: func(n int) { repeat(n, w.bareRefresh) }},
			{Name: "vault, memory", Run: func(n int) { repeat(n, func() { must(0, w.memory.Refresh(ctx, "stale", "alice")) }) }},
			{Name: "vault, SQLite", Run: func(n int) { repeat(n, func() { must(0, w.sqlite.Refresh(ctx, "stale", "alice")) }) }},
		},
	}}
}

// grants are vaults on two stores and a server that answers at once. They live
// until the program ends.
type grants struct {
	keys           *tokenvault.Keyring
	memory, sqlite *vault.Vault
	config         *oauth2.Config
}

func newGrants() *grants {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","refresh_token":%q,"expires_in":3600}`, token(), token())
	}))
	keys := must(tokenvault.ParseKeyring(must(tokenvault.NewKey())))
	g := &grants{keys: keys, config: &oauth2.Config{
		ClientID: "client", ClientSecret: "secret",
		Endpoint: oauth2.Endpoint{TokenURL: server.URL + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}}
	g.memory = g.open(vault.NewMemoryStore())
	dir := filepath.Join(os.TempDir(), "tokenvault-bench")
	must(0, os.RemoveAll(dir))
	must(0, os.MkdirAll(dir, 0o700))
	db := must(sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "grants.db"))))
	store := sqlstore.NewStore(db, sqlstore.SQLite)
	must(0, store.Migrate(context.Background()))
	g.sqlite = g.open(store)
	return g
}

// token is as long as a small JWT.
func token() string { return fmt.Sprintf("%0300d", time.Now().UnixNano()) }

func (g *grants) open(store vault.Store) *vault.Vault {
	v := must(vault.New(vault.Config{Sealer: g.keys, Store: store, Providers: []*vault.Provider{{
		Name: "bench", OAuth2: g.config, Hosts: []string{"api.example.com"}, InsecureHTTP: true,
	}}}))
	for _, id := range []string{"fresh", "stale"} {
		t := &oauth2.Token{AccessToken: token(), RefreshToken: token(), Expiry: time.Now().Add(time.Hour)}
		must(0, v.Put(context.Background(), id, "alice", "bench", t))
	}
	return v
}

// bareRefresh is what a program does that keeps its grant in a variable.
func (g *grants) bareRefresh() {
	stale := &oauth2.Token{AccessToken: "a", RefreshToken: "r", Expiry: time.Now().Add(-time.Hour)}
	must(g.config.TokenSource(context.Background(), stale).Token())
}

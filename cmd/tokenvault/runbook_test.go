package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gocloud.dev/secrets/localsecrets"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// What the runbook says stands for something of the reader's.
const (
	deployKeyring = `#!/bin/bash
set -eu
sum=$(sha256sum < "$1")
for d in "$SERVICES"/*; do
  install -m 600 "$1" "$d/next.json"
  mv "$d/next.json" "$d/keyring.json"
  if [ -f "$d/pid" ]; then kill -HUP "$(cat "$d/pid")"; fi
done
for d in "$SERVICES"/*; do
  while [ -f "$d/pid" ] && [ "$(cat "$d/adopted")" != "$sum" ]; do kill -0 "$(cat "$d/pid")"; sleep 0.02; done
done
`
	stopServices = `#!/bin/bash
set -eu
for d in "$SERVICES"/*; do kill -TERM "$(cat "$d/pid")"; done
for d in "$SERVICES"/*; do while [ -f "$d/pid" ]; do sleep 0.02; done; done
`
	keyService = `#!/bin/sh
TOKENVAULT_TEST_KEEPER=%s exec %q
`
)

const apiKey = "the API key of the runbook"

// runbook is the world in which its commands run: a database, a Redis, and
// three services.
type runbook struct {
	*testing.T
	dir      string
	env      []string
	db       *sql.DB
	redis    *testserver.Server
	services []*process
	said     strings.Builder // by all commands
}

func newRunbook(t *testing.T) *runbook {
	testserver.Need(t, "bash", "psql", "pg_dump", "redis-cli", "shred")
	postgres := testserver.Postgres(t)
	r := &runbook{T: t, dir: t.TempDir(), redis: testserver.Redis(t)}
	host, port, err := net.SplitHostPort(postgres.Addr)
	require.NoError(t, err)
	bin := filepath.Join(r.dir, "bin")
	require.NoError(t, os.Mkdir(bin, 0o700))
	self, err := os.Executable()
	require.NoError(t, err)
	for name, text := range map[string]string{
		"deploy-keyring": deployKeyring, "stop-services": stopServices,
		"kms-encrypt": fmt.Sprintf(keyService, "encrypt", self), "kms-decrypt": fmt.Sprintf(keyService, "decrypt", self),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700))
	}
	for n := range 3 {
		require.NoError(t, os.MkdirAll(r.service(n), 0o700))
	}
	r.env = []string{
		"PATH=" + built(t) + ":" + bin + ":" + os.Getenv("PATH"), "HOME=" + r.dir,
		"TOKENVAULT_KEYRING_FILE=keyring.json", "TOKENVAULT_DB=" + postgres.DSN(), "REDIS_URL=redis://" + r.redis.Addr,
		"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + testserver.PostgresUser, "PGDATABASE=postgres",
		"SERVICES=" + filepath.Join(r.dir, "services"), "API_KEY=" + apiKey,
	}
	r.db, err = sql.Open("pgx", postgres.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.db.Close() })
	_, err = r.db.Exec("CREATE TABLE tokens (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, token TEXT)")
	require.NoError(t, err)
	for id := 1; id <= 3*rowsOfService; id++ {
		_, err = r.db.Exec("INSERT INTO tokens VALUES ($1, $2, $3)", id, ownerOf(id), plaintextOf(id))
		require.NoError(t, err)
	}
	return r
}

func (r *runbook) service(n int) string {
	return filepath.Join(r.dir, "services", fmt.Sprintf("service-%d", n))
}

// startServices starts three processes that keep sealing and opening.
func (r *runbook) startServices() {
	self, err := os.Executable()
	require.NoError(r, err)
	for n := range 3 {
		p := launch(r, exec.Command(self), append([]string{serviceVariable + "=" + r.service(n)}, r.env...))
		r.services = append(r.services, p)
		until(r, "the service runs", func() bool {
			_, err := os.Stat(filepath.Join(r.service(n), "pid"))
			return err == nil
		})
	}
}

// grants is a vault on the Redis, with the keyring as it is now.
func (r *runbook) grants() *vault.Vault {
	r.Helper()
	ring, err := (&keySource{file: filepath.Join(r.dir, "keyring.json")}).load()
	require.NoError(r, err)
	client := redis.NewClient(&redis.Options{Addr: r.redis.Addr})
	store := redisstore.NewStore(client)
	store.Warn = func(context.Context, error) {}
	v, err := vault.New(vault.Config{Sealer: ring, Store: store, Providers: []*vault.Provider{someProvider()}})
	require.NoError(r, err)
	r.Cleanup(func() { _ = v.Close(context.Background()); _ = client.Close() })
	return v
}

// someProvider is never asked: the access tokens of the tests do not expire.
func someProvider() *vault.Provider {
	return &vault.Provider{
		Name: "as", Hosts: []string{"api.example.com"},
		OAuth2: &oauth2.Config{ClientID: "client", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: "https://as.example.com/token"}},
	}
}

func someGrant(id string) *oauth2.Token {
	return &oauth2.Token{AccessToken: "access-token-of-" + id, RefreshToken: "refresh-token-of-" + id, Expiry: time.Now().Add(time.Hour)}
}

// section happens before the commands of a section.
func (r *runbook) section(name string) {
	switch name {
	case "Rotation":
		require.NoError(r, r.grants().Put(r.Context(), "calendar", "alice", "as", someGrant("calendar")))
		r.startServices()
	case "Redis is lost":
		grant, err := r.grants().Reveal(r.Context(), "calendar", "alice")
		require.NoError(r, err, "the grant has been resealed twice")
		require.Equal(r, "refresh-token-of-calendar", grant.RefreshToken)
		r.redis.Kill()
		r.redis.Start()
	case "To a key service":
		r.servicesWithoutErrors()
		r.everyRowOpens()
	}
}

func (r *runbook) servicesWithoutErrors() {
	require.Len(r, r.services, 3)
	for _, p := range r.services {
		require.Zero(r, p.wait(), p.err.String())
		var sealed, opened, keys int
		_, err := fmt.Sscanf(p.out.String(), "sealed %d opened %d keys %d\n", &sealed, &opened, &keys)
		require.NoError(r, err, p.out.String())
		require.Positive(r, sealed)
		require.Positive(r, opened)
		require.Equal(r, 3, keys, "it opened values under the first key and under those of both rotations")
		r.Logf("a service sealed %d and opened %d values across two rotations: no error", sealed, opened)
	}
}

func (r *runbook) everyRowOpens() {
	ring, err := (&keySource{file: filepath.Join(r.dir, "keyring.json")}).load()
	require.NoError(r, err)
	for id := 1; id <= 3*rowsOfService; id++ {
		var sealed string
		require.NoError(r, r.db.QueryRow("SELECT token FROM tokens WHERE id = $1", id).Scan(&sealed))
		plaintext, _, err := ring.Open(r.Context(), sealed, tokenvault.Use{Host: "api.example.com", Subject: ownerOf(id)})
		require.NoError(r, err, id)
		require.Equal(r, plaintextOf(id), string(plaintext))
	}
}

// block is commands of the runbook, and the section they stand in.
type block struct{ section, commands string }

func readRunbook(t *testing.T) []block {
	text, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	var blocks []block
	section := ""
	for _, m := range regexp.MustCompile("(?ms)^## ([^\n]+)$|^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			section = m[1]
			continue
		}
		blocks = append(blocks, block{section, m[2]})
	}
	require.Len(t, blocks, strings.Count(string(text), "```sh\n"), "every block is found")
	require.Greater(t, len(blocks), 12)
	return blocks
}

// Every block of the runbook, in order, with three services that keep sealing
// and opening each other's values during both rotations.
func TestRunbook(t *testing.T) {
	blocks := readRunbook(t)
	r := newRunbook(t)
	section := ""
	for _, b := range blocks {
		if b.section != section {
			section = b.section
			r.section(section)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		cmd := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", b.commands)
		cmd.Dir, cmd.Env = r.dir, r.env
		out, err := cmd.CombinedOutput()
		cancel()
		require.NoError(t, err, "%s:\n%s\n%s", section, b.commands, out)
		r.said.Write(out)
	}
	require.Contains(t, r.said.String(), fmt.Sprintf("%d would be sealed, 0 already were, 0 failed", 3*rowsOfService))
	require.Contains(t, r.said.String(), "sidecar.json: good")
	leaktest.None(t, []byte(r.said.String()), apiKey, plaintextOf(1), "refresh-token-of-calendar")
	require.NoFileExists(t, filepath.Join(r.dir, "keyring.json"))
	r.keyServiceOpens()
}

// keyServiceOpens opens a value with the keyring that only the key service
// decrypts.
func (r *runbook) keyServiceOpens() {
	encrypted, err := os.ReadFile(filepath.Join(r.dir, "keyring.enc"))
	require.NoError(r, err)
	k := localsecrets.NewKeeper(keeperKey)
	r.Cleanup(func() { _ = k.Close() })
	ring, err := tokenvault.OpenKeyring(r.Context(), encrypted, k)
	require.NoError(r, err)
	sealed, err := os.ReadFile(filepath.Join(r.dir, "api-key.sealed"))
	require.NoError(r, err)
	plaintext, _, err := ring.Open(r.Context(), strings.TrimSpace(string(sealed)), tokenvault.Use{Host: "api.example.com", Subject: "app"})
	require.NoError(r, err)
	require.Equal(r, apiKey, string(plaintext))
}

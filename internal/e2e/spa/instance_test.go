package spa

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// instanceEnv makes this test binary run as one instance of the proxy.
const instanceEnv = "TOKENVAULT_SPA_INSTANCE"

// settings are what the instances of a fleet have in common, and a clock.
type settings struct {
	Redis, Postgres     string // one of them: an address, a URL
	Keys                json.RawMessage
	Issuer, Token       string // Token: where the token endpoint is reached
	Vault, App, API     string
	IssuerHost, APIHost string
	CertPEM, KeyPEM     []byte
	Ahead               time.Duration // of its clock
}

// state opens the shared store.
func (s settings) state(ctx context.Context) (vault.Store, spa.Sessions, error) {
	if s.Redis != "" {
		c := redis.NewClient(&redis.Options{Addr: s.Redis})
		return redisstore.NewStore(c), redisstore.NewSessions(c), nil
	}
	db, err := sql.Open("pgx", s.Postgres)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(20)
	store := sqlstore.NewStore(db, sqlstore.PostgreSQL)
	return store, sqlstore.NewSessions(db, sqlstore.PostgreSQL), store.Migrate(ctx)
}

// proxy is what a program that embeds the proxy does at its start.
func (s settings) proxy(ctx context.Context) (http.Handler, error) {
	store, sessions, err := s.state(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := tokenvault.ParseKeyring(s.Keys)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CertPEM)
	network := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 32, IdleConnTimeout: 2 * time.Second,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1"+addr[strings.LastIndexByte(addr, ':'):])
		},
	}
	now := func() time.Time { return time.Now().Add(s.Ahead) }
	grants, err := vault.New(vault.Config{Sealer: keys, Store: store, Now: now, Providers: []*vault.Provider{{
		Name: "as", Client: &http.Client{Transport: network}, Hosts: []string{s.APIHost, s.IssuerHost},
		RevocationURL: s.Issuer + "/token/revocation",
		OAuth2: &oauth2.Config{
			ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"openid", "profile"},
			Endpoint: oauth2.Endpoint{TokenURL: s.Token},
		},
	}}})
	if err != nil {
		return nil, err
	}
	return spa.New(spa.Config{
		Vault: grants, Provider: "as", Issuer: s.Issuer, Origin: s.Vault, Origins: []string{s.App},
		RedirectURIs: []string{s.App + "/callback"}, Resources: []spa.Resource{{Pattern: "/v1/", Upstream: s.API}},
		Sessions: sessions, Base: network, Now: now,
	})
}

// runInstance serves until standard input ends; it prints where.
func runInstance(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	proxy, err := s.proxy(context.Background())
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(s.CertPEM, s.KeyPEM)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: patience}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// instance is a process that runs the proxy.
type instance struct {
	addr string
	cmd  *exec.Cmd
}

func startInstance(t *testing.T, s settings) *instance {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	i := &instance{cmd: exec.Command(os.Args[0])}
	i.cmd.Env = append(os.Environ(), instanceEnv+"="+string(text))
	i.cmd.Stderr = os.Stderr
	in, err := i.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := i.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, i.cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = i.cmd.Process.Kill()
		_ = i.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	i.addr = strings.TrimSpace(line)
	return i
}

// kill ends the process as a crash does.
func (i *instance) kill() { _ = i.cmd.Process.Kill() }

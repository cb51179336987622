package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func needServer(t *testing.T) {
	t.Helper()
	if !authserver.Available() {
		testserver.Missing(t, "node and npm")
	}
}

func TestGateway(t *testing.T) {
	t.Parallel()
	needServer(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, false), out.String())
	require.Contains(t, out.String(), `Bearer realm="shop", error="insufficient_scope", scope="orders"`)
	require.Contains(t, out.String(), "introspections: 3 for 6 requests with a token")
	leaktest.None(t, out.Bytes(), gatewaySecret, appSecret)
}

func TestServeStaysUntilInterrupted(t *testing.T) {
	t.Parallel()
	needServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, writer, true) }()
	said := make([]byte, 4096)
	_, err := reader.Read(said)
	require.NoError(t, err)
	_, err = reader.Read(said)
	require.NoError(t, err)
	require.Contains(t, string(said), "/orders/7")
	cancel()
	require.NoError(t, <-done)
}

// The services echo their request headers, and the JWT still stays inside.
func TestTheJWTStaysInside(t *testing.T) {
	t.Parallel()
	needServer(t)
	s, err := start(t.Context())
	require.NoError(t, err)
	defer s.close()
	token, err := s.token(t.Context(), "orders")
	require.NoError(t, err)
	_, header, _, err := s.call(t.Context(), "/auth", token)
	require.NoError(t, err)
	jwt := strings.TrimPrefix(header.Get("Authorization"), "Bearer ")
	require.Len(t, strings.Split(jwt, "."), 3)
	for _, path := range []string{"/orders/7", "/stock/7"} {
		status, header, body, err := s.call(t.Context(), path, token)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.NotEmpty(t, header.Get("X-Echo-X-Forwarded-For"), "it does echo")
		leaktest.None(t, fmt.Append(nil, header, body), jwt)
	}
}

// A real nginx, with the nginx.conf of this folder.
func TestNginxAuthRequest(t *testing.T) {
	t.Parallel()
	needServer(t)
	nginx := testserver.Need(t, "nginx")[0]
	s, err := start(t.Context())
	require.NoError(t, err)
	defer s.close()
	token, err := s.token(t.Context(), "orders")
	require.NoError(t, err)
	poor, err := s.token(t.Context(), "read")
	require.NoError(t, err)
	gateway, err := url.Parse(s.front.URL)
	require.NoError(t, err)
	front := startNginx(t, nginx, gateway.Host, s.orders.Host)

	for _, c := range []struct {
		rule, token string
		status      int
		want        string // body, or challenge
	}{
		{"an opaque token", token, http.StatusOK, "orders for app"},
		{"again", token, http.StatusOK, "orders for app"},
		{"a made-up token", "made-up", http.StatusUnauthorized, `Bearer realm="shop", error="invalid_token"`},
		{"without the scope", poor, http.StatusForbidden, ""},
		{"no token", "", http.StatusUnauthorized, `Bearer realm="shop"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+"/orders/7", nil)
		require.NoError(t, err)
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := s.front.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, c.rule)
		require.Contains(t, []string{string(body), resp.Header.Get("WWW-Authenticate")}, c.want, c.rule)
		require.NotContains(t, fmt.Sprint(resp.Header), "Bearer ey", c.rule)
	}
	asked, err := s.introspections()
	require.NoError(t, err)
	require.Equal(t, 3, asked)
}

// startNginx runs nginx.conf with the addresses of this test.
func startNginx(t *testing.T, program, gateway, orders string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listen := l.Addr().String()
	require.NoError(t, l.Close())
	config, err := os.ReadFile("nginx.conf")
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("127.0.0.1:8080", listen, "127.0.0.1:8081", gateway, "127.0.0.1:8082", orders).Replace(string(config))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.CommandContext(t.Context(), program, "-p", dir, "-c", file,
		"-g", "daemon off; master_process off; pid "+filepath.Join(dir, "pid")+"; error_log stderr;")
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", listen, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 20*time.Second, 20*time.Millisecond, "nginx does not listen: %s", &log)
	return "http://" + listen
}

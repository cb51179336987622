// Package authserver runs a real authorization server, the npm package
// oidc-provider, on a loopback port: for examples that log somebody in and for
// end-to-end tests. It needs node and npm; the first Start installs the pinned
// packages, without their scripts, into the user's cache directory.
package authserver

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

var (
	//go:embed server.mjs
	serverJS []byte
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// Config is what the server is made with.
type Config struct {
	// Host is the issuer's host name; it must resolve to loopback for whoever
	// uses it. Default 127.0.0.1.
	Host string
	// CertPEM and KeyPEM make the server speak https.
	CertPEM, KeyPEM []byte
	// CAFile holds further certificates that the server trusts when it calls a
	// client (back-channel logout).
	CAFile string
	// Clients is OpenID Connect dynamic registration metadata, one object a
	// client: client_id, client_secret, redirect_uris, grant_types, …
	Clients []Client
	// Scopes beside openid, offline_access, profile and email.
	Scopes []string
	// Resources are resource servers by their identifier (RFC 8707).
	Resources map[string]Resource
	// DefaultResource is used when a request names none; "": access tokens are
	// opaque and for the userinfo endpoint.
	DefaultResource string
	// AccessTokenTTL is an access token's life in seconds. Default 60.
	AccessTokenTTL int
}

// Client is registration metadata in RFC 7591's member names.
type Client map[string]any

// Resource says what access tokens for a resource server look like.
type Resource struct {
	Scope  string `json:"scope"`            // space separated
	Format string `json:"format,omitempty"` // "jwt" (RFC 9068, default) or "opaque"
	Alg    string `json:"alg,omitempty"`    // RS256 (default), ES256, EdDSA
}

// Server is a running authorization server.
type Server struct {
	Issuer string

	cmd     *exec.Cmd
	mu      sync.Mutex
	in      io.WriteCloser
	answers *json.Decoder
}

// ErrMissing is what Start returns where node or npm is not installed.
var ErrMissing = errors.New("authserver: node and npm are needed")

// Start starts a server. It lives until Close, or until ctx ends.
func Start(ctx context.Context, c Config) (*Server, error) {
	dir, err := install(ctx)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	s := &Server{cmd: exec.CommandContext(ctx, "node", "--no-warnings", filepath.Join(dir, "server.mjs"))}
	setup := c.setup(port)
	s.Issuer = setup.Issuer
	s.cmd.Stderr = io.Discard
	if os.Getenv("AUTHSERVER_LOG") != "" {
		s.cmd.Stderr = os.Stderr
	}
	if c.CAFile != "" {
		s.cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+c.CAFile)
	}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	s.answers = json.NewDecoder(bufio.NewReader(out))
	var ready struct{ Ready bool }
	if err := errors.Join(json.NewEncoder(s.in).Encode(setup), s.answers.Decode(&ready)); err != nil || !ready.Ready {
		_ = s.Close()
		return nil, fmt.Errorf("authserver: the server did not start (AUTHSERVER_LOG=1 shows why): %w", err)
	}
	return s, nil
}

// setup is the first line that server.mjs reads.
type setup struct {
	Issuer          string              `json:"issuer"`
	Port            string              `json:"port"`
	Cert            string              `json:"cert,omitempty"`
	Key             string              `json:"key,omitempty"`
	Clients         []Client            `json:"clients"`
	Scopes          []string            `json:"scopes,omitempty"`
	Resources       map[string]Resource `json:"resources,omitempty"`
	DefaultResource string              `json:"defaultResource,omitempty"`
	AccessTokenTTL  int                 `json:"accessTokenTTL"`
}

func (c Config) setup(port string) setup {
	scheme, host, ttl := "http", "127.0.0.1", 60
	if len(c.CertPEM) > 0 {
		scheme = "https"
	}
	if c.Host != "" {
		host = c.Host
	}
	if c.AccessTokenTTL > 0 {
		ttl = c.AccessTokenTTL
	}
	return setup{
		Issuer: scheme + "://" + net.JoinHostPort(host, port), Port: port,
		Cert: string(c.CertPEM), Key: string(c.KeyPEM),
		Clients: c.Clients, Scopes: c.Scopes, Resources: c.Resources,
		DefaultResource: c.DefaultResource, AccessTokenTTL: ttl,
	}
}

// Counts says how often things happened: "POST /token", "grant.success
// refresh_token", "grant.error refresh token already used", ….
func (s *Server) Counts() (map[string]int, error) {
	var counts map[string]int
	return counts, s.call(map[string]any{"command": "counts"}, &counts)
}

// Rotate puts new signing keys in front and keeps the newest keep generations
// published. It returns the published key ids.
func (s *Server) Rotate(keep int) (kids []string, err error) {
	return kids, s.call(map[string]any{"command": "rotate", "keep": keep}, &kids)
}

func (s *Server) call(command, result any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewEncoder(s.in).Encode(command); err != nil {
		return fmt.Errorf("authserver: %w", err)
	}
	answer := struct{ Result any }{result}
	if err := s.answers.Decode(&answer); err != nil {
		return fmt.Errorf("authserver: %w", err)
	}
	return nil
}

// Close ends the server.
func (s *Server) Close() error {
	_ = s.in.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// install returns a directory with the server and its packages, made at first
// use and named by their content. Several processes may do so at once: each
// works in a directory of its own and the first rename wins.
func install(ctx context.Context) (string, error) {
	if !Available() {
		return "", ErrMissing
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("authserver: %w", err)
	}
	sum := sha256.Sum256(append(append(append([]byte{}, serverJS...), packageJSON...), packageLock...))
	dir := filepath.Join(cache, "tokenvault", fmt.Sprintf("authserver-%x", sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("authserver: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "installing-")
	if err != nil {
		return "", fmt.Errorf("authserver: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	for name, content := range map[string][]byte{"server.mjs": serverJS, "package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(work, name), content, 0o644); err != nil {
			return "", fmt.Errorf("authserver: %w", err)
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("authserver: npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(work, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr != nil {
			return "", fmt.Errorf("authserver: %w", err)
		}
	}
	return dir, nil
}

// Available reports whether node and npm are installed.
func Available() bool {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return true
}

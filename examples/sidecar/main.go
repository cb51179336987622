// Command sidecar lets programs that are not written in Go call a third party
// with credentials that they hold sealed: curl and a small Node script, which
// have no key, go through a sidecar, which has. It exits with 0 only if every
// step went as it should.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

//go:embed call.mjs
var script string

const apiKey = "the-api-key-of-the-third-party"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sidecar:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	api := startThirdParty()
	defer api.Close()
	host := strings.TrimPrefix(api.URL, "https://")

	jwk, err := tokenvault.NewKey()
	if err != nil {
		return err
	}
	keys, err := tokenvault.ParseKeyring(jwk) // the sidecar's alone
	if err != nil {
		return err
	}
	sealed, err := keys.Seal(ctx, []byte(apiKey), tokenvault.Label{Hosts: []string{host}, Subject: "app"})
	if err != nil {
		return err
	}
	side, err := startSidecar(keys, api.Client().Transport, host)
	if err != nil {
		return err
	}
	calls := &calls{out: out, api: api, side: side, sealed: sealed, host: host}
	if err := calls.all(ctx); err != nil {
		return errors.Join(err, side.stop(ctx))
	}
	return side.stop(ctx)
}

// A sidecar listens on loopback, beside the application.
type sidecar struct {
	url, secret string
	server      *http.Server
	served      chan error
}

func startSidecar(keys *tokenvault.Keyring, network http.RoundTripper, host string) (*sidecar, error) {
	transport, err := relay.New(relay.Config{
		Sealer: keys, Base: network,
		Destinations: []relay.Destination{{
			Host: host, Routes: []string{"/v1/"}, Open: []string{"header:X-Api-Key"},
			Seal: []relay.Field{{At: "$.session"}}, RequireSubject: true,
		}},
	})
	if err != nil {
		return nil, err
	}
	s := &sidecar{secret: rand.Text(), served: make(chan error, 1)}
	hash := sha256.Sum256([]byte(s.secret))
	timeouts := relay.Timeouts{Header: 10 * time.Second, Read: time.Minute, Idle: time.Minute, Upstream: 30 * time.Second}
	proxy, err := relay.NewProxy(relay.ProxyConfig{
		Transport: transport,
		Routes:    map[string]string{"/thirdparty/": "https://" + host},
		Forward:   true,
		Callers:   []relay.Caller{{Name: "app", BearerSHA256: hash[:], Hosts: []string{host}, Subjects: []string{"app"}}},
		Timeouts:  timeouts,
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.url, s.server = "http://"+listener.Addr().String(), timeouts.Server(proxy)
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// stop is what a program does on SIGTERM.
func (s *sidecar) stop(ctx context.Context) error {
	if err := relay.Shutdown(ctx, s.server, 100*time.Millisecond); err != nil {
		return err
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// thirdParty speaks TLS and wants its API key; it answers with a session.
type thirdParty struct {
	*httptest.Server
	mu   sync.Mutex
	keys []string
}

func startThirdParty() *thirdParty {
	t := new(thirdParty)
	t.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-Api-Key")
		t.mu.Lock()
		t.keys = append(t.keys, key)
		t.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if key != apiKey {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"unauthorized"}`)
			return
		}
		_, _ = io.WriteString(w, `{"hello":"app","session":"a-session-of-the-third-party"}`)
	}))
	return t
}

// received is what arrived since the last call, and what that was.
func (t *thirdParty) received() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := t.keys
	t.keys = nil
	return keys
}

// calls are made by programs that hold nothing but sealed strings.
type calls struct {
	out          io.Writer
	api          *thirdParty
	side         *sidecar
	sealed, host string
}

func (c *calls) all(ctx context.Context) error {
	auth, key := "X-Tokenvault-Auth: "+c.side.secret, "X-Api-Key: "+c.sealed
	target := c.side.url + "/thirdparty/v1/hello"
	forward := strings.Replace(c.side.url, "//", "//app:"+c.side.secret+"@", 1)
	steps := []struct {
		name string
		cmd  *exec.Cmd
		want string // in the answer
		sent bool   // the third party was asked
	}{
		{"curl, by a path of the sidecar", curl(ctx, "-H", auth, "-H", key, target), `"session":"tv1.`, true},
		{"curl, with the sidecar as its http_proxy", curl(ctx, "-x", forward, "-H", key, "http://"+c.host+"/v1/hello"), `"session":"tv1.`, true},
		{"a Node script", c.node(ctx, target), `"session":"tv1.`, true},
		{"refused: a caller that nobody knows", curl(ctx, "-H", key, target), "authentication required", false},
		{"refused: a host that is not the caller's", curl(ctx, "-x", forward, "-H", key, "http://evil.example.com/"), "host not allowed", false},
		{"refused: the key in a comment field", curl(ctx, "-H", auth, "-d", "comment="+c.sealed, target), "not allowed here", false},
		{"refused: a tunnel, which cannot be opened", curl(ctx, "-x", forward, "https://"+c.host+"/v1/hello"), "", false},
	}
	for _, s := range steps {
		answer, _ := s.cmd.Output() // curl's exit status for a refused tunnel is not 0; the answer tells
		received := c.api.received()
		fmt.Fprintf(c.out, "%s\n  the program held          %s\n  the third party received  %s\n  the answer                %s\n\n",
			s.name, short(c.sealed), strings.Join(received, " "), short(string(answer)))
		switch {
		case !strings.Contains(string(answer), s.want):
			return fmt.Errorf("%s: unexpected answer", s.name)
		case s.sent && (len(received) != 1 || received[0] != apiKey):
			return fmt.Errorf("%s: the third party did not receive its key", s.name)
		case !s.sent && len(received) != 0:
			return fmt.Errorf("%s: the third party was asked", s.name)
		case strings.Contains(string(answer), "a-session-of"):
			return fmt.Errorf("%s: the session reached the program", s.name)
		}
	}
	return nil
}

// curl ignores the proxy settings of the environment.
func curl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "curl", append([]string{"--silent", "--max-time", "20", "--noproxy", ""}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return cmd
}

func (c *calls) node(ctx context.Context, target string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "-")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TARGET=" + target, "CALLER=" + c.side.secret, "API_KEY=" + c.sealed}
	return cmd
}

// short shows the beginning of what is long.
func short(s string) string {
	if s = strings.TrimSpace(s); len(s) > 72 {
		return s[:72] + "…"
	}
	return s
}

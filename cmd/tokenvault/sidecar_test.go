package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

const callerSecret = "the secret of the calling program, which is long"

// sidecarFile writes a configuration with one destination.
func (c *cli) sidecarFile(destination string) string {
	c.Helper()
	file := filepath.Join(c.dir, "sidecar.json")
	text := fmt.Sprintf(`{"listen": "127.0.0.1:0", "destinations": [%s], "routes": {"/api/": "https://api.example.com"},
		"callers": [{"name": "app", "bearer_sha256": "%x", "hosts": ["api.example.com"], "subjects": ["app"]}]}`,
		destination, sha256.Sum256([]byte(callerSecret)))
	require.NoError(c, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestSidecarCheck(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	good := `{"host": "api.example.com", "open": ["header:Authorization"]}`
	require.Contains(t, c.ok("", "relay", "--check", "--config", c.sidecarFile(good)), "good")
	for _, row := range []struct{ rule, destination, says string }{
		{"a place that is none", `{"host": "api.example.com", "open": ["nowhere"]}`, "Destinations[0].Open[0]"},
		{"a host that is none", `{"host": "*.com", "open": ["header:Authorization"]}`, "Destinations[0].Host"},
		{"a misspelt restriction", `{"host": "api.example.com", "opens": ["header:Authorization"]}`, `unknown field "opens"`},
		{"a life that is none", `{"host": "api.example.com", "seal": [{"at": "$.token", "ttl": "long"}]}`, "a duration is written like"},
		{"something after the end", good + "]}{", "something follows"},
	} {
		code, out, errOut := c.run("", "relay", "--check", "--config", c.sidecarFile(row.destination))
		require.Equal(t, 1, code, row.rule)
		require.Empty(t, out, row.rule)
		require.Contains(t, errOut, row.says, row.rule)
	}
}

// upstream is a third-party API that says what bearer it was called with. Calls
// wait at it until they are let go.
type upstream struct {
	*httptest.Server
	arrived chan struct{}
	letGo   chan struct{}
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{arrived: make(chan struct{}, 1000), letGo: make(chan struct{})}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.arrived <- struct{}{}
		<-u.letGo
		sum := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		_, _ = fmt.Fprintf(w, "%x", sum)
	}))
	t.Cleanup(u.Close)
	return u
}

// sidecar starts the real program in front of u and returns its base URL.
func (c *cli) sidecar(u *upstream) (*process, string) {
	c.Helper()
	host := u.Listener.Addr().String()
	text := fmt.Sprintf(`{"listen": "127.0.0.1:0", "destinations": [{"host": %q, "open": ["header:Authorization"], "insecure_http": true}],
		"routes": {"/api/": %q}, "callers": [{"name": "app", "bearer_sha256": "%x", "hosts": [%q], "subjects": ["app"]}]}`,
		host, u.URL, sha256.Sum256([]byte(callerSecret)), host)
	file := filepath.Join(c.dir, "sidecar.json")
	require.NoError(c, os.WriteFile(file, []byte(text), 0o600))
	p := start(c, nil, "relay", "--config", file, "--keyring", c.keyring)
	said := p.says(&p.err, func(text string) bool {
		return strings.Contains(text, "listening on ") && strings.HasSuffix(text, "\n")
	})
	_, address, _ := strings.Cut(strings.TrimSpace(said), "listening on ")
	return p, "http://" + address
}

// call sends sealed through the sidecar and returns the status and the answer.
func call(t *testing.T, base, sealed string) (int, string, error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/thing", nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+sealed)
	request.Header.Set("Proxy-Authorization", "Bearer "+callerSecret)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

func TestSidecarAdoptsAKeyringAndLosesNoCall(t *testing.T) {
	const credential, calls = "the credential of the third party", 20
	c := newCLI(t)
	u := newUpstream(t)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	p, base := c.sidecar(u)
	c.rotate()
	sealed := strings.TrimSpace(c.ok(credential, "seal", "--subject", "app", "--host", u.Listener.Addr().String()))
	status, _, err := call(t, base, sealed)
	require.NoError(t, err)
	require.NotEqual(t, http.StatusOK, status, "the sidecar does not have the key yet")
	require.Empty(t, u.arrived, "nothing was sent")

	p.signal(syscall.SIGHUP)
	p.says(&p.err, func(text string) bool { return strings.Contains(text, "keyring adopted") })
	good, err := os.ReadFile(c.keyring)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(c.keyring, []byte("{"), 0o600))
	p.signal(syscall.SIGHUP)
	p.says(&p.err, func(text string) bool { return strings.Contains(text, "not adopted") })
	require.NoError(t, os.WriteFile(c.keyring, good, 0o600))

	failed := make(chan error, calls)
	want := fmt.Sprintf("%x", sha256.Sum256([]byte("Bearer "+credential)))
	for range calls {
		go func() {
			status, body, err := call(t, base, sealed)
			if err == nil && (status != http.StatusOK || body != want) {
				err = fmt.Errorf("status %d: %s", status, body)
			}
			failed <- err
		}()
	}
	for range calls {
		<-u.arrived
	}
	p.signal(syscall.SIGTERM)
	until(t, "it accepts no more", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(u.letGo)
	for range calls {
		require.NoError(t, <-failed, "every call under way is answered")
	}
	require.Zero(t, p.wait(), p.err.String())
	require.Contains(t, p.err.String(), "ended")
	leaktest.None(t, []byte(p.out.String()+p.err.String()), append(c.secrets(), credential, callerSecret)...)
}

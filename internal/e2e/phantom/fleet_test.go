package phantom

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

// process is a worker seen from outside.
type process struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func spawn(t *testing.T, s settings) *process {
	t.Helper()
	config, err := json.Marshal(s)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), workerEnv+"="+string(config))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &process{t: t, in: in, out: bufio.NewScanner(out)}
}

func (p *process) exchange(token string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, token)
	require.NoError(p.t, err)
}

func (p *process) says(want string) {
	p.t.Helper()
	require.True(p.t, p.out.Scan(), "the process has ended")
	require.Equal(p.t, want, p.out.Text())
}

func certificate(t *testing.T, srv *phantomtest.Server) []byte {
	t.Helper()
	resp, err := srv.Client().Get(srv.URL())
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.TLS.PeerCertificates[0].Raw
}

// Four processes, fifty callers each, one new token, and a server that does not
// answer before all processes have asked for the right to ask it.
func TestOneIntrospectionForFourProcesses(t *testing.T) {
	t.Parallel()
	srv := newFake(t)
	server, _ := newRedis(t)
	s := settings{Endpoint: srv.URL(), Cert: certificate(t, srv), Redis: server.Addr, Key: fleetKey, Callers: 50}
	fleet := make([]*process, 4)
	for i := range fleet {
		fleet[i] = spawn(t, s)
	}
	const rounds = 5
	for round := range rounds {
		release := srv.Hold()
		for _, p := range fleet {
			p.exchange(fmt.Sprintf("%s-%d", opaque, round))
		}
		for _, p := range fleet {
			p.says("asking")
		}
		require.NoError(t, srv.AwaitHeld(t.Context(), 1))
		release()
		for _, p := range fleet {
			p.says("done 50")
		}
	}
	require.Equal(t, rounds, srv.Total(), "one introspection a token for %d exchanges", rounds*4*50)
}

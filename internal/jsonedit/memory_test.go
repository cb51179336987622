package jsonedit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const memoryVar = "JSONEDIT_MEMORY_TEST_MB"

// endless is a JSON array of n bytes or a little more, made on the fly.
type endless struct {
	n     int
	block []byte // a number of elements
	begun bool
}

func (d *endless) Read(p []byte) (int, error) {
	if d.n <= 0 {
		return 0, io.EOF
	}
	if !d.begun {
		d.begun = true
		return copy(p, "["), nil
	}
	n := len(d.block)
	if d.n -= n; d.n <= 0 {
		return copy(p, "null]"), nil
	}
	return copy(p[:n], d.block), nil
}

func TestMain(m *testing.M) {
	if mb, err := strconv.Atoi(os.Getenv(memoryVar)); err == nil {
		os.Exit(editEndless(mb))
	}
	os.Exit(m.Run())
}

// editEndless is the child process: it edits a document of mb megabytes and
// prints how many values it has replaced.
func editEndless(mb int) int {
	e, err := Compile("$..token")
	if err != nil {
		return 1
	}
	accounts := bytes.TrimSuffix(bytes.TrimPrefix(tokenList(3e3), []byte("[")), []byte("]\n"))
	block := fmt.Appendf(nil, `%s,{"photo":"%s"},`, accounts, strings.Repeat("iVBORw0K", 7000))
	repl, n := []byte(`"REDACTED"`), 0
	err = e.Edit(io.Discard, bufio.NewReaderSize(&endless{n: mb * 1e6, block: block}, windowSize), func(Value) ([]byte, error) {
		n++
		return repl, nil
	})
	fmt.Println(n, err, peak())
	return 0
}

// peak is the most memory that this process has held, in kB: VmHWM where there
// is one, elsewhere what the runtime has asked for.
func peak() int {
	status, _ := os.ReadFile("/proc/self/status")
	if _, line, found := strings.Cut(string(status), "VmHWM:"); found {
		var kB int
		if _, err := fmt.Sscan(line, &kB); err == nil {
			return kB
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.Sys >> 10)
}

// peakOf is the peak memory in kB of a child that edits mb megabytes.
func peakOf(t *testing.T, mb int) (kB, edited int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memoryVar+"="+strconv.Itoa(mb), "GOMEMLIMIT=64MiB")
	out, err := cmd.Output()
	require.NoError(t, err)
	_, err = fmt.Sscanf(string(out), "%d <nil> %d", &edited, &kB)
	require.NoError(t, err, "%s", out)
	return kB, edited
}

func TestElsewhere_LargeBodyIsBuffered(t *testing.T) {
	t.Parallel()
	mb := 50
	if raced {
		mb = 3 // the race detector makes it thirty times slower
	}
	small, few := peakOf(t, mb)
	large, many := peakOf(t, 10*mb)
	t.Logf("peak %d kB at %d MB, %d kB at %d MB", small, mb, large, 10*mb)
	require.Greater(t, few, 100*mb)
	require.InDelta(t, 10, float64(many)/float64(few), 0.5)
	require.Less(t, float64(large), 1.1*float64(small))
}

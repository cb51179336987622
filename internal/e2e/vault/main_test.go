package vault

import (
	"flag"
	"os"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

var update = flag.Bool("update", false, "write docs/faults.md")

func TestMain(m *testing.M) {
	if config, ok := os.LookupEnv(workerEnv); ok {
		os.Exit(runWorker(config, os.Stdin, os.Stdout))
	}
	// The runs of the fault matrix wait for leases more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "10"); err != nil {
		panic(err)
	}
	leaktest.Main(m)
}

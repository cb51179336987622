package spa

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

const patience = 45 * time.Second

func TestMain(m *testing.M) {
	if settings, ok := os.LookupEnv(instanceEnv); ok {
		if err := runInstance(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leaktest.Main(m)
}

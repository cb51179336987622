package redact_test

import (
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

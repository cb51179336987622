package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// chosen is the source that decides which mutant is on.
const chosen = `package %s

import (
	"os"
	"strconv"
)

var theMutant, _ = strconv.Atoi(os.Getenv("MUTANT"))

func mutantOn(id int) bool { return theMutant == id }
`

// try runs the tests of folder once for each mutant of files.
func try(ctx context.Context, folder string, files []string) ([]*mutant, error) {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "mutants.test")
	mutants, err := build(ctx, dir, folder, files, binary)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if killed, err := test(ctx, folder, binary, 0, 10*time.Minute); err != nil || killed {
		return nil, errors.Join(errors.New("the tests fail without a mutant"), err)
	}
	limit := 4*time.Since(start) + 5*time.Second // a mutant that never ends is killed, too
	var group sync.WaitGroup
	errs := make([]error, len(mutants))
	slots := make(chan struct{}, *workers)
	for i, m := range mutants {
		slots <- struct{}{}
		group.Go(func() {
			m.killed, errs[i] = test(ctx, folder, binary, m.id, limit)
			<-slots
		})
	}
	group.Wait()
	return mutants, errors.Join(errs...)
}

// build compiles the tests of folder with all mutants of files in it.
func build(ctx context.Context, dir, folder string, files []string, binary string) ([]*mutant, error) {
	var mutants []*mutant
	replace := map[string]string{}
	write := func(file string, text []byte) error {
		at, err := filepath.Abs(file)
		replace[at] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		return errors.Join(err, os.WriteFile(replace[at], text, 0o600))
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		text, err := instrument(file, src, func(m *mutant) {
			mutants = append(mutants, m)
			m.id = len(mutants)
		})
		if err := errors.Join(err, write(file, text)); err != nil {
			return nil, err
		}
	}
	if err := write(filepath.Join(folder, "mutants_chosen.go"), fmt.Appendf(nil, chosen, filepath.Base(folder))); err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./"+folder).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return mutants, nil
}

// test reports whether the tests fail with the mutant of that number. What runs
// away with the memory fails, too.
func test(ctx context.Context, folder, binary string, id int, limit time.Duration) (killed bool, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 8000000; exec "$@"`, "sh", binary,
		"-test.failfast", "-test.timeout", limit.String(), "-test.skip", *skip)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), fmt.Sprintf("MUTANT=%d", id))
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return true, nil
	}
	return false, err
}

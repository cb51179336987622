package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// chosen is the source that decides which mutant is on, and notes which are
// reached.
const chosen = `package %s

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var (
	theMutant, _  = strconv.Atoi(os.Getenv("MUTANT"))
	theTrace      = os.Getenv("MUTANT_TRACE")
	mutantReached [%d]atomic.Bool
)

func mutantOn(id int) bool {
	if theTrace != "" && !mutantReached[id].Swap(true) {
		f, err := os.OpenFile(theTrace, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintln(f, id)
		_ = f.Close()
	}
	return theMutant == id
}
`

// build compiles the tests of folder with all mutants of files in it.
func build(ctx context.Context, dir, folder string, files []string, to string) ([]*mutant, error) {
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
	source := fmt.Appendf(nil, chosen, filepath.Base(folder), len(mutants)+1)
	if err := write(filepath.Join(folder, "mutants_chosen.go"), source); err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", to, "./"+folder).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return mutants, nil
}

// A binary holds the tests of folder, with its mutants.
type binary struct{ path, folder string }

// list names the tests, without those that are skipped.
func (b binary) list(ctx context.Context) (tests []test, err error) {
	out, err := exec.CommandContext(ctx, b.path, "-test.list", "^(Test|Fuzz|Example)").Output()
	if err != nil {
		return nil, err
	}
	left, err := regexp.Compile(*skip)
	if err != nil {
		return nil, err
	}
	for name := range strings.FieldsSeq(string(out)) {
		if !left.MatchString(name) {
			tests = append(tests, test{name: name})
		}
	}
	return tests, nil
}

var failure = regexp.MustCompile(`--- FAIL|^panic:|^fatal error:|^FAIL`)

// fails reports whether one of tests fails with the mutant of that number, and
// ends at the first. What runs away with the memory fails, too.
func (b binary) fails(ctx context.Context, tests []string, id int, trace string, limit time.Duration) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 8000000; exec "$@"`, "sh", b.path,
		"-test.v", "-test.timeout", limit.String(), "-test.run", "^("+strings.Join(tests, "|")+")$")
	cmd.Dir = b.folder
	cmd.Env = append(os.Environ(), fmt.Sprintf("MUTANT=%d", id), "MUTANT_TRACE="+trace)
	cmd.WaitDelay = time.Second // a child of the test may hold its output open
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	failed := false
	for lines := bufio.NewReader(out); !failed && err == nil; {
		var line string
		line, err = lines.ReadString('\n')
		failed = failure.MatchString(line)
	}
	if failed {
		cancel()
		_ = cmd.Wait()
		return true, nil
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 126 { // from there on the shell could not run it
		return true, nil
	}
	return false, err
}

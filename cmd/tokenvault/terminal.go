package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal is where the program speaks.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// isTerminal reports whether a person sits at f.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// secret reads a value: from a person without echo, else all of the input as it
// is, byte for byte.
func (t *terminal) secret(prompt string) ([]byte, error) {
	file, ok := t.in.(*os.File)
	if !ok || !isTerminal(file) {
		return readAll(t.in, maxInput)
	}
	fmt.Fprint(t.err, prompt)
	defer fmt.Fprintln(t.err)
	return term.ReadPassword(int(file.Fd()))
}

// confirm asks a person; without one the answer is no.
func (t *terminal) confirm(question string) bool {
	if !isTerminal(t.in) {
		return false
	}
	fmt.Fprintf(t.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(t.in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "y" || answer == "yes")
}

var errDeclined = errors.New("not printed")

// progress shows how far long work has come: a bar for a person, a line now and
// then for a log.
type progress struct {
	what  string
	total int64
	done  int64
	out   io.Writer
	bar   *progressbar.ProgressBar
	next  time.Time
}

const lineEvery = 2 * time.Second

// progress begins to show work on total things; total < 0: not known.
func (t *terminal) progress(what string, total int64) *progress {
	p := &progress{what: what, total: total, out: t.err, next: time.Now().Add(lineEvery)}
	if isTerminal(t.err) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(t.err), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) add(n int64) {
	p.done += n
	if p.bar != nil {
		_ = p.bar.Add64(n)
		return
	}
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(lineEvery)
		p.line()
	}
}

func (p *progress) line() {
	if p.total >= 0 {
		fmt.Fprintf(p.out, "%s: %d of %d\n", p.what, p.done, p.total)
		return
	}
	fmt.Fprintf(p.out, "%s: %d\n", p.what, p.done)
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
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

// interruptible is a read that ends with ctx. The process ends soon after it,
// and with it the read that was given up.
func interruptible[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// read returns all of the input.
func (t *terminal) read(ctx context.Context) ([]byte, error) {
	return interruptible(ctx, func() ([]byte, error) { return readAll(t.in, maxInput) })
}

// secret reads a value: from a person without echo, else all of the input as it
// is, byte for byte.
func (t *terminal) secret(ctx context.Context, prompt string) ([]byte, error) {
	file, ok := t.in.(*os.File)
	if !ok || !isTerminal(file) {
		return t.read(ctx)
	}
	fd := int(file.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	defer func() { _ = term.Restore(fd, state) }() // the echo, after an interruption
	defer fmt.Fprintln(t.err)
	go t.promptUnseen(fd, state, prompt)
	return interruptible(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
}

// promptUnseen asks only once the terminal has stopped to echo: who types as
// soon as the prompt is there, must not see it.
func (t *terminal) promptUnseen(fd int, echoing *term.State, prompt string) {
	for range 1000 {
		now, err := term.GetState(fd)
		if err != nil || !reflect.DeepEqual(now, echoing) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Fprint(t.err, prompt)
}

// confirm asks the person at the terminal, also when standard input is a pipe;
// without one the answer is no.
func (t *terminal) confirm(ctx context.Context, question string) (bool, error) {
	in := t.in
	if !isTerminal(in) {
		tty, err := os.Open("/dev/tty")
		if err != nil {
			return false, nil
		}
		defer func() { _ = tty.Close() }()
		in = tty
	}
	fmt.Fprintf(t.err, "%s [y/N] ", question)
	line, err := interruptible(ctx, func() (string, error) { return bufio.NewReader(in).ReadString('\n') })
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "y" || answer == "yes"), nil
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

// end takes the bar away: what was done is said in words.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

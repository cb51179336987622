// Command logging shows three things that services write down, before and after
// redact: structured log lines, an access log, a dumped request.
//
//	go run ./examples/logging
//
// It exits with 0 only if no credential is left in what comes after.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/redact"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "logging:", err)
		os.Exit(1)
	}
}

// section is something that is written down. write gets a nil Redactor for the
// time before.
type section struct {
	title string
	write func(w io.Writer, r *redact.Redactor) error
}

func run(out io.Writer) error {
	r, err := redact.New(redact.Default())
	if err != nil {
		return err
	}
	for _, s := range []section{{"slog, JSON handler", logLines}, {"HTTP access log", accessLog}, {"dumped request", dump}} {
		var before, after bytes.Buffer
		if err := s.write(&before, nil); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		if err := s.write(&after, r); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		sideBySide(out, s.title, before.String(), after.String())
		if err := verify(before.String(), after.String()); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	fmt.Fprintf(out, "%d credentials went in, none came out.\n", len(credentials))
	return nil
}

// verify makes sure that there was something to mask, and that it is gone.
func verify(before, after string) error {
	found := 0
	for i, c := range credentials {
		if strings.Contains(before, c) {
			found++
		}
		if strings.Contains(after, c) {
			return fmt.Errorf("credential %d is still there", i)
		}
	}
	if found == 0 {
		return fmt.Errorf("there was no credential to begin with")
	}
	return nil
}

// Package jsonedit replaces the values that JSONPaths (RFC 9535) select in a
// JSON text, and leaves every other byte as it came: white space, order,
// duplicates, the spelling of numbers and strings.
package jsonedit

import (
	"errors"
	"sync"
)

// Tier tells how much of a document an Editor must hold at once.
type Tier int

const (
	Streaming        Tier = iota // the scanner's window, and one selected value
	ElementBuffered              // one candidate element or array
	DocumentBuffered             // the whole document
)

var (
	ErrSyntax   = errors.New("jsonedit: invalid JSON") // also truncation, depth; the error says where
	ErrTooLarge = errors.New("jsonedit: value over the buffer cap")
	ErrText     = errors.New("jsonedit: string does not round-trip")
)

const (
	windowSize   = 64 << 10
	defaultLimit = 1 << 20
)

// Editor is compiled from JSONPaths. It is safe for concurrent use.
type Editor struct {
	prog   *program
	limit  int64
	window int
	runs   *sync.Pool
}

// Compile parses the paths (RFC 9535) into one editor. The error names the
// path by its index.
func Compile(paths ...string) (*Editor, error) {
	prog, err := newProgram(paths)
	if err != nil {
		return nil, err
	}
	return &Editor{prog: prog, limit: defaultLimit, window: windowSize, runs: new(sync.Pool)}, nil
}

// Limit returns a copy of e that buffers at most n bytes (a selected value, a
// candidate element or, in the document tier, a document). Default 1 MiB, also
// for n <= 0.
func (e *Editor) Limit(n int64) *Editor {
	c := *e
	if c.limit = n; n <= 0 {
		c.limit = defaultLimit
	}
	return &c
}

// Tier reports the most demanding tier of e's paths.
func (e *Editor) Tier() Tier { return e.prog.tier }

// A Replace func returns the JSON text that takes a selected value's place; nil
// leaves the value as it is. An error ends the edit.
type Replace func(v Value) ([]byte, error)

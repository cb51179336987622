// Package jsonedit replaces the values that JSONPaths (RFC 9535) select in a
// JSON text and leaves every other byte as it came: white space, order,
// duplicate names, the spelling of numbers and strings.
//
// The paths are compiled into one automaton that runs along the text in a window
// of 64 KiB, so that memory does not grow with the document. What a path needs
// beyond that is its Tier: a filter or an index from the end must see one element
// or array whole, a filter that mentions the root ($) the document.
//
// A value that is selected twice, or inside another selected value, is edited
// once, as the outermost. Of an object with duplicate names every selected
// occurrence is edited, and a filter selects what it would select for a reader
// that keeps the first of them or for one that keeps the last. Names are compared
// after unescaping.
//
// What is read must follow RFC 8259 to the letter, nest at most 10 000 deep, and
// hold at least one value. A byte order mark in front passes, and so do several
// values, with or without RFC 7464's record separators, each edited for itself.
// Invalid UTF-8 and lone surrogates pass where they are not selected; see
// Value.Text. On an error nothing more is written: what went out before it has
// been checked up to there, and no selected value is in it.
//
// A filter runs once for each candidate. One that walks the document or the
// candidate (with a descendant segment) takes time that grows with a power of
// the nesting, which is held to 256 there; the regular expressions that a
// document itself may bring are held to 100 an edit. Over a bound, or with a
// pattern that is absent, the edit fails.
//
// To read JSON into Go values, or to build it, use encoding/json.
package jsonedit

import (
	"errors"
	"sync"
)

// Tier tells how much of a document an Editor must hold at once.
type Tier int

// The tiers, from the least demanding to the most.
const (
	Streaming        Tier = iota // the scanner's window, and one selected value
	ElementBuffered              // one candidate element or array
	DocumentBuffered             // the whole document
)

// Errors of an edit, always wrapped.
var (
	ErrSyntax   = errors.New("jsonedit: invalid JSON") // also truncation, depth; the error says where
	ErrTooLarge = errors.New("jsonedit: value over the buffer cap")
	ErrText     = errors.New("jsonedit: string does not round-trip")
)

const (
	firstWindow  = 4 << 10
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

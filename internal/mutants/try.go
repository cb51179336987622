package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// try runs, for each mutant of files, those tests of folder that reach it.
func try(ctx context.Context, folder string, files []string) ([]*mutant, error) {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := binary{path: filepath.Join(dir, "mutants.test"), folder: folder}
	mutants, err := build(ctx, dir, folder, files, b.path)
	if err != nil {
		return nil, err
	}
	reached, err := b.trace(ctx, dir, len(mutants))
	if err != nil {
		return nil, err
	}
	return mutants, each(len(mutants), func(i int) error {
		m := mutants[i]
		tests, limit := reached[m.id], 10*time.Second // a mutant that never ends is killed, too
		if len(tests) == 0 {
			return nil
		}
		for _, t := range tests {
			limit += 4 * t.took
		}
		var err error
		for range 3 { // what a race hides once, a test may still notice
			if m.killed, err = b.fails(ctx, names(tests), m.id, "", limit); m.killed || err != nil {
				break
			}
		}
		return err
	})
}

// each calls do for 0 to n-1, several at once.
func each(n int, do func(i int) error) error {
	var group sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, *workers)
	for i := range n {
		slots <- struct{}{}
		group.Go(func() {
			errs[i] = do(i)
			<-slots
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// A test of a package, and how long it takes by itself.
type test struct {
	name string
	took time.Duration
}

func names(tests []test) []string {
	out := make([]string, len(tests))
	for i, t := range tests {
		out[i] = t.name
	}
	return out
}

// trace runs each test by itself, without a mutant, and returns the tests that
// reach each.
func (b binary) trace(ctx context.Context, dir string, mutants int) (reached [][]test, err error) {
	list, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	hits := make([][]int, len(list))
	err = each(len(list), func(i int) error {
		file, start := filepath.Join(dir, fmt.Sprintf("trace%d", i)), time.Now()
		failed, err := b.fails(ctx, []string{list[i].name}, 0, file, 10*time.Minute)
		if failed || err != nil {
			return errors.Join(fmt.Errorf("%s fails without a mutant", list[i].name), err)
		}
		list[i].took = time.Since(start)
		text, err := os.ReadFile(file)
		for _, line := range strings.Fields(string(text)) {
			var id int
			if _, err := fmt.Sscan(line, &id); err == nil {
				hits[i] = append(hits[i], id)
			}
		}
		if errors.Is(err, os.ErrNotExist) { // it reaches none
			return nil
		}
		return err
	})
	reached = make([][]test, mutants+1)
	for i, t := range list {
		for _, id := range hits[i] {
			reached[id] = append(reached[id], t)
		}
	}
	return reached, err
}

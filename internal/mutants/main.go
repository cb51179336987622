// Command mutants breaks the code that decides, one place at a time, and shows
// what no test of the same package notices:
//
//	go run ./internal/mutants relay/place.go internal/hosts ...
//
// Every condition is forced both ways and each operand of && and || is dropped,
// bounds are moved by one, and calls and assignments that stand alone are left
// out. All mutants of a package are compiled into one test binary, through go's
// -overlay, so that the tree is never touched; an environment variable chooses
// the one that is on. One that survives is a missing test, or code that does not
// matter: docs/mutants.md explains those that are left, and a survivor that it
// does not explain makes the command fail.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var (
	skip    = flag.String("skip", "ConstantMemory|Gigabyte|TenThousand", "tests that are left out, because they take long")
	workers = flag.Int("workers", 2, "mutants tried at once")
	report  = flag.String("explained", "docs/mutants.md", "the file that explains survivors")
)

func main() {
	flag.Parse()
	if err := run(context.Background(), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	explained, err := os.ReadFile(*report)
	if err != nil {
		return err
	}
	folders, files, err := sources(args)
	if err != nil {
		return err
	}
	unexplained := 0
	for _, folder := range folders {
		mutants, err := try(ctx, folder, files[folder])
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		unexplained += show(mutants, string(explained))
	}
	if unexplained > 0 {
		return fmt.Errorf("%d mutants survive that %s does not explain", unexplained, *report)
	}
	return nil
}

// sources are the files that args name, by folder; a folder stands for all of
// its files.
func sources(args []string) (folders []string, files map[string][]string, err error) {
	files = map[string][]string{}
	for _, arg := range args {
		names := []string{arg}
		if !strings.HasSuffix(arg, ".go") {
			if names, err = filepath.Glob(filepath.Join(arg, "*.go")); err != nil {
				return nil, nil, err
			}
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			folder := filepath.Dir(name)
			if files[folder] == nil {
				folders = append(folders, folder)
			}
			files[folder] = append(files[folder], filepath.Clean(name))
		}
	}
	return folders, files, nil
}

// show prints the score of each file, and its survivors. It counts those that
// are not explained.
func show(mutants []*mutant, explained string) (unexplained int) {
	for file := range slices.Values(filesOf(mutants)) {
		killed, all := 0, 0
		var left []string
		for _, m := range mutants {
			if m.file != file {
				continue
			}
			all++
			switch {
			case m.killed:
				killed++
			case strings.Contains(explained, "`"+m.key()+"`"):
				left = append(left, "explained "+m.String())
			default:
				left = append(left, "SURVIVES  "+m.String())
				unexplained++
			}
		}
		fmt.Printf("%-34s %4d of %4d killed\n", file, killed, all)
		for _, line := range left {
			fmt.Println("  " + line)
		}
	}
	return unexplained
}

func filesOf(mutants []*mutant) (files []string) {
	for _, m := range mutants {
		if !slices.Contains(files, m.file) {
			files = append(files, m.file)
		}
	}
	return files
}

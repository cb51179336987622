// Command bench measures this library beside the floors it stands on and the
// libraries it is compared with, and prints ratios taken in one run.
//
//	go run . [-rows regexp] [-rounds n] [-json results.json] [-svg results.svg] [-readme README.md]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
)

// rows is the whole table. Each subject has a file of its own.
func rows() []ratio.Row {
	return slices.Concat(
		keyringRows(), relayRows(), verifyRows(), phantomRows(), vaultRows(), spaRows(), editorRows(), redactRows(),
	)
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("rows", "", "measure the rows whose name matches")
	rounds := flags.Int("rounds", 60, "rounds a row")
	jsonFile := flags.String("json", "", "write the results there")
	svgFile := flags.String("svg", "", "draw the results there")
	readme := flags.String("readme", "", "write the figures into this file")
	check := flags.String("check", "", "measure nothing: fail unless -svg and -readme agree with these results")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *check != "" {
		reports, err := readReports(*check)
		if err != nil {
			return err
		}
		return agree(reports, *svgFile, *readme)
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	var reports []ratio.Report
	for _, c := range counts() {
		if match.MatchString(c.Name) {
			report := c.report(context.Background())
			table(out, report)
			reports = append(reports, report)
		}
	}
	for _, row := range rows() {
		if match.MatchString(row.Name) {
			report := ratio.Measure(row, ratio.Options{Rounds: *rounds})
			table(out, report)
			reports = append(reports, report)
		}
	}
	if err := save(reports, *jsonFile, *svgFile, *readme); err != nil {
		return err
	}
	return missed(reports)
}

// save writes the files that are named.
func save(reports []ratio.Report, jsonFile, svgFile, readme string) error {
	if jsonFile != "" {
		text, err := json.MarshalIndent(reports, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonFile, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if svgFile != "" {
		if err := os.WriteFile(svgFile, svg(reports), 0o644); err != nil {
			return err
		}
	}
	if readme == "" {
		return nil
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	if text, err = withFigures(text, reports); err != nil {
		return err
	}
	return os.WriteFile(readme, text, 0o644)
}

// agree reports files that do not show the results.
func agree(reports []ratio.Report, svgFile, readme string) error {
	if drawn, err := os.ReadFile(svgFile); err != nil || !bytes.Equal(drawn, svg(reports)) {
		return fmt.Errorf("%s does not show the results: make bench", svgFile)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	if made, err := withFigures(text, reports); err != nil || !bytes.Equal(made, text) {
		return fmt.Errorf("the figures in %s are not those of the results: make bench", readme)
	}
	return nil
}

// missed is an error that names the binding goals that were not reached.
func missed(reports []ratio.Report) error {
	var names []string
	for _, r := range reports {
		for _, v := range r.Verdicts {
			if v.Binding && !v.OK {
				names = append(names, r.Row+": "+v.Goal)
			}
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("binding goals missed: %s", strings.Join(names, "; "))
	}
	return nil
}

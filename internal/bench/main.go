// Command bench measures this library beside the floors it stands on and the
// libraries it is compared with, and prints ratios taken in one run.
//
//	go run . [-rows regexp] [-rounds n] [-json results.json] [-svg results.svg] [-readme README.md]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
)

// rows is the whole table. Each subject has a file of its own.
func rows() []ratio.Row {
	return slices.Concat([]ratio.Row{})// keyringRows(),

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
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	var reports []ratio.Report
	for _, row := range rows() {
		if match.MatchString(row.Name) {
			report := ratio.Measure(row, ratio.Options{Rounds: *rounds})
			print(out, report)
			reports = append(reports, report)
		}
	}
	if *jsonFile != "" {
		text, err := json.MarshalIndent(reports, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*jsonFile, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return missed(reports)
}

func print(out io.Writer, r ratio.Report) {
	fmt.Fprintf(out, "\n%s\n", r.Row)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\tratio\tquartiles\tns/op\tB/op\tallocs/op\t")
	for _, c := range r.Results {
		fmt.Fprintf(w, "%s\t%.3f\t%.3f-%.3f\t%.0f\t%.0f\t%.1f\t\n", c.Case, c.Ratio, c.Low, c.High, c.NsPerOp, c.BytesPerOp, c.Allocs)
	}
	_ = w.Flush()
	for _, v := range r.Verdicts {
		mark := "ok    "
		if !v.OK {
			mark = "MISSED"
		}
		fmt.Fprintf(out, "  %s %s (got %.3f)\n", mark, v.Goal, v.Got)
	}
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

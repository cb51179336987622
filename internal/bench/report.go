package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
)

// table prints a row as it was measured.
func table(out io.Writer, r ratio.Report) {
	fmt.Fprintf(out, "\n%s\n", r.Row)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Results) > 0 {
		fmt.Fprintln(w, "case\tratio\tquartiles\tns/op\tB/op\tallocs/op\t")
	}
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

func readReports(file string) ([]ratio.Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var reports []ratio.Report
	if err := json.Unmarshal(text, &reports); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return reports, nil
}

const (
	begin = "<!-- figures: begin (make bench) -->"
	end   = "<!-- figures: end -->"
)

// withFigures returns readme with what stands between the marks replaced by
// the figures of reports.
func withFigures(readme []byte, reports []ratio.Report) ([]byte, error) {
	from, to := bytes.Index(readme, []byte(begin)), bytes.Index(readme, []byte(end))
	if from < 0 || to < from {
		return nil, fmt.Errorf("the marks %q and %q are missing", begin, end)
	}
	var out bytes.Buffer
	out.Write(readme[:from])
	out.WriteString(begin + "\n")
	out.WriteString("| work | ratios of the time taken, one run (the first is 1) | promised |\n|---|---|---|\n")
	for _, r := range reports {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", r.Row, cases(r), goals(r))
	}
	out.Write(readme[to:])
	return out.Bytes(), nil
}

func cases(r ratio.Report) string {
	if len(r.Results) == 0 {
		return "counted"
	}
	var parts []string
	for _, c := range r.Results {
		name := c.Case
		if strings.HasPrefix(name, "tokenvault") {
			name = "**" + name + "**"
		}
		parts = append(parts, name+" "+number(c.Ratio))
	}
	return strings.Join(parts, ", ")
}

func goals(r ratio.Report) string {
	var parts []string
	for _, v := range r.Verdicts {
		mark := "✓"
		if !v.OK {
			mark = "✗ (" + number(v.Got) + ")"
		}
		parts = append(parts, strings.ReplaceAll(v.Goal, "<=", "≤")+" "+mark)
	}
	return strings.ReplaceAll(strings.Join(parts, "<br>"), ">=", "≥")
}

func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.095:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.2g", x)
}

const (
	rowHeight, labelWidth, barWidth = 18, 330, 420
)

// svg draws the reports as bars on a logarithmic scale, quartiles as a line.
func svg(reports []ratio.Report) []byte {
	lines := 1
	for _, r := range reports {
		if len(r.Results) > 0 { // a count has no bars
			lines += len(r.Results) + 2
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="12">`+"\n", labelWidth+barWidth+90, lines*rowHeight)
	fmt.Fprintln(&out, `<rect width="100%" height="100%" fill="#ffffff"/>`)
	y := rowHeight
	for _, r := range reports {
		if len(r.Results) == 0 {
			continue
		}
		fmt.Fprintf(&out, `<text x="10" y="%d" font-weight="600" fill="#1f2937">%s</text>`+"\n", y, html.EscapeString(r.Row))
		y += rowHeight
		low, high := span(r)
		at := func(x float64) float64 {
			return barWidth * (math.Log(x) - math.Log(low)) / (math.Log(high) - math.Log(low))
		}
		for _, c := range r.Results {
			colour := "#9ca3af"
			if strings.HasPrefix(c.Case, "tokenvault") {
				colour = "#0f766e"
			}
			fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end" fill="#374151">%s</text>`, labelWidth-8, y, html.EscapeString(c.Case))
			fmt.Fprintf(&out, `<rect x="%d" y="%d" width="%.1f" height="11" rx="2" fill="%s"/>`, labelWidth, y-10, at(c.Ratio), colour)
			fmt.Fprintf(&out, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#111827"/>`, labelWidth+at(c.Low), labelWidth+at(c.High), y-4, y-4)
			fmt.Fprintf(&out, `<text x="%.1f" y="%d" fill="#374151">%s</text>`+"\n", labelWidth+math.Max(at(c.Ratio), at(c.High))+6, y, number(c.Ratio))
			y += rowHeight
		}
		y += rowHeight
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// span is the scale of a row: from well below its smallest ratio to its
// largest.
func span(r ratio.Report) (low, high float64) {
	low, high = 1, 1
	for _, c := range r.Results {
		low, high = math.Min(low, c.Low), math.Max(high, c.High)
	}
	return math.Max(low, 1e-6) / 1.6, high * 1.02
}

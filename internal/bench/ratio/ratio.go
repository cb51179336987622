// Package ratio compares pieces of work on a machine that is shared and noisy.
//
// The cases of a row run round-robin in small slices; within a round each
// case's time per operation is divided by the row's first case, so that what
// disturbs the machine for a while disturbs all of them; the median of these
// in-round ratios is the result, and the quartiles tell how far to trust it.
// Absolute times are shown for orientation only.
package ratio

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A Case does its work n times.
type Case struct {
	Name string
	Run  func(n int)
}

// A Row is cases that do the same job. The first case is what the others are
// divided by: the floor, or the peer to beat.
type Row struct {
	Name  string
	Cases []Case
	Goals []Goal
}

// A Goal is what a row promises. Zero fields promise nothing.
type Goal struct {
	Case   string  // whose result is judged
	Over   string  // against which case; "": the first
	AtMost float64 // time ratio
	// AtLeast is for peers: how many times slower than Over the Case is.
	AtLeast float64
	Allocs  int // allocations an operation, at most; 0: not judged, -1: none allowed
	// Binding goals fail the run when missed; the others are reported.
	Binding bool
}

// Options bound a measurement. The zero value is 60 rounds of 5 ms slices.
type Options struct {
	Rounds int
	Slice  time.Duration
	Now    func() time.Time // nil: time.Now
}

// Result is what was measured of a case.
type Result struct {
	Case       string  `json:"case"`
	NsPerOp    float64 `json:"ns_per_op"` // median; this machine, this run
	Ratio      float64 `json:"ratio"`     // median of in-round ratios to the first case
	Low        float64 `json:"q1"`
	High       float64 `json:"q3"`
	Allocs     float64 `json:"allocs_per_op"`
	BytesPerOp float64 `json:"bytes_per_op"`

	rounds []float64
}

// Verdict is a goal and what became of it.
type Verdict struct {
	Goal    string  `json:"goal"`
	Got     float64 `json:"got"`
	OK      bool    `json:"ok"`
	Binding bool    `json:"binding"`
}

// Report is a measured row.
type Report struct {
	Row      string    `json:"row"`
	Results  []Result  `json:"results"`
	Verdicts []Verdict `json:"verdicts,omitempty"`
}

// Measure runs the row.
func Measure(row Row, o Options) Report {
	if o.Rounds == 0 {
		o.Rounds = 60
	}
	if o.Slice == 0 {
		o.Slice = 5 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	results := make([]Result, len(row.Cases))
	times := make([]int, len(row.Cases))
	for i, c := range row.Cases {
		times[i] = o.calibrate(c)
		results[i] = Result{Case: c.Name}
		results[i].Allocs, results[i].BytesPerOp = allocations(c)
	}
	for round := range o.Rounds {
		for k := range row.Cases {
			i := (round + k) % len(row.Cases) // nobody is always first
			results[i].rounds = append(results[i].rounds, o.perOp(row.Cases[i], times[i]))
		}
	}
	for i := range results {
		results[i].summarise(results[0].rounds)
	}
	report := Report{Row: row.Name, Results: results}
	for _, g := range row.Goals {
		report.Verdicts = append(report.Verdicts, judge(g, results)...)
	}
	return report
}

// calibrate finds how many operations fill a slice.
func (o Options) calibrate(c Case) int {
	c.Run(1)
	for n := 1; ; n *= 2 {
		start := o.Now()
		c.Run(n)
		if took := o.Now().Sub(start); took >= o.Slice/2 || n >= 1<<28 {
			return max(1, int(float64(n)*float64(o.Slice)/float64(max(took, 1))))
		}
	}
}

func (o Options) perOp(c Case, n int) float64 {
	start := o.Now()
	c.Run(n)
	return float64(o.Now().Sub(start)) / float64(n)
}

func allocations(c Case) (allocs, bytes float64) {
	const n = 50
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Run(n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n
}

func (r *Result) summarise(base []float64) {
	ratios := over(r.rounds, base)
	r.Low, r.Ratio, r.High = quantile(ratios, 1), quantile(ratios, 2), quantile(ratios, 3)
	r.NsPerOp = quantile(slices.Clone(r.rounds), 2)
}

// over divides round by round.
func over(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

// quantile sorts v and returns its q-th quarter.
func quantile(v []float64, q int) float64 {
	slices.Sort(v)
	return v[(len(v)-1)*q/4]
}

func judge(g Goal, results []Result) []Verdict {
	find := func(name string) Result {
		for _, r := range results {
			if r.Case == name {
				return r
			}
		}
		panic("ratio: no case " + name)
	}
	of, base := find(g.Case), results[0]
	if g.Over != "" {
		base = find(g.Over)
	}
	var out []Verdict
	got := quantile(over(of.rounds, base.rounds), 2)
	if g.AtMost > 0 {
		out = append(out, Verdict{fmt.Sprintf("%s <= %.3g of %s", g.Case, g.AtMost, base.Case), got, got <= g.AtMost, g.Binding})
	}
	if g.AtLeast > 0 {
		out = append(out, Verdict{fmt.Sprintf("%s >= %.3g x %s", g.Case, g.AtLeast, base.Case), got, got >= g.AtLeast, g.Binding})
	}
	if g.Allocs != 0 {
		most := max(g.Allocs, 0)
		out = append(out, Verdict{fmt.Sprintf("%s <= %d allocs", g.Case, most), of.Allocs, of.Allocs <= float64(most)+0.5, g.Binding})
	}
	return out
}

// Command storm simulates what a fleet does to an authorization server when
// very many grants fall due at once, and when every process starts with an empty
// cache. No real time passes, and the same seed gives the same table, which is
// the one in docs/scale.md.
//
//	go run ./storm [-grants n] [-instances n] [-seed n]
//
// The parameters of the simulation are those that the packages have: a vault
// renews with the first request after RefreshBefore, one process at a time holds
// the lease, the others look at the row every 50 to 250 ms, a refusal is followed
// by a pause that the whole fleet heeds.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

func main() {
	grants := flag.Int("grants", 1_000_000, "grants that fall due")
	instances := flag.Int("instances", 100, "processes of the fleet")
	seed := flag.Uint64("seed", 1, "of the random numbers")
	flag.Parse()
	if err := run(os.Stdout, *grants, *instances, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, grants, instances int, seed uint64) error {
	if grants < 1 || instances < 1 || instances > maxInstances {
		return fmt.Errorf("at least one grant, and 1 to %d instances", maxInstances)
	}
	fmt.Fprintf(out, "%d grants, %d instances; seconds count from the first expiry\n", grants, instances)
	for _, group := range scenarios(grants, instances) {
		fmt.Fprintf(out, "\n%s\n\n", group.name)
		results := make([]result, len(group.cases))
		for i, c := range group.cases {
			results[i] = c.storm.run(seed)
		}
		summary(out, group, results)
		series(out, group, results)
	}
	restarts(out, grants, instances, seed)
	return nil
}

type scenario struct {
	name  string
	storm storm
}

type group struct {
	name  string
	cases []scenario
}

// scenarios are the storms of the table. A spread of five minutes is within the
// first half of an hour, in which a vault never renews.
func scenarios(grants, instances int) []group {
	asIs := storm{
		grants: grants, instances: instances, rate: 0.1, window: 60,
		before: 30, answer: 0.2, pause: jittered,
	}
	with := func(change func(*storm)) storm {
		s := asIs
		change(&s)
		return s
	}
	limited := func(p pause) storm {
		return with(func(s *storm) { s.window, s.rate, s.capacity, s.pause = 1, 1, grants/50, p })
	}
	return []group{
		{"All expire within one minute, a request every 10 s for each", []scenario{
			{"each process for itself", with(func(s *storm) { s.alone = true })},
			{"the vault", asIs},
			{"RefreshBefore 30-330 s by process", with(func(s *storm) { s.spread, s.by = 300, byInstance })},
			{"the same by grant", with(func(s *storm) { s.spread, s.by = 300, byGrant })},
		}},
		{"All expire within one second, a request every second for each", []scenario{
			{"each process for itself", with(func(s *storm) { s.window, s.rate, s.alone = 1, 1, true })},
			{"the vault", with(func(s *storm) { s.window, s.rate = 1, 1 })},
			{"RefreshBefore 30-330 s by process", with(func(s *storm) { s.window, s.rate, s.spread, s.by = 1, 1, 300, byInstance })},
			{"the same by grant", with(func(s *storm) { s.window, s.rate, s.spread, s.by = 1, 1, 300, byGrant })},
		}},
		{fmt.Sprintf("The same second, at a server that answers %d POSTs a second and the rest with 503", grants/50), []scenario{
			{"no pause", limited(none)},
			{"pause without jitter", limited(doubling)},
			{"the vault", limited(jittered)},
			{"and RefreshBefore 30-330 s by grant", with(func(s *storm) {
				s.window, s.rate, s.capacity, s.spread, s.by = 1, 1, grants/50, 300, byGrant
			})},
		}},
	}
}

func summary(out io.Writer, g group, results []result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tPOSTs\tmost of one grant\thighest per second\tlast token at\tcallers that waited\twere refused\t")
	for i, c := range g.cases {
		r := results[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f s\t%d\t%d\t\n", c.name, r.posts, r.mostPosts, r.peak(), r.last, r.waited, r.refused)
	}
	_ = w.Flush()
}

// series prints the highest POST rate of each window of 30 s that is not quiet.
func series(out io.Writer, g group, results []result) {
	const width = 30
	first, last := 0, 0
	for _, r := range results {
		first, last = min(first, r.start), max(last, int(r.last))
	}
	fmt.Fprintf(out, "\nhighest POSTs a second in windows of %d s\n", width)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "from\t")
	for _, c := range g.cases {
		fmt.Fprintf(w, "%s\t", c.name)
	}
	fmt.Fprintln(w)
	for from := first; from <= last; from += width {
		line, quiet := fmt.Sprintf("%d s\t", from), true
		for _, r := range results {
			n := r.highest(from, from+width)
			line, quiet = line+fmt.Sprintf("%d\t", n), quiet && n == 0
		}
		if !quiet {
			fmt.Fprintln(w, line)
		}
	}
	_ = w.Flush()
}

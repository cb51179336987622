package ratio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var sink []byte

// The clock is the work's own: a machine that slows down in the middle of the
// run changes no ratio.
func TestRatiosSurviveASlowMachine(t *testing.T) {
	now, speed, round := time.Unix(0, 0), time.Duration(1), 0
	work := func(cost time.Duration) func(int) {
		return func(n int) {
			if round++; round > 60 {
				speed = 7
			}
			now = now.Add(time.Duration(n) * cost * speed)
		}
	}
	report := Measure(Row{
		Name: "work",
		Cases: []Case{
			{"once", work(time.Microsecond)},
			{"twice", work(2 * time.Microsecond)},
			{"allocating", func(n int) {
				work(3 * time.Microsecond)(n)
				for range n {
					sink = make([]byte, 1<<10)
				}
			}},
		},
		Goals: []Goal{
			{Case: "twice", AtMost: 2.01}, {Case: "twice", AtLeast: 1.99}, {Case: "twice", AtMost: 1.9}, {Case: "twice", AtLeast: 2.1},
			{Case: "once", Over: "twice", AtMost: 0.51}, {Case: "once", Allocs: -1}, {Case: "allocating", Allocs: -1}, {Case: "allocating", Allocs: 1},
		},
	}, Options{Rounds: 40, Slice: time.Millisecond, Now: func() time.Time { return now }})
	require.Greater(t, round, 120, "the machine slowed down on the way")
	require.InDelta(t, 2, report.Results[1].Ratio, 1e-9)
	require.InDelta(t, 3, report.Results[2].Ratio, 1e-9)
	var ok []bool
	for _, v := range report.Verdicts {
		ok = append(ok, v.OK)
	}
	require.Equal(t, []bool{true, true, false, false, true, true, false, true}, ok)
}

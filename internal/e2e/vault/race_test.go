package vault

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
)

// TestFleetRace: 8 processes of 64 goroutines meet one expired grant. The
// server sees one POST and 512 callers have the new token. TOKENVAULT_RACE says
// how often, by default 20 times; on SQLite, which is for one machine, a quarter of that.
func TestFleetRace(t *testing.T) {
	repeats := 20
	if s := os.Getenv("TOKENVAULT_RACE"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		repeats = n
	}
	for e, times := range map[engine]int{postgreSQL: repeats, onRedis: repeats, sqlite: max(1, repeats/4)} {
		t.Run(string(e), func(t *testing.T) { fleetRace(t, e, times) })
	}
}

func fleetRace(t *testing.T, e engine, repeats int) {
	const processes, callers = 8, 64
	l := newLab(t, e, vaulttiming.Default())
	fleet := make([]*process, processes)
	for n := range fleet {
		fleet[n] = l.spawn(t)
	}
	began := time.Now()
	for n := range repeats {
		id := fmt.Sprint("race-", n)
		l.put(t, id)
		var calls []pending
		for _, p := range fleet {
			calls = append(calls, p.begin(command{Op: "reveal", ID: id, Callers: callers}))
		}
		got := 0
		for _, c := range calls {
			r := c.wait()
			require.Empty(t, r.Errors, "%v", r.Messages)
			got += r.Tokens[l.authority.counts(id).access]
		}
		f := l.authority.counts(id)
		require.Equal(t, 1, f.posts, "POSTs in repeat %d", n)
		require.Zero(t, f.reuses)
		require.False(t, f.revoked, "a lost grant")
		require.Equal(t, processes*callers, got, "callers with the new token")
	}
	require.Zero(t, l.authority.strayed())
	t.Logf("%d repeats: %d POSTs, %d callers each with the new token, %v", repeats, l.authority.totals().posts, processes*callers, time.Since(began))
}

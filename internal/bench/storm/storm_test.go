package main

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// of is a scenario of the table, smaller.
func of(t *testing.T, group, name string) result {
	t.Helper()
	g := scenarios(20_000, 100)[map[string]int{"minute": 0, "second": 1, "limited": 2}[group]]
	for _, c := range g.cases {
		if c.name == name {
			return c.storm.run(1)
		}
	}
	t.Fatalf("no scenario %q", name)
	return result{}
}

const (
	alone      = "each process for itself"
	asItIs     = "the vault"
	perProcess = "RefreshBefore 30-330 s by process"
	perGrant   = "the same by grant"
)

func TestOnePOSTForEachGrant(t *testing.T) {
	t.Parallel()
	for _, group := range []string{"minute", "second"} {
		for _, name := range []string{asItIs, perProcess, perGrant} {
			r := of(t, group, name)
			require.Equal(t, []int{20_000, 20_000, 1}, []int{r.posts, r.granted, r.mostPosts}, "%s, %s", group, name)
		}
	}
}

func TestWithoutALeaseProcessesAskAgain(t *testing.T) {
	t.Parallel()
	r := of(t, "second", alone)
	require.Greater(t, r.posts, 22_000)
	require.Greater(t, r.mostPosts, 2)
}

func TestSpreadLowersThePeak(t *testing.T) {
	t.Parallel()
	minute, second := of(t, "minute", asItIs).peak(), of(t, "second", asItIs).peak()
	require.Greater(t, second, 20*minute, "what expires in one second is asked for at once")
	require.LessOrEqual(t, of(t, "minute", perGrant).peak(), minute/2)
	require.LessOrEqual(t, of(t, "minute", perProcess).peak(), 2*minute/3)
	require.LessOrEqual(t, of(t, "second", perGrant).peak(), second/50)
	require.LessOrEqual(t, of(t, "second", perProcess).peak(), second/10)
}

// Renewal behind the request leaves the callers alone; the few that wait come
// to a grant nobody asked for within RefreshBefore.
func TestHardlyACallerWaits(t *testing.T) {
	t.Parallel()
	require.Zero(t, of(t, "second", asItIs).waited)
	late := of(t, "minute", asItIs)
	require.InDelta(t, 20_000*math.Exp(-3), late.waited, 100, "30 s without a request, at one every 10 s")
	require.Less(t, late.reads, late.waited/10, "hardly ever two of them for one grant")
}

func TestPausesSpareALimitedServer(t *testing.T) {
	t.Parallel()
	eager, plain, vault, spread := of(t, "limited", "no pause"), of(t, "limited", "pause without jitter"),
		of(t, "limited", asItIs), of(t, "limited", "and RefreshBefore 30-330 s by grant")
	for _, r := range []result{eager, plain, vault, spread} {
		require.Equal(t, 20_000, r.granted)
	}
	require.Less(t, 4*vault.posts, eager.posts)
	require.Less(t, 2*vault.highest(-25, 900), eager.highest(-25, 900), "once the first refusals are in")
	require.LessOrEqual(t, vault.posts, plain.posts)
	require.Equal(t, 20_000, spread.posts, "a load that fits is not refused")
	require.Zero(t, spread.refused)
}

func TestSharedTierAnswersARestart(t *testing.T) {
	t.Parallel()
	base := restart{tokens: 20_000, instances: 100, rate: 2000}
	sum := func(r restart) (total int) {
		for _, n := range r.run(60, 1) {
			total += n
		}
		return total
	}
	none := sum(base)
	routed, cold, warm := base, base, base
	routed.route, cold.tier, warm.tier = true, coldTier, warmTier
	require.Greater(t, none, 110_000, "nearly every request is one")
	require.LessOrEqual(t, sum(cold), 20_000, "one for each token")
	require.Equal(t, sum(cold), sum(routed), "a token has one home")
	require.Zero(t, sum(warm))
	require.Equal(t, fetches{first: 600, renewal: 300, perSecond: 300 / 720.0}, keyFetches(100, 3))
}

func TestTheSameSeedGivesTheSameTable(t *testing.T) {
	t.Parallel()
	var a, b, c bytes.Buffer
	require.NoError(t, run(&a, 2000, 100, 7))
	require.NoError(t, run(&b, 2000, 100, 7))
	require.NoError(t, run(&c, 2000, 100, 8))
	require.Equal(t, a.String(), b.String())
	require.NotEqual(t, a.String(), c.String())
	require.Error(t, run(&a, 1, maxInstances+1, 1))
}

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"
)

// A restart is a fleet of exchangers (package phantom) that all begin with an
// empty first tier.
type restart struct {
	tokens, instances int
	rate              int  // requests a second of the whole fleet
	tier              tier // the shared one
	route             bool // all requests with one token go to one instance
}

type tier int

const (
	noTier tier = iota
	coldTier
	warmTier // it survived the restart and holds every token
)

// run returns the introspections of each second. It must end within MaxTTL,
// because nothing that was asked for once is forgotten.
func (r restart) run(seconds int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 1))
	local := make(bits, r.tokens*r.instances/64+1)
	shared := make(bits, r.tokens/64+1)
	asked := make([]int, seconds)
	for s := range asked {
		for range r.rate {
			token, instance := rng.IntN(r.tokens), rng.IntN(r.instances)
			if r.route {
				instance = token % r.instances
			}
			switch {
			case local.set(token*r.instances + instance):
			case r.tier == warmTier:
			case r.tier == coldTier && shared.set(token):
			default:
				asked[s]++
			}
		}
	}
	return asked
}

type bits []uint64

// set sets a bit and reports whether it was set before.
func (b bits) set(i int) (before bool) {
	before = b[i/64]&(1<<(i%64)) != 0
	b[i/64] |= 1 << (i % 64)
	return before
}

func restarts(out io.Writer, tokens, instances int, seed uint64) {
	base := restart{tokens: tokens, instances: instances, rate: tokens / 10}
	type column struct {
		name  string
		asked []int
	}
	const seconds = 61
	var columns []column
	add := func(name string, t tier, route bool) {
		r := base
		r.tier, r.route = t, route
		columns = append(columns, column{name, r.run(seconds, seed)})
	}
	add("no shared tier", noTier, false)
	add("requests routed by token", noTier, true)
	add("shared tier, empty", coldTier, false)
	add("shared tier, warm", warmTier, false)

	fmt.Fprintf(out, "\nAll processes restart: %d tokens in use, %d requests a second over %d instances\n", tokens, base.rate, instances)
	fmt.Fprint(out, "\nintrospections a second\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "second\t")
	for _, c := range columns {
		fmt.Fprintf(w, "%s\t", c.name)
	}
	fmt.Fprintln(w)
	for _, s := range []int{0, 1, 5, 10, 20, 30, 60} {
		fmt.Fprintf(w, "%d\t", s)
		for _, c := range columns {
			fmt.Fprintf(w, "%d\t", c.asked[s])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	j := keyFetches(instances, 1)
	fmt.Fprintf(out, "\njwks, one issuer: %d requests in the first second (metadata and set, however many tokens wait), then %d every 12 min, %.2f a second on average\n",
		j.first, j.renewal, j.perSecond)
}

// fetches are the requests that verifiers (package jwks) make.
type fetches struct {
	first, renewal int
	perSecond      float64
}

// keyFetches is arithmetic: a verifier fetches in one flight, metadata and set
// at first, and the set again with 20 % of its 15 minutes left. Renewals have no
// jitter of their own, so processes that start together renew together.
func keyFetches(instances, issuers int) fetches {
	const renewal = 0.8 * 15 * 60
	n := instances * issuers
	return fetches{first: 2 * n, renewal: n, perSecond: float64(n) / renewal}
}

package main

import (
	"math"
	"math/rand/v2"
)

// maxInstances is how many bits a grant has to remember who asked.
const maxInstances = 128

// A storm is a fleet whose grants fall due together. Times are in seconds.
type storm struct {
	grants, instances int
	rate              float64 // requests a second for each grant, each at a random instance
	window            float64 // the access tokens expire evenly within it
	before            float64 // vault.Config.RefreshBefore
	spread            float64 // what is added to before, at most
	by                spread  // who differs in it
	answer            float64 // how long the authorization server takes
	capacity          int     // POSTs that it answers in a second; 0: all
	pause             pause   // after a refusal
	alone             bool    // there is no lease: each instance refreshes for itself
}

type spread int

const (
	byNobody spread = iota
	byInstance
	byGrant
)

type pause int

const (
	none     pause = iota
	doubling       // 1 s to 5 min
	jittered       // the same and up to a half more, as a vault has it
)

// Those of a vault.
const (
	pauseMin, pauseMax = 1.0, 300.0
	poll               = 0.15 // 50 to 250 ms
)

// A result is what the authorization server and the callers saw.
type result struct {
	start     int   // the second that perSecond begins with
	perSecond []int // POSTs
	posts     int
	mostPosts int     // of one grant
	granted   int     // grants with a new token
	last      float64 // when the last of them had it
	waited    int     // callers that came after the expiry and for whom there was a refresh to wait for
	reads     int     // of rows, by the instances that waited for another's refresh
	refused   int     // callers that came after the expiry and got an error
}

func (r result) peak() int { return r.highest(r.start, r.start+len(r.perSecond)) }

// highest is the highest rate from one second to before another.
func (r result) highest(from, to int) int {
	most := 0
	for s := max(from, r.start); s < min(to, r.start+len(r.perSecond)); s++ {
		most = max(most, r.perSecond[s-r.start])
	}
	return most
}

// A simulation is a storm that goes on.
type simulation struct {
	storm
	rng      *rand.Rand
	start    float64
	grant    []grant
	calendar [][]int32 // by tick: whose next request it is
	served   []int     // by second: POSTs that were answered with a token
	result
}

type grant struct {
	next      float64 // request
	expiry    float64
	ahead     float64 // of before
	lease     float64 // until the POST is answered
	notBefore float64
	lastPause float64
	posts     int
	granted   bool
	asked     [maxInstances / 64]uint64 // instances, when each is alone
}

// tick is how finely requests of different grants are ordered.
const tick = 0.02

func (s storm) run(seed uint64) result {
	m := &simulation{storm: s, rng: rand.New(rand.NewPCG(seed, 0)), grant: make([]grant, s.grants)}
	m.start = math.Floor(-s.before - s.spread)
	m.result.start, m.last = int(m.start), m.start
	for i := range m.grant {
		g := &m.grant[i]
		g.lease, g.notBefore = math.Inf(-1), math.Inf(-1)
		g.expiry = m.rng.Float64() * s.window
		earliest := g.expiry - s.before
		switch s.by {
		case byGrant:
			g.ahead = m.rng.Float64() * s.spread
			earliest -= g.ahead
		case byInstance:
			earliest -= s.spread
		}
		m.schedule(int32(i), earliest) // earlier requests change nothing
	}
	for at := 0; at < len(m.calendar); at++ {
		for k := 0; k < len(m.calendar[at]); k++ { // grows while it is walked
			m.request(m.calendar[at][k])
		}
		m.calendar[at] = nil
	}
	for i := range m.grant {
		m.mostPosts = max(m.mostPosts, m.grant[i].posts)
	}
	return m.result
}

// schedule draws the grant's next request after the time t.
func (m *simulation) schedule(i int32, t float64) {
	g := &m.grant[i]
	g.next = t + m.rng.ExpFloat64()/m.rate
	if g.granted && g.next >= g.lease {
		return // it finds the new token, as all later ones do
	}
	at := int((g.next - m.start) / tick)
	for at >= len(m.calendar) {
		m.calendar = append(m.calendar, nil)
	}
	m.calendar[at] = append(m.calendar[at], i)
}

// request is one caller that wants the grant's access token.
func (m *simulation) request(i int32) {
	g := &m.grant[i]
	instance := m.rng.IntN(m.instances)
	t, expired := g.next, g.next >= g.expiry
	switch {
	case t < m.due(g, instance):
	case t < g.lease && m.alone && !g.didAsk(instance):
		m.count(g, t, instance)
	case t < g.lease:
		if expired {
			m.waited++
			m.reads += int(math.Ceil((g.lease - t) / poll))
		}
	case t < g.notBefore:
		if expired {
			m.refused++
		}
	default:
		m.refresh(g, t, instance)
	}
	m.schedule(i, t)
}

// due is when an instance begins to renew.
func (m *simulation) due(g *grant, instance int) float64 {
	ahead := g.ahead
	if m.by == byInstance {
		ahead = m.spread * float64(instance) / float64(max(m.instances-1, 1))
	}
	return g.expiry - m.before - ahead
}

// refresh is the POST of whoever has the lease. Before the expiry it is made
// behind the caller, who has a good token.
func (m *simulation) refresh(g *grant, t float64, instance int) {
	second := m.count(g, t, instance)
	g.lease = t + m.answer
	if m.capacity == 0 || m.served[second] < m.capacity {
		m.served[second]++
		m.granted++
		g.granted = true
		m.last = max(m.last, g.lease)
		if t >= g.expiry {
			m.waited++
		}
		return
	}
	if t >= g.expiry {
		m.refused++
	}
	if m.pause == none {
		return
	}
	g.lastPause = min(max(2*g.lastPause, pauseMin), pauseMax)
	if m.pause == jittered {
		g.lastPause *= 1 + m.rng.Float64()/2
	}
	g.notBefore = g.lease + g.lastPause
}

func (m *simulation) count(g *grant, t float64, instance int) (second int) {
	second = int(t - m.start)
	for second >= len(m.perSecond) {
		m.perSecond = append(m.perSecond, 0)
		m.served = append(m.served, 0)
	}
	m.perSecond[second]++
	m.posts++
	g.posts++
	g.asked[instance/64] |= 1 << (instance % 64)
	return second
}

func (g *grant) didAsk(instance int) bool { return g.asked[instance/64]&(1<<(instance%64)) != 0 }

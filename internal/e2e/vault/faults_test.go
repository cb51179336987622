package vault

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// runs is how often each cell of the matrix is tried on each engine.
const runs = 20

// fault is one row of the matrix: what goes wrong, and what the package comment
// of vault promises then.
type fault struct {
	name    string
	posts   int  // refresh POSTs for the one generation, at most
	login   bool // whether it may cost one
	callers string
	try     func(*trial)
	alone   bool // disturbs the database, so has one of its own
}

var faults = []fault{
	{"none", 1, false, "all get the new token", noFault, false},
	{"holder SIGKILLed before the POST", 1, false, "the others get the new token after the lease", killedBeforePOST, false},
	{"holder SIGKILLed after the POST, before the save", 2, true, "ErrReauthorize: the rotated token died with the holder", killedAfterPOST, false},
	{"holder SIGKILLed after the save", 1, false, "the others get the new token", killedAfterSave, false},
	{"holder SIGSTOPped past its lease before the POST", 1, false, "all get the new token; the holder, continued, sends nothing", frozenBeforePOST, false},
	{"holder SIGSTOPped past its lease after the POST", 2, true, "ErrReauthorize: the server took the second POST for a theft", frozenAfterPOST, false},
	{"the first caller's ctx cancelled", 1, false, "its own call fails, the others get the new token", cancelledCaller, false},
	{"store down at acquire", 0, false, "ErrUnavailable; nothing is sent", downAtAcquire, false},
	{"store down at save", 1, false, "the holder's get the new token from memory, the others once it is saved", downAtSave, false},
	{"server answers 429", 2, false, "ErrUnavailable until the server's Retry-After has passed, for the whole fleet; then the new token", answers429, false},
	{"server answers 500", 2, false, "ErrUnavailable, then the new token", answers500, false},
	{"server hangs", 2, false, "ErrUnavailable; after the lease the new token", hangs, false},
	{"server resets after rotating", 2, true, "ErrUnavailable, then ErrReauthorize: the rotated token was never received", resetsAfterRotating, false},
	{"5 minutes of clock skew either way", 1, false, "all get the new token", skewedClocks, false},
	{"Revoke during a refresh", 1, false, "ErrRevokePending, then ErrReauthorize; the holder revokes the new tokens at the server", revokedMeanwhile, false},
	{"key rotated out of order", 1, false, "ErrUnknownKey where the new key is missing: nothing sent, the other grants go on", keyMissing, false},
	{"server ends the holder's store connections (backend terminated)", 1, false, "all get the new token", disconnected, false},
	{"database SIGKILLed and restarted (AOF, WAL) between POST and save", 1, false, "all get the new token", databaseRestarted, true},
}

// trial is one run of a fault.
type trial struct {
	*testing.T
	*lab
	id         string
	a, b       *process // two that serve all runs
	fast, slow *process // with skewed clocks
}

func TestFaults(t *testing.T) {
	found := newFindings()
	t.Run("matrix", func(t *testing.T) {
		for _, e := range fleetEngines {
			t.Run(string(e), func(t *testing.T) {
				t.Parallel()
				l := newLab(t, e, short)
				base := trial{
					lab: l, a: l.spawn(t), b: l.spawn(t),
					fast: l.spawn(t, skewed(5*time.Minute)), slow: l.spawn(t, skewed(-5*time.Minute)),
				}
				for _, f := range faults {
					t.Run(f.name, func(t *testing.T) {
						t.Parallel()
						f.on(t, base, found)
					})
				}
				t.Cleanup(func() { assert.Zero(t, l.authority.strayed(), "requests that belong to no grant") })
			})
		}
	})
	found.compare(t)
}

// on tries f, on a database of its own if it must be alone.
func (f fault) on(t *testing.T, base trial, found *findings) {
	if f.alone {
		base.lab = newLab(t, base.database.engine, short)
	}
	for n := range runs {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if !f.alone {
				t.Parallel()
			}
			r := base
			r.T, r.id = t, fmt.Sprintf("%s-%d", slug(f.name), n)
			r.a, r.b, r.fast, r.slow = r.a.on(t), r.b.on(t), r.fast.on(t), r.slow.on(t)
			f.try(&r)
			c := r.counts()
			require.LessOrEqual(t, c.posts, f.posts, "POSTs")
			require.Equal(t, f.login, c.lost(), "whether the grant is lost: %+v", c)
			found.add(f.name, r.database.engine, c)
		})
	}
}

func (r *trial) put(script ...behaviour) { r.Helper(); r.lab.put(r.T, r.id, script...) }
func (r *trial) counts() family          { return r.authority.counts(r.id) }

// lost says that the server has ended the family because of a reuse.
func (f family) lost() bool { return f.reuses > 0 }

// wantToken expects all callers to have the newest access token.
func (r *trial) wantToken(got result, callers int) {
	r.Helper()
	require.Equal(r.T, map[string]int{r.counts().access: callers}, got.Tokens, "%v", got.Messages)
	require.Empty(r.T, got.Errors, "%v", got.Messages)
}

func (r *trial) wantError(got result, name string) {
	r.Helper()
	require.Equal(r.T, map[string]int{name: 1}, got.Errors, "%v", got.Messages)
	require.Empty(r.T, got.Tokens)
}

func (r *trial) wantPosts(n int) { r.Helper(); require.Equal(r.T, n, r.counts().posts, "POSTs") }

func noFault(r *trial) {
	r.put()
	const callers = 8
	var calls []pending
	for _, p := range []*process{r.a, r.b, r.fast} {
		calls = append(calls, p.begin(command{Op: "reveal", ID: r.id, Callers: callers}))
	}
	for _, c := range calls {
		r.wantToken(c.wait(), callers)
	}
	r.wantPosts(1)
}

func killedBeforePOST(r *trial) {
	r.put()
	holder := r.spawn(r.T)
	holder.stop(beforePOST, r.id)
	holder.kill()
	r.wantPosts(0)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(1)
}

func killedAfterPOST(r *trial) {
	r.put()
	holder := r.spawn(r.T)
	holder.stop(afterPOST, r.id)
	holder.kill()
	r.wantPosts(1)
	r.wantError(r.b.reveal(r.id), "ErrReauthorize")
	r.wantPosts(2)
	require.Equal(r.T, vault.Dead, r.row(r.T, r.id).State)
}

func killedAfterSave(r *trial) {
	r.put()
	holder := r.spawn(r.T)
	holder.stop(afterSave, r.id)
	holder.kill()
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(1)
}

func frozenBeforePOST(r *trial) {
	r.put()
	holder := r.spawn(r.T)
	call, resume := holder.stop(beforePOST, r.id)
	holder.freeze()
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(1)
	resume() // waits in its input: what runs first, its timers or its POST, is up to it
	holder.thaw()
	r.wantToken(call.wait(), 1)
	r.wantPosts(1)
}

func frozenAfterPOST(r *trial) {
	r.put()
	holder := r.spawn(r.T)
	call, resume := holder.stop(afterPOST, r.id)
	holder.freeze()
	r.wantError(r.b.reveal(r.id), "ErrReauthorize")
	r.wantPosts(2)
	resume()
	holder.thaw()
	call.wait()
	r.wantPosts(2)
	// The late answer revives the grant, with tokens that this server has
	// revoked meanwhile; the first to be told so by the API learns the rest.
	r.wantError(r.b.do(command{Op: "refresh", ID: r.id}), "ErrReauthorize")
	require.Equal(r.T, vault.Dead, r.row(r.T, r.id).State)
	r.authority.forget(r.id, 1) // that POST was of the next generation
}

func cancelledCaller(r *trial) {
	r.put()
	r.a.do(command{Op: "arm", Point: beforeAcquire, ID: r.id})
	r.wantError(r.a.do(command{Op: "reveal", ID: r.id, Timeout: 20 * time.Millisecond}), "ErrUnavailable")
	other := r.a.begin(command{Op: "reveal", ID: r.id})
	r.wantPosts(0)
	r.a.do(command{Op: "go", Point: beforeAcquire, ID: r.id})
	r.wantToken(other.wait(), 1)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(1)
}

// cuttable starts a process whose way to the database can be cut.
func (r *trial) cuttable() (*process, *proxy) {
	r.Helper()
	p := newProxy(r.T, r.base.Addr)
	return r.spawn(r.T, func(s *settings) { s.Addr = p.Addr().String() }), p
}

func downAtAcquire(r *trial) {
	r.put()
	before := r.row(r.T, r.id)
	holder, way := r.cuttable()
	call, resume := holder.stop(beforeAcquire, r.id)
	way.cut()
	resume()
	r.wantError(call.wait(), "ErrUnavailable")
	r.wantPosts(0)
	after := r.row(r.T, r.id)
	before.Now, after.Now = time.Time{}, time.Time{}
	require.Equal(r.T, before, after, "store unchanged")
	defer r.authority.forget(r.id, 1) // the POST of the proof that the grant is as good as before
	way.mend()
	r.wantToken(holder.reveal(r.id), 1)
	r.wantPosts(1)
}

func downAtSave(r *trial) {
	r.put()
	holder, way := r.cuttable()
	call, resume := holder.stop(beforeSave, r.id)
	way.cut()
	resume()
	r.wantToken(call.wait(), 1)
	r.wantToken(holder.reveal(r.id), 1)
	require.EqualValues(r.T, 1, r.row(r.T, r.id).Generation, "not saved yet")
	way.mend()
	r.until(r.T, r.id, saved)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(1)
}

func answers429(r *trial) {
	r.put(tooManyRequests)
	r.wantError(r.a.reveal(r.id), "ErrUnavailable")
	r.wantError(r.b.reveal(r.id), "ErrUnavailable")
	r.wantPosts(1)
	r.until(r.T, r.id, notPaused)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(2)
}

func answers500(r *trial) {
	r.put(internalError)
	r.wantError(r.a.reveal(r.id), "ErrUnavailable")
	require.Equal(r.T, vault.Active, r.row(r.T, r.id).State)
	r.until(r.T, r.id, notPaused)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(2)
}

func hangs(r *trial) {
	r.put(hang)
	r.wantError(r.a.reveal(r.id), "ErrUnavailable")
	r.wantPosts(1)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(2)
}

func resetsAfterRotating(r *trial) {
	r.put(rotateAndReset)
	r.wantError(r.a.reveal(r.id), "ErrUnavailable")
	r.wantPosts(1)
	r.wantError(r.b.reveal(r.id), "ErrReauthorize")
	r.wantPosts(2)
}

func skewedClocks(r *trial) {
	r.put()
	const callers = 8
	var calls []pending
	for _, p := range []*process{r.fast, r.slow, r.a} {
		calls = append(calls, p.begin(command{Op: "reveal", ID: r.id, Callers: callers}))
	}
	for _, c := range calls {
		r.wantToken(c.wait(), callers)
	}
	r.wantPosts(1)
}

func revokedMeanwhile(r *trial) {
	r.put()
	call, resume := r.a.stop(afterPOST, r.id)
	r.wantError(r.b.do(command{Op: "revoke", ID: r.id}), "ErrRevokePending")
	require.False(r.T, r.counts().revoked, "its holder alone knows the tokens")
	resume()
	r.wantError(call.wait(), "ErrReauthorize")
	require.True(r.T, r.counts().revoked, "the new tokens are revoked at the server")
	require.Equal(r.T, vault.Revoked, r.row(r.T, r.id).State)
	r.wantError(r.b.reveal(r.id), "ErrReauthorize")
	r.wantPosts(1)
}

func keyMissing(r *trial) {
	r.put()
	next := newKey(r.T)
	ahead := r.spawn(r.T, func(s *settings) { s.Keys = keySet(r.T, next, r.key) })
	behind := r.spawn(r.T)
	r.wantToken(ahead.reveal(r.id), 1)
	before := r.row(r.T, r.id)
	for _, op := range []string{"reveal", "refresh"} {
		r.wantError(behind.do(command{Op: op, ID: r.id}), "unknown key")
	}
	after := r.row(r.T, r.id)
	before.Now, after.Now = time.Time{}, time.Time{}
	require.Equal(r.T, before, after, "the grant is not declared dead")
	r.wantPosts(1)

	other := *r
	other.id += "-other"
	other.put()
	other.wantToken(behind.reveal(other.id), 1)

	require.Empty(r.T, behind.do(command{Op: "keys", Keys: keySet(r.T, r.key, next)}).Errors)
	r.wantToken(behind.reveal(r.id), 1)
	r.wantPosts(1)
}

func disconnected(r *trial) {
	r.put()
	var name string
	holder := r.spawn(r.T, func(s *settings) { name = s.Name })
	call, resume := holder.stop(afterPOST, r.id)
	n, err := r.store.disconnect(r.Context(), name)
	require.NoError(r.T, err)
	require.Positive(r.T, n, "connections ended")
	resume()
	r.wantToken(call.wait(), 1)
	r.until(r.T, r.id, saved)
	r.wantToken(r.b.reveal(r.id), 1)
	r.wantPosts(1)
}

func databaseRestarted(r *trial) {
	// Connections of earlier runs have died with the server.
	r.lab = r.reconnect(r.T)
	r.put()
	before := r.row(r.T, r.id)
	holder := r.spawn(r.T)
	call, resume := holder.stop(afterPOST, r.id)
	r.database.Kill()
	r.database.Start()
	r.until(r.T, r.id, func(row vault.Row) bool { return row.Holder != "" && row.Revision == before.Revision+1 })
	resume()
	r.wantToken(call.wait(), 1)
	r.until(r.T, r.id, saved)
	r.wantToken(r.spawn(r.T).reveal(r.id), 1)
	r.wantPosts(1)
}

// findings are the server's counts of each cell.
type findings struct {
	mu    sync.Mutex
	cells map[cell][]family
}

type cell struct {
	fault  string
	engine engine
}

func newFindings() *findings { return &findings{cells: make(map[cell][]family)} }

func (f *findings) add(name string, e engine, c family) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cells[cell{name, e}] = append(f.cells[cell{name, e}], c)
}

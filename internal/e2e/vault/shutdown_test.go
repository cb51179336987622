package vault

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
)

// TestShutdownUnderLoad closes a vault while the server holds rotated tokens
// back, and kills the process as soon as Close has returned.
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	for _, e := range fleetEngines {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			const grants, held = 100, 20
			l := newLab(t, e, vaulttiming.Default())
			var ids []string
			for n := range grants {
				id := fmt.Sprint("g-", n)
				if n < held {
					l.put(t, id, rotateAndHoldBack)
				} else {
					l.put(t, id)
				}
				ids = append(ids, id)
			}
			p := l.spawn(t)
			for _, id := range ids {
				p.begin(command{Op: "reveal", ID: id, Callers: 4})
			}
			for _, id := range ids[:held] {
				<-l.authority.counts(id).held
			}
			closing := p.begin(command{Op: "close", Timeout: patience})
			for _, id := range ids[:held] {
				l.authority.letGo(id)
			}
			r := closing.wait()
			p.kill()
			require.Empty(t, r.Errors, "%v", r.Messages)

			for _, id := range ids {
				got, err := l.vault.Reveal(t.Context(), id, owner)
				require.NoError(t, err)
				f := l.authority.counts(id)
				require.Equal(t, f.access, got.AccessToken, "the last rotation was saved")
				require.Equal(t, 1, f.posts)
				require.Zero(t, f.reuses)
			}
		})
	}
}

// TestShutdownFlushes closes a vault whose new token the store has not taken.
func TestShutdownFlushes(t *testing.T) {
	t.Parallel()
	for _, e := range fleetEngines {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			r := &trial{T: t, lab: newLab(t, e, short), id: "g"}
			r.put()
			p, way := r.cuttable()
			call, resume := p.stop(beforeSave, r.id)
			way.cut()
			resume()
			r.wantToken(call.wait(), 1)
			closing := p.begin(command{Op: "close", Timeout: patience})
			way.mend()
			got := closing.wait()
			p.kill()
			require.Empty(t, got.Errors, "%v", got.Messages)
			require.True(t, saved(r.row(t, r.id)))
			token, err := r.vault.Reveal(t.Context(), r.id, owner)
			require.NoError(t, err)
			require.Equal(t, r.counts().access, token.AccessToken)
			r.wantPosts(1)
		})
	}
}

// TestTenThousandRefreshes leave no goroutine and no connection behind.
func TestTenThousandRefreshes(t *testing.T) {
	for _, e := range fleetEngines {
		t.Run(string(e), func(t *testing.T) {
			const workers, warm, total = 8, 1_000, 10_000
			l := newLab(t, e, vaulttiming.Default())
			for n := range workers {
				l.put(t, fmt.Sprint("g-", n))
			}
			refresh := func(times int) {
				var wg sync.WaitGroup
				for n := range workers {
					wg.Go(func() {
						for range times / workers {
							if err := l.vault.Refresh(t.Context(), fmt.Sprint("g-", n), owner); !assert.NoError(t, err) {
								return
							}
						}
					})
				}
				wg.Wait()
			}
			refresh(warm)
			goroutines, conns := runtime.NumGoroutine(), l.store.size()
			refresh(total)
			require.Equal(t, warm+total, l.authority.totals().posts)
			require.Zero(t, l.authority.totals().reuses)
			t.Logf("goroutines %d -> %d, store connections %d -> %d", goroutines, runtime.NumGoroutine(), conns, l.store.size())
			// A pool may be a connection or two away from its size; each has a goroutine or two on either side.
			require.InDelta(t, conns, l.store.size(), workers)
			require.InDelta(t, goroutines, runtime.NumGoroutine(), 6*workers)
		})
	}
}

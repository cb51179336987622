// Package storetest proves that a vault.Store keeps its contract.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) vault.Store { return mystore.New(t) })
//	}
package storetest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// patience is how long a case waits for a store that works.
const patience = 30 * time.Second

// racers is how many goroutines race for one swap.
const racers = 16

// Run runs every case as a parallel subtest. open is called once in each and
// returns a store without any row; what it starts it ends with t.Cleanup.
func Run(t *testing.T, open func(*testing.T) vault.Store) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c.run(&suite{T: t, ctx: ctx, store: open(t)})
		})
	}
}

var cases = []struct {
	name string
	run  func(*suite)
}{
	{"an absent row is fs.ErrNotExist", absent},
	{"a row comes back whole", wholeRow},
	{"a swap replaces the whole row", replaceRow},
	{"a row of zero values comes back as such", zeroRow},
	{"times keep their microseconds and become UTC", microseconds},
	{"create does not overwrite", createOnce},
	{"a swap of an absent row writes nothing", swapAbsent},
	{"a stale or future revision writes nothing", staleRevision},
	{"every swap counts one revision", countRevisions},
	{"of concurrent creates exactly one wins", raceCreate},
	{"of concurrent swaps exactly one wins", raceSwap},
	{"concurrent read-modify-swaps lose no update", raceCount},
	{"the store's clock advances and is not the caller's", clock},
	{"an expired access token does not expire the row", keepRefreshToken},
	{"a row past Expires is whole or absent", pastExpires},
	{"moving Expires forward keeps the row", moveExpires},
	{"ids and owners are compared byte for byte", distinctIDs},
	{"long ids and owners", longIDs},
	{"a blob of 100 KB", largeBlob},
	{"list is in byte order", listOrder},
	{"list pages without gap or repeat", listPages},
	{"list keeps to its owner", listOwner},
	{"list returns whole rows with the clock", listRows},
	{"list of nothing", listNothing},
	{"a cancelled context writes nothing and is wrapped", cancelled},
	{"a passed deadline is wrapped", deadline},
	{"a cancelled call leaves the store usable", usableAfterCancel},
}

// suite is one case's store and the assertions on it.
type suite struct {
	*testing.T
	ctx   context.Context
	store vault.Store
}

func (s *suite) get(id string) vault.Row {
	s.Helper()
	r, err := s.store.Get(s.ctx, id)
	if err != nil {
		s.Fatalf("Get(%.40q): %v", id, err)
	}
	return r
}

// swap writes r and expects the outcome want.
func (s *suite) swap(r vault.Row, want bool) {
	s.Helper()
	ok, err := s.store.Swap(s.ctx, r)
	if err != nil || ok != want {
		s.Fatalf("Swap(%.40q at revision %d) = %v, %v; want %v", r.ID, r.Revision, ok, err, want)
	}
}

func (s *suite) list(owner, after string, limit int) []vault.Row {
	s.Helper()
	rows, err := s.store.List(s.ctx, owner, after, limit)
	if err != nil {
		s.Fatalf("List(%.40q, %.40q, %d): %v", owner, after, limit, err)
	}
	return rows
}

func (s *suite) wantAbsent(id string) {
	s.Helper()
	if r, err := s.store.Get(s.ctx, id); !errors.Is(err, fs.ErrNotExist) {
		s.Fatalf("Get(%.40q) = revision %d, %v; want fs.ErrNotExist", id, r.Revision, err)
	}
}

// wantRow compares all of got with want except the clock.
func (s *suite) wantRow(got, want vault.Row) {
	s.Helper()
	got.Now, want.Now = time.Time{}, time.Time{}
	if got != want {
		s.Fatalf("row differs:\n got %.300v\nwant %.300v", got, want)
	}
}

// full returns a row with every field set.
func full(id string) vault.Row {
	t := time.Now().UTC().Truncate(time.Microsecond)
	return vault.Row{
		ID: id, Owner: "owner of " + id, Generation: 7, State: vault.Active, Blob: "tv1." + id,
		AccessExpires: t.Add(time.Hour + time.Microsecond), Expires: t.Add(24 * time.Hour), NotBefore: t.Add(-time.Second),
		Holder: "holder", LeaseUntil: t.Add(15 * time.Second), Intent: t.Add(-123456 * time.Microsecond),
	}
}

// bare returns a row with the least a row can have.
func bare(id, owner string) vault.Row {
	return vault.Row{ID: id, Owner: owner, State: vault.Active, Blob: "tv1.x"}
}

func absent(s *suite) { s.wantAbsent("nobody") }

func wholeRow(s *suite) {
	want := full("a")
	s.swap(want, true)
	want.Revision = 1
	s.wantRow(s.get("a"), want)
}

func replaceRow(s *suite) {
	s.swap(full("a"), true)
	want := vault.Row{ID: "a", Owner: "another", Revision: 1, Generation: 8, State: vault.Revoked, Blob: ""}
	s.swap(want, true)
	want.Revision = 2
	s.wantRow(s.get("a"), want)
}

func zeroRow(s *suite) {
	s.swap(bare("z", ""), true)
	want := bare("z", "")
	want.Revision = 1
	s.wantRow(s.get("z"), want)
	r := s.get("z")
	for _, t := range []time.Time{r.AccessExpires, r.Expires, r.NotBefore, r.LeaseUntil, r.Intent} {
		if !t.IsZero() {
			s.Fatalf("an unset time came back as %v", t)
		}
	}
}

func microseconds(s *suite) {
	r := full("t")
	at := time.Date(2031, 2, 3, 4, 5, 6, 789123000, time.UTC)
	r.AccessExpires, r.NotBefore = at, time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	r.Expires = at.In(time.FixedZone("", 5*3600+1800))
	s.swap(r, true)
	r.Revision, r.Expires = 1, at
	s.wantRow(s.get("t"), r)
}

func createOnce(s *suite) {
	first := full("a")
	s.swap(first, true)
	s.swap(bare("a", "thief"), false)
	first.Revision = 1
	s.wantRow(s.get("a"), first)
}

func swapAbsent(s *suite) {
	r := full("a")
	r.Revision = 1
	s.swap(r, false)
	s.wantAbsent("a")
}

func staleRevision(s *suite) {
	s.swap(full("a"), true)
	s.swap(s.get("a"), true)
	want := s.get("a")
	for _, revision := range []int64{0, 1, 3, -1} {
		r := bare("a", "thief")
		r.Revision = revision
		s.swap(r, false)
	}
	s.wantRow(s.get("a"), want)
}

func countRevisions(s *suite) {
	s.swap(bare("a", "o"), true)
	for n := int64(1); n <= 20; n++ {
		r := s.get("a")
		if r.Revision != n {
			s.Fatalf("revision %d after %d writes", r.Revision, n)
		}
		r.Generation = 100 - n
		s.swap(r, true)
	}
	if r := s.get("a"); r.Generation != 80 {
		s.Fatalf("generation %d is not what was written; want 80", r.Generation)
	}
}

func clock(s *suite) {
	r := full("a")
	r.Now = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	s.swap(r, true)
	first := s.get("a").Now
	if first.IsZero() || first.Equal(r.Now) || first.Location() != time.UTC {
		s.Fatalf("Row.Now is %v; want the store's clock, in UTC", first)
	}
	for last := first; ; {
		now := s.get("a").Now
		if now.Before(last) {
			s.Fatalf("the store's clock went back from %v to %v", last, now)
		}
		if now.After(first) {
			return
		}
		last = now
	}
}

func keepRefreshToken(s *suite) {
	r := full("a")
	r.AccessExpires = time.Now().UTC().Truncate(time.Microsecond).Add(-365 * 24 * time.Hour)
	s.swap(r, true)
	r.Revision = 1
	s.wantRow(s.get("a"), r)
	if n := len(s.list(r.Owner, "", 10)); n != 1 {
		s.Fatalf("List has %d rows; want 1", n)
	}
	r.Expires = time.Time{}
	s.swap(r, true)
	r.Revision = 2
	s.wantRow(s.get("a"), r)
}

func pastExpires(s *suite) {
	r := full("a")
	r.Expires = time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	s.swap(r, true)
	got, err := s.store.Get(s.ctx, "a")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.swap(full("a"), true) // as if it had never been
	case err != nil:
		s.Fatalf("Get of a row past Expires: %v", err)
	default:
		r.Revision = 1
		s.wantRow(got, r)
	}
}

func moveExpires(s *suite) {
	r := full("a")
	r.Expires = time.Now().UTC().Truncate(time.Microsecond).Add(3 * time.Second)
	s.swap(r, true)
	soon := r.Expires
	r.Revision, r.Expires = 1, r.Expires.Add(90*24*time.Hour)
	s.swap(r, true)
	r.Revision = 2
	for got := s.get("a"); ; got = s.get("a") {
		s.wantRow(got, r)
		if got.Now.After(soon) && time.Now().After(soon) {
			return
		}
	}
}

func distinctIDs(s *suite) {
	ids := []string{
		"a", "A", "a ", " a", "ä", "a\u0308", "ａ", "%61", "a%", "a_", "*", "?", "[a]", "{a}", "a:b", "a/b", "a\\b",
		"'; DROP TABLE grants; --", `"`, "\t", "\n", "日本語", "👩‍👩‍👧", "\u202ea", "\U0010ffff",
	}
	for n, id := range ids {
		r := bare(id, id)
		r.Generation = int64(n)
		s.swap(r, true)
	}
	for n, id := range ids {
		if r := s.get(id); r.ID != id || r.Owner != id || r.Generation != int64(n) {
			s.Fatalf("row %q came back as id %q, owner %q, generation %d; want %d", id, r.ID, r.Owner, r.Generation, n)
		}
		if rows := s.list(id, "", 10); len(rows) != 1 || rows[0].ID != id {
			s.Fatalf("List of owner %q has %d rows; want its own alone", id, len(rows))
		}
	}
}

func longIDs(s *suite) {
	for _, id := range []string{strings.Repeat("i", 512), strings.Repeat("i", 511), strings.Repeat("é", 256)} {
		r := bare(id, strings.Repeat("o", 512))
		s.swap(r, true)
		r.Revision = 1
		s.wantRow(s.get(id), r)
	}
	if n := len(s.list(strings.Repeat("o", 512), "", 10)); n != 3 {
		s.Fatalf("List has %d rows; want 3", n)
	}
}

func largeBlob(s *suite) {
	r := full("a")
	r.Blob = "tv1." + strings.Repeat("0123456789abcdef", 100<<10/16)
	s.swap(r, true)
	r.Revision = 1
	s.wantRow(s.get("a"), r)
}

// wantFailing runs every method with ctx and expects errors that wrap want.
func (s *suite) wantFailing(ctx context.Context, want error) {
	s.Helper()
	r := full("a")
	r.Revision, r.Blob = 1, "must not be written"
	_, errGet := s.store.Get(ctx, "a")
	ok, errSwap := s.store.Swap(ctx, r)
	created, errCreate := s.store.Swap(ctx, full("new"))
	rows, errList := s.store.List(ctx, "", "", 10)
	for name, err := range map[string]error{"Get": errGet, "Swap": errSwap, "Swap (create)": errCreate, "List": errList} {
		if !errors.Is(err, want) {
			s.Errorf("%s returned %v; want an error wrapping %v", name, err, want)
		}
	}
	if ok || created || len(rows) != 0 {
		s.Errorf("Swap = %v, create = %v, List = %d rows beside an error", ok, created, len(rows))
	}
}

func cancelled(s *suite) {
	want := full("a")
	s.swap(want, true)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	s.wantFailing(ctx, context.Canceled)
	want.Revision = 1
	s.wantRow(s.get("a"), want)
	s.wantAbsent("new")
}

func deadline(s *suite) {
	want := full("a")
	s.swap(want, true)
	ctx, cancel := context.WithDeadline(s.ctx, time.Now().Add(-time.Second))
	defer cancel()
	s.wantFailing(ctx, context.DeadlineExceeded)
	want.Revision = 1
	s.wantRow(s.get("a"), want)
}

// usableAfterCancel interrupts calls under way, which must write all or
// nothing, and then counts on the store.
func usableAfterCancel(s *suite) {
	s.swap(full("a"), true)
	for range 20 {
		ctx, cancel := context.WithCancel(s.ctx)
		r := s.get("a")
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Generation = r.Revision + 1000
			_, _ = s.store.Swap(ctx, r)
		}()
		cancel()
		<-done
		if got := s.get("a"); got.Generation != 7 && got.Generation != got.Revision+999 {
			s.Fatalf("a swap cut short left revision %d with generation %d", got.Revision, got.Generation)
		}
	}
	for { // a server may finish a call after its client has gone
		ok, err := s.store.Swap(s.ctx, s.get("a"))
		if err != nil {
			s.Fatalf("Swap after cancelled ones: %v", err)
		}
		if ok {
			return
		}
	}
}

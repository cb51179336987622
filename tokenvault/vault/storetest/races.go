package storetest

import (
	"sync"
	"sync/atomic"
)

// race runs f in racers goroutines that start together and returns how often
// it reported true.
func (s *suite) race(f func(n int) (bool, error)) int {
	s.Helper()
	var wins atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n := range racers {
		wg.Go(func() {
			<-start
			ok, err := f(n)
			if err != nil {
				s.Errorf("racer %d: %v", n, err)
			}
			if ok {
				wins.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(wins.Load())
}

func raceCreate(s *suite) {
	for _, id := range []string{"a", "b", "c", "d"} {
		wins := s.race(func(n int) (bool, error) {
			r := full(id)
			r.Generation = int64(n)
			return s.store.Swap(s.ctx, r)
		})
		if r := s.get(id); wins != 1 || r.Revision != 1 {
			s.Fatalf("%d creates won, revision %d; want 1 and 1", wins, r.Revision)
		}
	}
}

func raceSwap(s *suite) {
	s.swap(full("a"), true)
	for round := range int64(5) {
		r := s.get("a")
		var winner atomic.Int64
		wins := s.race(func(n int) (bool, error) {
			mine := r
			mine.Generation = int64(1000 + n)
			ok, err := s.store.Swap(s.ctx, mine)
			if ok {
				winner.Store(mine.Generation)
			}
			return ok, err
		})
		if got := s.get("a"); wins != 1 || got.Revision != round+2 || got.Generation != winner.Load() {
			s.Fatalf("round %d: %d swaps won, revision %d, generation %d; want 1, %d, %d",
				round, wins, got.Revision, got.Generation, round+2, winner.Load())
		}
	}
}

func raceCount(s *suite) {
	r := bare("a", "o")
	s.swap(r, true)
	const each = 5
	s.race(func(int) (bool, error) {
		for done := 0; done < each; {
			r, err := s.store.Get(s.ctx, "a")
			if err != nil {
				return false, err
			}
			r.Generation++
			ok, err := s.store.Swap(s.ctx, r)
			if err != nil {
				return false, err
			}
			if ok {
				done++
			}
		}
		return true, nil
	})
	if r := s.get("a"); r.Generation != racers*each || r.Revision != racers*each+1 {
		s.Fatalf("generation %d, revision %d after %d updates", r.Generation, r.Revision, racers*each)
	}
}

package vault

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// NewMemoryStore returns a Store for tests and for single processes whose
// grants may be lost when they end.
func NewMemoryStore() Store {
	return &memoryStore{rows: make(map[string]Row), sweepAt: 1024}
}

type memoryStore struct {
	mu      sync.Mutex
	rows    map[string]Row
	sweepAt int // number of rows at which those past Expires are removed
}

func (s *memoryStore) Get(ctx context.Context, id string) (Row, error) {
	if err := ctx.Err(); err != nil {
		return Row{}, fmt.Errorf("vault: memory store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[id]
	if !ok {
		return Row{}, fmt.Errorf("vault: memory store: %w", fs.ErrNotExist)
	}
	r.Now = microseconds(time.Now())
	return r, nil
}

func (s *memoryStore) Swap(ctx context.Context, r Row) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("vault: memory store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[r.ID].Revision != r.Revision {
		return false, nil
	}
	if r.Revision == 0 && len(s.rows) >= s.sweepAt {
		s.sweep()
	}
	r.Revision++
	r.Now = time.Time{}
	for _, t := range []*time.Time{&r.AccessExpires, &r.Expires, &r.NotBefore, &r.LeaseUntil, &r.Intent} {
		*t = microseconds(*t)
	}
	s.rows[r.ID] = r
	return true, nil
}

func (s *memoryStore) List(ctx context.Context, owner, after string, limit int) ([]Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("vault: memory store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := microseconds(time.Now())
	var rows []Row
	for _, r := range s.rows {
		if r.ID > after && (owner == "" || r.Owner == owner) {
			r.Now = now
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Clip(rows[:min(limit, len(rows))]), nil
}

// sweep removes rows past their Expires. Doubling the mark keeps its cost a
// constant share of the creates.
func (s *memoryStore) sweep() {
	now := time.Now()
	for id, r := range s.rows {
		if !r.Expires.IsZero() && now.After(r.Expires) {
			delete(s.rows, id)
		}
	}
	s.sweepAt = max(1024, 2*len(s.rows))
}

// microseconds is t as every Store keeps it.
func microseconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// An index is a sorted set whose members all have score 0, so that Redis keeps
// them in the order of their bytes: the id, NUL, when the member was added in
// Unix seconds, and in the index of all grants NUL and the owner.

// grace is how long a member without a row is left alone: its creator may be
// about to write the row. It outlasts any write and any skew of clocks.
const grace = 24 * time.Hour

// page is how many rows one round trip reads.
const page = 256

func (s *Store) ownerIndex(owner string) string { return s.prefix + "owner:" + owner }
func (s *Store) allIndex() string               { return s.prefix + "all" }

func (s *Store) index(ctx context.Context, id, owner string) error {
	m := member{id: id, added: time.Now(), owner: owner}
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, s.ownerIndex(owner), redis.Z{Member: m.inOwnerIndex()})
		p.ZAdd(ctx, s.allIndex(), redis.Z{Member: m.inAllIndex()})
		return nil
	})
	if err != nil {
		return wrap("index", err)
	}
	return nil
}

// List returns up to limit rows ascending by id, after exclusive; owner "":
// all. Each row is as of its own Now.
func (s *Store) List(ctx context.Context, owner, after string, limit int) ([]vault.Row, error) {
	s.checkOnce(ctx)
	w := s.walk(owner, after)
	for len(w.rows) < limit && !w.done {
		if err := w.next(ctx, min(limit-len(w.rows), page)); err != nil {
			return nil, err
		}
	}
	return w.rows, nil
}

// DeleteExpired removes what expired grants left in the indexes, and returns
// how many entries. The rows themselves Redis has removed. Run it now and then,
// daily for instance; List does the same for what it passes.
func (s *Store) DeleteExpired(ctx context.Context) (int, error) {
	w := s.walk("", "")
	for !w.done {
		w.rows = nil
		if err := w.next(ctx, page); err != nil {
			return w.removed, err
		}
	}
	return w.removed, nil
}

// walk goes through an index.
type walk struct {
	store   *Store
	owner   string // "": the index of all grants
	start   string // where the next range starts, as Redis writes it
	done    bool
	shown   string // the last row's id
	rows    []vault.Row
	removed int
}

func (s *Store) walk(owner, after string) *walk {
	w := &walk{store: s, owner: owner, start: "-"}
	if after != "" {
		// Past every member of after, which continue with NUL, and before
		// those of any greater id.
		w.start = "(" + after + "\x01"
	}
	return w
}

func (w *walk) key() string {
	if w.owner == "" {
		return w.store.allIndex()
	}
	return w.store.ownerIndex(w.owner)
}

// next reads n members, appends the rows behind them, and removes members
// without one.
func (w *walk) next(ctx context.Context, n int) error {
	members, err := w.members(ctx, n)
	if err != nil {
		return err
	}
	rows, err := w.store.getAll(ctx, members)
	if err != nil {
		return err
	}
	var stale []member
	for i, m := range members {
		current := rows[i].ID != "" && rows[i].Owner == m.owner
		if current && m.id != w.shown {
			w.rows, w.shown = append(w.rows, rows[i]), m.id
		} else if time.Since(m.added) > grace {
			stale = append(stale, m)
		}
	}
	w.removed += len(stale)
	return w.remove(ctx, stale)
}

func (w *walk) members(ctx context.Context, n int) ([]member, error) {
	raw, err := w.store.client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: w.key(), ByLex: true, Start: w.start, Stop: "+", Count: int64(n),
	}).Result()
	if err != nil {
		return nil, wrap("list", err)
	}
	members := make([]member, len(raw))
	for i, r := range raw {
		if members[i], err = parseMember(r, w.owner); err != nil {
			return nil, err
		}
		w.start = "(" + r
	}
	w.done = len(raw) < n
	return members, nil
}

// remove takes members out of the index; those of the index of all grants out
// of their owner's too.
func (w *walk) remove(ctx context.Context, stale []member) error {
	if len(stale) == 0 {
		return nil
	}
	_, err := w.store.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range stale {
			p.ZRem(ctx, w.store.ownerIndex(m.owner), m.inOwnerIndex())
			if w.owner == "" {
				p.ZRem(ctx, w.key(), m.inAllIndex())
			}
		}
		return nil
	})
	if err != nil {
		return wrap("clean index", err)
	}
	return nil
}

// getAll reads the members' rows, the zero Row for absent ones.
func (s *Store) getAll(ctx context.Context, members []member) ([]vault.Row, error) {
	if len(members) == 0 {
		return nil, nil
	}
	answers := make([]*redis.Cmd, len(members))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, m := range members {
			answers[i] = getScript.Eval(ctx, p, []string{s.rowKey(m.id)})
		}
		return nil
	})
	if err != nil {
		return nil, wrap("list", err)
	}
	rows := make([]vault.Row, len(members))
	for i, m := range members {
		answer, err := answers[i].StringSlice()
		if err != nil {
			return nil, wrap("list", err)
		}
		if rows[i], err = decodeRow(m.id, answer); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return rows, nil
}

// member is an entry of an index.
type member struct {
	id, owner string
	added     time.Time
}

func (m member) inOwnerIndex() string { return fmt.Sprintf("%s\x00%010d", m.id, m.added.Unix()) }
func (m member) inAllIndex() string   { return m.inOwnerIndex() + "\x00" + m.owner }

// parseMember reads an entry of owner's index, or of that of all grants.
func parseMember(s, owner string) (member, error) {
	id, rest, _ := strings.Cut(s, "\x00")
	added, of, all := strings.Cut(rest, "\x00")
	if all {
		owner = of
	}
	sec, err := strconv.ParseInt(added, 10, 64)
	if err != nil {
		return member{}, errors.New("redisstore: an index holds an entry that is none of ours")
	}
	return member{id: id, owner: owner, added: time.Unix(sec, 0)}, nil
}

package redisstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// addMember puts an entry into both indexes as if it had been made long ago.
func addMember(t *testing.T, s *Store, m member) {
	t.Helper()
	require.NoError(t, s.client.ZAdd(t.Context(), s.ownerIndex(m.owner), redis.Z{Member: m.inOwnerIndex()}).Err())
	require.NoError(t, s.client.ZAdd(t.Context(), s.allIndex(), redis.Z{Member: m.inAllIndex()}).Err())
}

func (s *Store) sizes(t *testing.T, owner string) (all, owners int64) {
	t.Helper()
	all, err := s.client.ZCard(t.Context(), s.allIndex()).Result()
	require.NoError(t, err)
	owners, err = s.client.ZCard(t.Context(), s.ownerIndex(owner)).Result()
	require.NoError(t, err)
	return all, owners
}

func ids(rows []vault.Row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.ID
	}
	return out
}

func TestIndexEntriesWithoutRow(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	old, young := time.Now().Add(-grace-time.Hour), time.Now()
	for _, tt := range []struct {
		rule        string
		m           member
		listed      string // the owner List is asked for
		all, owners int64
	}{
		{"an old one leaves the owner's index when passed", member{"gone", "alice", old}, "alice", 2, 1},
		{"and both when List passes all grants", member{"gone", "alice", old}, "", 1, 1},
		{"a young one stays: its creator may be about to write", member{"gone", "alice", young}, "", 2, 2},
		{"two entries of one row list it once", member{"live", "alice", old}, "", 2, 2},
		{"an entry of another owner of old goes", member{"live", "bob", old}, "", 1, 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newStore(t, c)
			mustSwap(t, s, row("live"))
			addMember(t, s, tt.m)
			rows, err := s.List(t.Context(), tt.listed, "", 10)
			require.NoError(t, err)
			require.Equal(t, []string{"live"}, ids(rows))
			all, owners := s.sizes(t, "alice")
			require.Equal(t, tt.all, all)
			require.Equal(t, tt.owners, owners)
			rows, err = s.List(t.Context(), "alice", "", 10)
			require.NoError(t, err)
			require.Equal(t, []string{"live"}, ids(rows), "still listed")
		})
	}
}

func TestIndexSurvivesAnotherOwner(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	r := row("a")
	for n, owner := range []string{"alice", "bob", "alice"} {
		r.Owner, r.Revision = owner, int64(n)
		mustSwap(t, s, r)
		rows, err := s.List(t.Context(), owner, "", 10)
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, ids(rows))
		rows, err = s.List(t.Context(), "", "", 10)
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, ids(rows), "once, whoever owned it")
	}
}

// An expired grant leaves nothing behind for ever, even if its owner never
// lists.
func TestDeleteExpired(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	const live, gone = 3, 2*page + 7
	for n := range live {
		mustSwap(t, s, row(fmt.Sprint("live-", n)))
	}
	old := time.Now().Add(-grace - time.Hour)
	for n := range gone {
		addMember(t, s, member{fmt.Sprint("gone-", n), "carol", old})
	}
	removed, err := s.DeleteExpired(t.Context())
	require.NoError(t, err)
	require.Equal(t, gone, removed)
	all, owners := s.sizes(t, "carol")
	require.EqualValues(t, live, all)
	require.Zero(t, owners)
}

func TestListPassesWhatIsGone(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	for n := range 20 {
		addMember(t, s, member{fmt.Sprintf("%02d", n), "alice", time.Now()})
	}
	mustSwap(t, s, row("99"))
	rows, err := s.List(t.Context(), "alice", "", 3)
	require.NoError(t, err)
	require.Equal(t, []string{"99"}, ids(rows), "a short page means the end, so gaps are read over")
}

func TestForeignIndexEntry(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	s := newStore(t, c)
	require.NoError(t, c.ZAdd(t.Context(), s.allIndex(), redis.Z{Member: "foreign"}).Err())
	_, err := s.List(t.Context(), "", "", 10)
	require.ErrorContains(t, err, "none of ours")
}

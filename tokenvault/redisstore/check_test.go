package redisstore

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule string
		args []string
		want []string // each in the error, none: no error
	}{
		{"the recommended settings pass", durableArgs, nil},
		{"the defaults may lose a second or all", nil, []string{`appendonly is "no"`, `appendfsync is "everysec"`}},
		{"an AOF that is synced later", []string{"--appendonly", "yes"}, []string{`appendfsync is "everysec", should be "always"`}},
		{"a Redis that evicts", append(durableArgs, "--maxmemory-policy", "allkeys-lru"), []string{`maxmemory-policy is "allkeys-lru"`}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			err := NewStore(connect(t, testserver.Redis(t, tt.args...).Addr)).Check(t.Context())
			if tt.want == nil {
				require.NoError(t, err)
			}
			for _, want := range tt.want {
				require.ErrorIs(t, err, ErrNotDurable)
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestCheckOnCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := NewStore(c)
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, c.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
		return c.ConfigSet(ctx, "appendfsync", "no").Err()
	}))
	require.ErrorIs(t, s.Check(t.Context()), ErrNotDurable)
}

func TestCheckNotAllowed(t *testing.T) {
	t.Parallel()
	c := connect(t, testserver.Redis(t, durableArgs...).Addr)
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err())
	err := NewStore(c).Check(t.Context())
	require.ErrorIs(t, err, ErrNotDurable)
	require.ErrorContains(t, err, "cannot read appendonly")
}

func TestWarnsOnceAtFirstUse(t *testing.T) {
	t.Parallel()
	server := testserver.Redis(t)
	s := NewStore(connect(t, server.Addr))
	var warnings []error
	s.Warn = func(_ context.Context, err error) { warnings = append(warnings, err) }

	server.Stop()
	_, err := s.Get(t.Context(), "a")
	require.Error(t, err)
	require.NotErrorIs(t, err, fs.ErrNotExist, "a store that is down has not lost the grant")
	require.Empty(t, warnings, "a server that is down says nothing about its settings")

	server.Start()
	for range 3 {
		_, err := s.Get(t.Context(), "a")
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	require.Len(t, warnings, 1)
	require.True(t, errors.Is(warnings[0], ErrNotDurable))
}

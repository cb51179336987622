package testserver

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	s := Redis(t)
	require.NoError(t, pingRedis(s.Addr))
	s.Kill()
	require.Error(t, pingRedis(s.Addr))
	s.Start()
	require.NoError(t, pingRedis(s.Addr))
	s.Stop()
	require.Error(t, pingRedis(s.Addr))
}

func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	s := Postgres(t)
	require.NoError(t, pingPostgres(s.Addr))
	s.Kill()
	require.Error(t, pingPostgres(s.Addr))
	s.Start()
	require.NoError(t, pingPostgres(s.Addr))
	s.Freeze()
	require.Error(t, pingPostgres(s.Addr))
	s.Thaw()
	require.NoError(t, pingPostgres(s.Addr))
}

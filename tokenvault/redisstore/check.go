package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

// ErrNotDurable says that Redis may lose grants that it has confirmed.
var ErrNotDurable = errors.New("redisstore: not durable")

// durable is what the package comment recommends.
var durable = []struct{ setting, value string }{
	{"appendonly", "yes"},
	{"appendfsync", "always"},
	{"maxmemory-policy", "noeviction"},
}

// Check compares the configuration of every master with the one the package
// comment recommends. What differs is an error that wraps ErrNotDurable, one
// for each setting; so is a setting that this client may not read.
func (s *Store) Check(ctx context.Context) error {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return checkServer(ctx, s.client)
	}
	var mu sync.Mutex // ForEachMaster asks them all at once
	var found error
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		err := checkServer(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		if found == nil {
			found = err // masters are configured alike: one speaks for the others
		}
		return nil
	})
	return errors.Join(err, found)
}

func checkServer(ctx context.Context, c redis.Cmdable) error {
	var found []error
	for _, want := range durable {
		got, err := c.ConfigGet(ctx, want.setting).Result()
		switch {
		case refused(err):
			found = append(found, fmt.Errorf("%w: cannot read %s: %w", ErrNotDurable, want.setting, err))
		case err != nil:
			return wrap("check", err)
		case got[want.setting] != want.value:
			found = append(found, fmt.Errorf("%w: %s is %q, should be %q", ErrNotDurable, want.setting, got[want.setting], want.value))
		}
	}
	return errors.Join(found...)
}

// refused tells a server's refusal from one that cannot be asked now.
func refused(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && !redis.HasErrorPrefix(err, "LOADING")
}

// checkOnce warns at the first use of what Check finds. A server that cannot be
// asked now is asked at the next use.
func (s *Store) checkOnce(ctx context.Context) {
	if s.checked.Load() || !s.checked.CompareAndSwap(false, true) {
		return
	}
	err := s.Check(ctx)
	switch {
	case err == nil:
	case !errors.Is(err, ErrNotDurable):
		s.checked.Store(false)
	case s.Warn != nil:
		s.Warn(ctx, err)
	default:
		slog.WarnContext(ctx, "grants are kept on a Redis that may lose them", "err", err)
	}
}

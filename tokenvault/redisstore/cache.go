package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cache is a phantom.Cache: the tier of tokens already exchanged that a fleet
// shares. Losing it costs one introspection per token, so it may live on a
// Redis without persistence that evicts.
type Cache struct{ values }

// NewCache keeps a cache under keys that start with "tv:cache:".
func NewCache(c redis.UniversalClient) *Cache {
	return &Cache{values{client: c, prefix: "tv:cache:"}}
}

// Sessions is a spa.Sessions: the sessions of a Token Vault Proxy that runs in
// several instances. Losing one logs its user out, so its Redis should not
// evict, and its client must not read from replicas, where a session that was
// ended may still be seen.
type Sessions struct{ values }

// NewSessions keeps sessions under keys that start with "tv:session:".
func NewSessions(c redis.UniversalClient) *Sessions {
	return &Sessions{values{client: c, prefix: "tv:session:"}}
}

var errTTL = errors.New("redisstore: Add needs a positive ttl")

// values are strings with an expiry, each in a key of its own.
type values struct {
	client redis.UniversalClient
	prefix string
}

// Get returns the value of key. Absent or expired: fs.ErrNotExist.
func (v *values) Get(ctx context.Context, key string) ([]byte, error) {
	b, err := v.client.Get(ctx, v.prefix+key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("redisstore: no such key: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, wrap("get", err)
	}
	return b, nil
}

// Set writes the value for ttl, rounded up to the millisecond. A ttl that is
// not positive removes the key; removing an absent one is no error.
func (v *values) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	var err error
	if ttl <= 0 {
		err = v.client.Del(ctx, v.prefix+key).Err()
	} else {
		err = v.client.Set(ctx, v.prefix+key, value, ceilMilli(ttl)).Err()
	}
	if err != nil {
		return wrap("set", err)
	}
	return nil
}

// Add writes the value for ttl if the key is absent, atomically, and reports
// whether it did. The ttl must be positive: what is added to make others wait
// must end by itself.
func (v *values) Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	if ttl <= 0 {
		return false, errTTL
	}
	err := v.client.SetArgs(ctx, v.prefix+key, value, redis.SetArgs{Mode: "NX", TTL: ceilMilli(ttl)}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, wrap("add", err)
	}
	return true, nil
}

// ceilMilli is d in Redis's resolution, never zero, which would mean for ever.
func ceilMilli(d time.Duration) time.Duration {
	if t := d.Truncate(time.Millisecond); t != d {
		return t + time.Millisecond
	}
	return d
}

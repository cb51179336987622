package redisstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
)

func ExampleNewStore() {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"redis-0:6379", "redis-1:6379", "redis-2:6379"}})
	defer func() { _ = client.Close() }()

	store := redisstore.NewStore(client) // no I/O yet
	store.Warn = func(ctx context.Context, err error) {
		slog.ErrorContext(ctx, "this Redis may lose grants", "err", err)
	}
	// vault.New(vault.Config{Store: store, …})
	fmt.Printf("%T\n", store)
	// Output: *redisstore.Store
}

func ExampleNewCache() {
	client := redis.NewClient(&redis.Options{Addr: "cache:6379"})
	defer func() { _ = client.Close() }()

	// phantom.New(phantom.Config{Cache: redisstore.NewCache(client), CacheKey: key, …})
	fmt.Printf("%T\n", redisstore.NewCache(client))
	// Output: *redisstore.Cache
}

func ExampleNewSessions() {
	client := redis.NewClient(&redis.Options{Addr: "sessions:6379"})
	defer func() { _ = client.Close() }()

	sessions := redisstore.NewSessions(client)
	// spa.New(spa.Config{Sessions: sessions, …})
	_, err := sessions.Add(context.Background(), "key", []byte("value"), -time.Second)
	fmt.Println(err)
	// Output: redisstore: Add needs a positive ttl
}

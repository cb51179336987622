// Package redisstore keeps tokenvault's shared state on Redis, a single server
// or a cluster: Store keeps OAuth grants for a vault.Vault, Cache is the shared
// second tier of a phantom.Exchanger, Sessions keeps the browser sessions of a
// spa.Proxy. Each takes a go-redis UniversalClient that stays the caller's, to
// configure and to close; constructors do no I/O.
//
// A grant's refresh token that was rotated but not kept costs its user a login,
// so a Store is only as good as the Redis under it. Recommended:
//
//	appendonly yes
//	appendfsync always
//	maxmemory-policy noeviction
//
// Store looks once, at its first use, and warns of what differs. Redis
// replicates asynchronously: a failover can lose the last writes, of which a
// lost rotation costs one login and a lost lease one more refresh. There is no
// Redlock here: a grant is one key, and one server's script decides about it.
// When that is not durable enough, sqlstore on PostgreSQL is the better choice;
// on one machine, sqlstore on SQLite.
//
// Values are stored as they come. A Store's rows hold sealed blobs only, and in
// the clear the grant's id, owner, state and times.
//
// Redis 6.2 or newer, or a server that speaks its commands: EVAL, HSET, TIME,
// ZADD, ZRANGE … BYLEX, SET … NX PX, and CONFIG GET for the check.
package redisstore

module github.com/seed-6d9a6c17/tokenvault/internal/e2e

go 1.26.0

require github.com/seed-6d9a6c17/tokenvault v0.0.0

require (
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/mod v0.42.0 // indirect
)

replace github.com/seed-6d9a6c17/tokenvault => ../..

replace github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore => ../../tokenvault/redisstore

replace github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore => ../../tokenvault/sqlstore

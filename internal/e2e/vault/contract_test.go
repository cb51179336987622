package vault

import (
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// The stores' modules do not import what they are made for; here it is seen
// that they fit.
var (
	_ vault.Store   = (*redisstore.Store)(nil)
	_ vault.Store   = (*sqlstore.Store)(nil)
	_ phantom.Cache = (*redisstore.Cache)(nil)
	_ spa.Sessions  = (*redisstore.Sessions)(nil)
	_ spa.Sessions  = (*sqlstore.Sessions)(nil)
)

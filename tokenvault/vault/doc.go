// Package vault keeps OAuth grants sealed in a store and refreshes each once
// for a whole fleet.
//
// An application hands a grant over once, with Vault.Exchange or Vault.Put,
// and from then on works with its id and owner. Vault.Transport attaches the
// access token on the wire and nowhere else; Vault.TokenSource hands out sealed
// tokens for package relay and for vendor SDKs; Vault.Reveal is the one method
// that returns plaintext.
//
// # What is promised
//
// Without faults one refresh POST per generation over any number of processes;
// with a crashed or frozen holder at most two (a server that does not answer is
// asked again, with back-off). A saved generation is as durable as the store; a
// rotation whose answer was never saved is lost and costs one login. A grant
// dies only on invalid_grant for its current generation. No waiter outlives its
// deadline.
//
// A generation is one answer of the authorization server: Put and Exchange and
// every saved refresh begin a new one.
//
// # What is not
//
// A row that somebody rolled back as a whole to an older state of its own cannot
// be told from a restored backup. A revoke whose refreshing holder died is
// completed by calling Revoke again after the lease; the token which that holder
// alone knew cannot be revoked. Transports, HTTP/2 header tables and the memory
// of the process see plaintext while a request is made.
//
// # Errors
//
// Whatever takes an id and an owner returns ErrReauthorize, when the owner
// must log in again; ErrUnavailable, when asking later may help; an error
// that wraps fs.ErrNotExist, when there is no such grant; one that wraps
// tokenvault.ErrLabel, when it is somebody else's or its row was tampered with;
// or one of tokenvault's, when the row does not open: the grant is kept then.
// ctx's own error is wrapped where it ended the call. No error holds a token or
// what the authorization server answered.
//
// # Which store
//
// NewMemoryStore is for tests and for grants that may be lost with the process.
// Packages sqlstore (SQLite for one machine, PostgreSQL for a fleet) and
// redisstore keep them; storetest proves any other Store.
//
// # When not to use it
//
// A service that only checks who its caller is needs no grant at all. A
// command-line tool with one user does well with golang.org/x/oauth2 and the
// system's keychain.
package vault

package vault

import (
	"context"
	"time"
)

// State is what has become of a grant.
type State string

// The states of a grant.
const (
	Active  State = "active"
	Dead    State = "dead"    // the authorization server answered invalid_grant for its current generation
	Revoked State = "revoked" // a tombstone: it stays revoked until the id is Put again
)

// Row is one grant as a Store keeps it. Times are UTC, to the microsecond; the
// zero Time means unset and comes back as the zero Time. ID and Owner are valid
// UTF-8 without NUL, at most 512 bytes each; Blob is ASCII, up to about 100 KB.
type Row struct {
	ID, Owner            string
	Revision, Generation int64 // Revision counts every write of the row, Generation only those of new tokens
	State                State
	Blob                 string    // sealed; opaque to the store
	AccessExpires        time.Time // when the access token expires, by the vault's clock; zero: it does not say
	Expires              time.Time // the store may remove the row after this; zero: never
	NotBefore            time.Time // no refresh before this, by the store's clock
	Holder               string    // who refreshes; empty: nobody
	LeaseUntil           time.Time // until when, by the store's clock
	Intent               time.Time // a refresh was begun at this time and its outcome has not been written, by the store's clock
	Now                  time.Time // the store's clock when the row was read; never stored
}

// Store keeps rows and swaps them atomically. It may be shared by any number
// of processes and must be safe for concurrent use; package storetest proves
// the contract.
//
// A row lives until its Expires, however long ago its access token expired:
// what makes a row worth keeping is the refresh token inside. An error that
// stems from ctx wraps ctx's error. After any other error of Swap the caller
// does not know whether the row was written, and reads it again.
type Store interface {
	// Get returns the row, with the store's clock in Row.Now. Absent:
	// fs.ErrNotExist, which no failure is: not that of a socket that is not there.
	Get(ctx context.Context, id string) (Row, error)
	// Swap writes all of r if the stored Revision equals r.Revision (0: there
	// is no such row) and makes the stored Revision r.Revision+1; atomically.
	// Not equal, or absent with a Revision other than 0: false, no error, and
	// nothing written. r.Now is ignored.
	Swap(ctx context.Context, r Row) (ok bool, err error)
	// List returns up to limit (at least 1) rows in ascending byte order of
	// their ids, beginning after the id after, with the store's clock in
	// Row.Now. owner "": every owner's.
	List(ctx context.Context, owner, after string, limit int) ([]Row, error)
}

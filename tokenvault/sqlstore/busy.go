package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"time"
)

// patience is how long a busy SQLite is asked again, if the caller's ctx lasts.
const patience = 20 * time.Second

// patiently calls f until SQLite does not refuse it for being busy, which it
// does at once where the connection has no busy timeout, or shares its cache.
// A refused statement has changed nothing.
func patiently(ctx context.Context, f func() error) error {
	began := time.Now()
	for most := time.Millisecond; ; most = min(2*most, 16*time.Millisecond) {
		err := f()
		if !isBusy(err) || time.Since(began) > patience {
			return err
		}
		select {
		case <-time.After(upTo(most)):
		case <-ctx.Done():
			return err
		}
	}
}

// upTo is a random duration, lest those who wait for each other meet again.
func upTo(most time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(most)))
	if err != nil {
		return most
	}
	return time.Duration(n.Int64())
}

// isBusy reports SQLITE_BUSY and SQLITE_LOCKED, extended or not.
func isBusy(err error) bool {
	var answer interface{ Code() int }
	if !errors.As(err, &answer) {
		return false
	}
	code := answer.Code() & 0xff
	return code == 5 || code == 6
}

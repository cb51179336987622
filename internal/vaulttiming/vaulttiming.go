// Package vaulttiming holds the time allowances of a vault's refresh, so that
// the tests of this module can shorten them. No setting makes them part of the
// vault's API: a holder that was allowed more time than its lease covers would
// break the promise of one refresh per generation.
package vaulttiming

import "time"

// Timing bounds one refresh.
type Timing struct {
	HTTP    time.Duration // from before the lease is acquired to the end of the answer
	Save    time.Duration // from there to the row being saved
	Margin  time.Duration // for the store's round trips and timers that fire late
	PollMin time.Duration // how often a waiter looks at the row, with jitter
	PollMax time.Duration
	// BackOffMin is the pause after a first failure; every further one doubles
	// it, up to BackOffMax. Jitter adds up to a half.
	BackOffMin, BackOffMax time.Duration
}

// Default is what production uses.
func Default() Timing {
	return Timing{
		HTTP: 8 * time.Second, Save: 5 * time.Second, Margin: 2 * time.Second,
		PollMin: 50 * time.Millisecond, PollMax: 250 * time.Millisecond,
		BackOffMin: time.Second, BackOffMax: 5 * time.Minute,
	}
}

// Lease is how long one holder may work: bounded work instead of a lease that
// is renewed.
func (t Timing) Lease() time.Duration { return t.HTTP + t.Save + t.Margin }

// VaultTiming makes any struct that embeds a store and a Timing a Carrier:
//
//	vault.Config{Store: struct {
//		vault.Store
//		vaulttiming.Timing
//	}{store, timing}}
func (t Timing) VaultTiming() Timing { return t }

// Carrier is a store that brings its own Timing; vault.New asks its store.
type Carrier interface{ VaultTiming() Timing }

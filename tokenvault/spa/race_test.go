//go:build race

package spa_test

// The race detector looks at every byte that is copied: a sixteenth must do.
const gigabyte = 64 << 20

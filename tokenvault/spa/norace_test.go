//go:build !race

package spa_test

const gigabyte = 1 << 30

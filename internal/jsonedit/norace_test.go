//go:build !race

package jsonedit

const raced = false

//go:build race

package jsonedit

const raced = true

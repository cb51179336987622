//go:build !unix

package main

import "os"

// hangups delivers nothing where there is no SIGHUP.
func hangups() (<-chan os.Signal, func()) { return nil, func() {} }

// Package vault proves tokenvault/vault on real databases and over several
// processes: the test binary starts itself again as workers, kills, freezes and
// cuts them off, and a strict authorization server counts what reached it.
//
// TestFaults writes docs/faults.md from those counts:
//
//	go test ./vault -run TestFaults -update
package vault

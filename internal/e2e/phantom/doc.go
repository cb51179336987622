// Package phantom proves package phantom on a real Redis, over several processes,
// and against a real authorization server. The test binary starts itself again
// as the processes of a fleet.
package phantom

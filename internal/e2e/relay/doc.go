// Package relay runs clients that other people wrote through a relay.Transport,
// unmodified, against fakes of the services they are for.
package relay

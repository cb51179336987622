// Package relay lets a program use credentials that it never sees. A Transport
// is an http.RoundTripper: the program writes sealed strings where credentials
// belong, and plaintext exists on the wire to the destination alone.
//
//	client := &http.Client{Transport: transport}
//	req.Header.Set("Authorization", "Bearer "+sealed) // tv1.…
//
// # What is promised
//
// A sealed value is opened only when its label (host, subject, expiry) and a
// Destination (host, route, place) both allow it, and only where it is the
// whole of its place. Sealed values anywhere else in a request to a listed host
// refuse the request, because a user could otherwise have somebody's credential
// opened into a comment and read it back. When a request is refused nothing has
// been sent. Each hop of a redirect is a request of its own.
//
// Fields of an answer that Destination.Seal selects reach the caller sealed, or
// not at all. Every other byte of the answer stays as it came, apart from
// credentials of the same request that the upstream echoes; those become the
// sealed strings they came from. Scrubbing echoes is best effort: it knows the
// raw text, JSON escapes, percent-encoding and base64, in plaintexts of 8 bytes
// and more, and ends where the answer would grow beyond reason: then a mask
// takes their place.
//
// # What is not
//
// The transport underneath, a proxy that it uses, HTTP/2 header tables and the
// memory of this process hold plaintext while a request is made. A response
// body is read into memory up to Config.MaxBody when fields of it are sealed; a
// request body up to MaxBody before anything is sent, so a request whose answer
// the caller must see before it ends its body needs another transport. A value
// that the destination shows to others is no secret any more.
//
// # When not to use it
//
// Programs that should not hold the keyring at all use the same as a sidecar:
// see NewProxy. A program that holds its own credentials, of one owner, and
// trusts its own process gains little from this package; a secret manager will
// do.
package relay

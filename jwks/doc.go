// Package jwks verifies JWT access tokens of several issuers against their
// rotating keys, through rotation, outage and attack.
//
// A [Verifier] is the one noun. [Verifier.Handler] puts it in front of any mux;
// [Verifier.Verify] is the decision alone, for gateways, queues and cloud
// authorisers; [Verifier.Check] and [Verifier.Payload] have the shapes that
// other packages take as hooks.
//
// # When to validate, and when not
//
// Validate where a token is relied on: the resource server that acts on its
// subject and scopes, or the gateway behind which nobody asks again. A service
// that only passes a JWT on to the resource server need not validate it, and
// gains nothing by it but a second place to keep issuers in step. Do not use
// the package for ID tokens in a browser login (an OpenID Connect client checks
// nonce and at_hash too), for encrypted tokens (JWE), for opaque tokens (ask
// the issuer, RFC 7662), or where a token must be revocable within seconds: a
// JWT is good until it expires. Sender-constrained tokens (RFC 9449, RFC 8705)
// are refused with [ErrBinding], because here they would be mere bearer tokens.
//
// # What is checked
//
// RFC 8725 in full, in this order, each step cheap before the next: the form of
// the compact serialisation; the header; the issuer, against the allow-list;
// the key, which must belong to that issuer and fit the algorithm; the
// signature; then exp, nbf, iat, aud, typ, cnf and scope. A bad signature is
// reported before any bad claim. JSON is read strictly: names are compared
// exactly, and a duplicate name, invalid UTF-8 or trailing data is refused.
//
// Subjects of different issuers collide: whoever keys data on a subject uses
// [Claims.Issuer] and [Claims.Subject] together.
//
// # Three freshness numbers
//
// Keys are fetched on first use, then kept in memory and renewed in the
// background; [New] does no I/O, so a service starts while its issuer is down
// and recovers by itself. How old a key may be is three numbers:
//
//   - Renewal. A set is good for its Cache-Control max-age, within
//     [Refresh].MinAge and MaxAge (1 min to 24 h; 15 min without the header). It
//     is renewed when [Refresh].Ahead (20 %) of that is left.
//   - Max-stale. When renewal fails, known keys verify on without added latency
//     until the last good answer is [Refresh].MaxStale old (24 h). Then every
//     token of the issuer is refused with [ErrUnavailable].
//   - Removal bound. A key that has left the issuer's set stops verifying, and
//     its cached tokens with it, when the set is next renewed: at most the set's
//     lifetime after the removal (15 min by default) plus the 5 s a fetch may
//     take, as long as the issuer answers. An empty or unusable answer counts as
//     a failure and removes nothing, so an issuer that withdraws its last key
//     is bounded by max-stale instead.
//
// A key that is not known yet is looked up at once: two such fetches back to
// back, then one per [Refresh].Cooldown (10 s), however many tokens ask. While
// the allowance is spent an unknown key is [ErrUnavailable], not a verdict.
//
// # Lambda and other frozen processes
//
// An API-gateway authoriser calls Verify directly; see examples/authorizer. Keep
// the Verifier outside the handler function so that warm starts share its keys.
// Timers do not run in a frozen process. The first verification after a thaw
// that finds the keys expired waits up to 100 ms for their renewal and goes on
// with the old keys if it takes longer, so the removal bound holds for all but
// slow issuers. [Issuer].Keys avoids the network altogether.
package jwks

// Package phantom swaps the opaque access token of an incoming request for the
// JWT behind it, and hands the JWT to the next handler: opaque tokens outside,
// JWTs inside (the phantom token pattern, over RFC 7662 token introspection).
//
// The type to pick is [Exchanger]. [Exchanger.Handler] is its middleware and
// [Exchanger.Exchange] the decision behind it, usable without HTTP. With the
// verifier of package jwks behind it, exchanger.Handler(verifier.Handler(api)),
// an api sees one kind of token only.
//
// # What is promised
//
//   - One introspection per token, however many requests ask at once, and with a
//     shared [Cache] across the processes of a fleet. A caller that leaves fails
//     nobody else.
//   - Expiry, scopes and audience are enforced on every call, cached or not.
//   - The server's answer is read strictly by its Content-Type and within 64 KiB.
//     Anything unexpected is an error; an outage is never reported as a bad
//     token, so clients do not log their users out.
//   - A token is checked to be a b64token (RFC 6750 section 2.1) of at most 16 KiB
//     before anything is sent. No cache holds one: keys are HMACs, and values in
//     the shared tier are sealed.
//   - The JWT does not go back to the client: response headers that hold it are
//     dropped, even when an upstream echoes its request headers. Bodies are the
//     application's.
//   - No error, event or formatted value carries a token or a claim.
//
// # How long an answer is kept
//
// The smallest of the answer's HTTP freshness (RFC 9111: max-age or Expires, less
// Age; no-store and no-cache are honoured, s-maxage is for other caches), its
// exp less 60 seconds, and Config.MaxTTL. Without a freshness header it is kept
// until exp or MaxTTL. Many servers stamp no-store on every OAuth answer, which
// makes every request an introspection; Config.MinTTL keeps such an answer that
// long, and so bounds how late a revocation is seen. An inactive answer is
// remembered for Config.NegativeTTL whatever its headers say, errors never.
//
// A token used often is introspected again shortly before its answer ends.
// [Exchanger.Evict] and [Exchanger.EvictSubject] end answers early.
//
// # Formats
//
// [JWT] is an answer of type application/jwt; few servers give it, oidc-provider
// does not. [JSON] is RFC 7662, with the JWT in a phantom_token or jwt member or
// without one. [Introspection] is the signed answer of RFC 9701; it is about the
// token and made for the gateway, so its claims are used and it is never
// forwarded. For answers of claims only, Config.Mint makes a JWT of the
// gateway's own; without it the claims are in the context and the Authorization
// header is removed.
//
// # Memory
//
// The first tier holds Config.CacheSize entries. With JWTs of 700 bytes an entry
// takes about 1.2 KB, everything included (BenchmarkExchangeCached), so the default
// of 100 000 is 120 MB when full.
//
// # When not to use it
//
// When clients hold JWTs already, or the next service can introspect by itself
// and nothing else needs a JWT. Tokens in the query and encrypted JWTs are not
// supported, and neither are protocol upgrades: hop-by-hop headers are removed.
// A token in a cookie (Config.Cookie) is sent by the browser on its own, so the
// application must defend against cross-site requests itself.
package phantom

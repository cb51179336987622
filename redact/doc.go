// Package redact takes credentials out of bodies, headers, URLs and log
// records.
//
// A [Redactor] is made once, from a [Config] that names what is secret, and then
// wraps what may carry it: an [net/http.Handler], an [net/http.RoundTripper], a
// [log/slog.Handler], or single values. [Default] is the Config for OAuth 2.0
// and OpenID Connect. A [Secret] is a string that nothing prints.
//
// # Promises
//
// A body that should be JSON and is not, is cut off or nested too deeply makes
// an error, and nothing that was selected in it gets out. JSON and event streams
// are masked as they flow, in constant memory, and outside of masked values
// every byte stays: white space, order, duplicate keys, the spelling of numbers.
// Arguments are never altered.
//
// # What Detect finds
//
// With [Config.Detect] values are masked that look like credentials, whatever
// their name: JWTs and JWEs, what follows Bearer, DPoP and Basic, private keys in
// PEM, passwords in URLs, and keys with a published format, among them those of
// GitHub, GitLab, Slack, Stripe, AWS, Google, npm, PyPI, SendGrid, Twilio, Azure,
// OpenAI, Anthropic, DigitalOcean, Shopify, Square, Mailgun, Telegram, Discord,
// Hugging Face, HashiCorp Vault, Databricks, Atlassian, Doppler, Linear, Postman
// and age. On a corpus of generated keys and of look-alikes:
//
//	recall 1.0000 of 9720 keys of 54 kinds, precision 1.0000 among 10400 look-alikes
//
// # When not to use it
//
// Masking is the second line of defence: what is never logged needs no mask.
// Detect knows shapes, and a password has none; name it, or hold it in a Secret.
// Images, archives and other binary bodies pass as they are. A service whose
// responses are meant to carry tokens to their owner wants package relay.
package redact

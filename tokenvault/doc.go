// Package tokenvault seals a credential into a printable string that is bound
// to the hosts, the owner and the time it is meant for, and opens it again.
//
// A Keyring does both. The service that holds other people's credentials keeps
// sealed strings in its variables, database and logs, and gives them to
// package relay, which opens them only on their way to a host that the Label
// names. Two kinds of key stand for two kinds of trust:
//
//   - NewKey makes a symmetric key: who seals can also open, and nobody else
//     can do either. A value that opens was sealed by a holder of the key, with
//     the label it carries.
//   - NewKeyPair makes a key pair: browsers and less trusted services seal with
//     its public half (Keyring.Public) and cannot open. Anyone can seal so, with
//     any label; Open accepts such values only where Use.AllowPublic is set.
//
// # What is promised
//
// A value opens only under the key it names, unaltered, and for a use that its
// label allows; a string that is not one is refused before any cryptography. No
// error, event or printed Keyring holds a key, a plaintext or a sealed value.
//
// # The sealed string
//
// A sealed string is Prefix and a JWE compact serialisation (RFC 7516) under
// one of two suites that the key decides, never the string: A256KW or
// ECDH-ES+A256KW, with A256GCM. Any JOSE library can make and read one. The
// Label is its protected header: readable by all, authenticated with the rest.
// Its alphabet, [A-Za-z0-9._-], passes unescaped through headers, cookies,
// URLs, forms and JSON. There is one way to write a value: any other spelling
// is refused. Strings of this version open for ever. Every value has a content
// key of its own, so no limit applies to the number of values sealed under one
// key.
//
// # Keys
//
// Keys are JSON Web Keys (RFC 7517), each with a key id; the first of a set
// seals. To rotate over a fleet: add the new key as last everywhere; once every
// replica has it, move it first; Reseal what is stored; drop the old one after
// the longest expiry. A running service adopts a changed set with
// Keyring.Replace. ErrUnknownKey means that a replica lags behind or a key was
// dropped too early: it is no reason to delete the value.
//
// # When not to use it
//
// A Keyring hides nothing from a process that holds the keys: run the relay in a
// process of its own for that. It is no store (package vault is), no password
// hash, and no format for large data: a plaintext has at most 64 KiB, and its
// length shows. Whoever has an older value can put it back in place of a newer
// one; where that matters, keep a generation beside it, as package vault does.
package tokenvault

package jwks

// header is what a JWS header may say here.
type header struct {
	alg, kid, typ string
}

var (
	errHeader     = refuse(ErrMalformed, "the header is not a JSON object with an alg")
	errHeaderType = refuse(ErrMalformed, "alg, kid or typ is not a string")
	errCritical   = refuse(ErrMalformed, "crit is not supported")
	errForeignKey = refuse(ErrMalformed, "the header brings its own key")
	errDetached   = refuse(ErrMalformed, "b64 is not supported")
)

// parseHeader reads a JOSE header. No extension is understood, so crit, which
// may not be empty either, is always refused (RFC 7515 section 4.1.11), and so
// is b64, even where crit does not list it (RFC 7797 section 6). jku, x5u and
// jwk would let the sender choose the key (RFC 8725 section 3.10).
func parseHeader(s string) (h header, err error) {
	refused := error(nil)
	take := func(dst *string, raw string) {
		var ok bool
		if *dst, ok = text(raw); !ok {
			refused = errHeaderType
		}
	}
	ok := members(s, func(name, raw string) {
		switch name {
		case "alg":
			take(&h.alg, raw)
		case "kid":
			take(&h.kid, raw)
		case "typ":
			take(&h.typ, raw)
		case "crit":
			refused = errCritical
		case "jku", "x5u", "jwk":
			refused = errForeignKey
		case "b64":
			refused = errDetached
		}
	})
	if !ok || h.alg == "" {
		return header{}, errHeader
	}
	return h, refused
}

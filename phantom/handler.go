package phantom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Handler is the middleware: it exchanges the bearer token of each request, and
// next sees the request with "Authorization: Bearer <JWT>" in its place - or with
// none, when there is no JWT - and the Token in its context ([FromContext]).
// Hop-by-hop headers do not reach next, nor headers such as
// X-Forwarded-Access-Token by which a gateway tells of a token, nor Config.Cookie.
//
// A request that does not get through is answered as RFC 6750 section 3 says:
//
//	no token                                     401 and a bare challenge
//	two Authorization headers or token cookies   400 invalid_request
//	malformed, inactive, expired, other audience 401 invalid_token
//	a scope is missing                           403 insufficient_scope
//	the server's answer cannot be used           502
//	the server failed, or cannot be reached      502
//	the server is busy, or we are                503, with Retry-After if known
//	the server took too long                     504
//	the caller has left                          nothing
//
// Of the response, headers and trailers that hold the JWT are dropped.
func (e *Exchanger) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.cfg.SkipPreflight && isPreflight(r) {
			next.ServeHTTP(w, e.upstream(r.Context(), r, nil))
			return
		}
		opaque, err := e.credential(r)
		if err != nil {
			e.refuse(w, err)
			return
		}
		t, err := e.Exchange(r.Context(), opaque)
		if err != nil {
			e.refuse(w, err)
			return
		}
		p := &passage{Context: r.Context(), token: t, authorization: [1]string{t.g.bearer}}
		inner := e.upstream(p, r, p.authorization[:])
		if t.g.bearer == "" {
			next.ServeHTTP(w, inner)
			return
		}
		p.guard = guard{ResponseWriter: w, grant: t.g}
		defer p.guard.clean() // also when next panics: another handler may answer then
		next.ServeHTTP(&p.guard, inner)
	})
}

// A passage is what one request takes along, in one piece of memory: its context,
// the guard of its response, and its Authorization header.
type passage struct {
	context.Context
	token         Token
	guard         guard
	authorization [1]string
}

func (p *passage) Value(key any) any {
	if key == (contextKey{}) {
		return p.token
	}
	return p.Context.Value(key)
}

// Format keeps a context that is printed from telling the JWT.
func (p *passage) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "phantom context") }

// isPreflight recognizes a CORS preflight request (Fetch, section 3.2.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// errTwice: a request with two credentials could mean another to the next hop.
var errTwice = errors.New("phantom: more than one token")

// credential is the request's opaque token, empty if there is none. The cookie
// counts only when there is no Authorization at all.
func (e *Exchanger) credential(r *http.Request) (string, error) {
	switch values := r.Header.Values("Authorization"); len(values) {
	case 0:
		return e.cookie(r)
	case 1:
		return bearer(values[0])
	}
	return "", errTwice
}

// bearer reads an Authorization value; its scheme is without regard to case (RFC
// 9110 section 11.1). Another scheme is no token, and no token after Bearer is a
// malformed one.
func bearer(value string) (string, error) {
	scheme, token, found := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.TrimLeft(token, " ")
	if !found || token == "" {
		return "", ErrMalformed
	}
	return token, nil
}

func (e *Exchanger) cookie(r *http.Request) (string, error) {
	if e.cfg.Cookie == "" {
		return "", nil
	}
	switch cookies := r.CookiesNamed(e.cfg.Cookie); len(cookies) {
	case 0:
		return "", nil
	case 1:
		return cookies[0].Value, nil
	}
	return "", errTwice
}

// refuse answers for err, without a word on why beyond RFC 6750's.
func (e *Exchanger) refuse(w http.ResponseWriter, err error) {
	status, code := outcome(err)
	if status == 0 {
		return
	}
	h := w.Header()
	if status < http.StatusInternalServerError {
		h.Set("WWW-Authenticate", e.challenge(code))
	}
	var u *unavailable
	if errors.As(err, &u) && u.after > 0 && status == http.StatusServiceUnavailable {
		seconds := math.Ceil(min(u.after, time.Hour).Seconds())
		h.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	h.Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

// challenge is a WWW-Authenticate value (RFC 6750 section 3).
func (e *Exchanger) challenge(code string) string {
	var params []string
	add := func(name, value string) { params = append(params, name+`="`+value+`"`) }
	if e.cfg.Realm != "" {
		add("realm", e.cfg.Realm)
	}
	if code != "" {
		add("error", code)
	}
	if code == "insufficient_scope" {
		add("scope", strings.Join(e.cfg.Scopes, " "))
	}
	return strings.TrimRight("Bearer "+strings.Join(params, ", "), " ")
}

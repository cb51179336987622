package spa

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// problem is an answer in the form of RFC 6749 section 5.2. Its text is ours and
// the same for every cause within a code: nothing about tokens is in it.
type problem struct {
	status      int
	code        string
	description string
	retryAfter  time.Duration
}

func (p problem) Error() string { return "spa: " + p.code + ": " + p.description }

var (
	// noSession tells the application to start the flow again.
	noSession       = problem{http.StatusBadRequest, "invalid_token", "there is no session with usable tokens; log in again", 0}
	foreignOrigin   = problem{http.StatusForbidden, "invalid_request", "this origin may not call the vault", 0}
	missingHeader   = problem{http.StatusForbidden, "invalid_request", "the " + headerName + " header is missing", 0}
	notListed       = problem{http.StatusNotFound, "not_found", "the request matches no listed resource", 0}
	badPath         = problem{http.StatusBadRequest, "invalid_request", "the path is not clean", 0}
	badMethod       = problem{http.StatusMethodNotAllowed, "invalid_request", "the method is not allowed", 0}
	badCookie       = problem{http.StatusBadRequest, "invalid_request", "the session cookie is ambiguous", 0}
	missingScope    = problem{http.StatusForbidden, "insufficient_scope", "the session was not granted the resource's scopes", 0}
	serverDown      = problem{http.StatusServiceUnavailable, "temporarily_unavailable", "try again later", time.Second}
	upstreamProblem = problem{http.StatusBadGateway, "server_error", "the resource could not be reached", 0}
)

func invalidRequest(description string) problem {
	return problem{http.StatusBadRequest, "invalid_request", description, 0}
}

// problemOf says what an error of the vault means to the application.
func problemOf(err error) problem {
	var p problem
	var later interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, vault.ErrReauthorize), errors.Is(err, fs.ErrNotExist):
		return noSession
	case errors.As(err, &later):
		down := serverDown
		down.retryAfter = max(later.RetryAfter(), time.Second)
		return down
	case errors.Is(err, vault.ErrUnavailable):
		return serverDown
	}
	return upstreamProblem
}

func (p problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{p.code, p.description})
}

// writeJSON answers 200 with v.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v)
}

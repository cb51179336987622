package phantom

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A guard is a ResponseWriter that drops header fields which hold the JWT before
// they are sent. What is written is the application's.
type guard struct {
	http.ResponseWriter
	grant *grant
	wrote bool
}

// clean is called before anything that sends headers, and once more at the end for
// those that net/http sends by itself: trailers, and the headers of an empty
// response. Who has the JWT without its signature has the claims.
func (g *guard) clean() {
	jwt := g.grant.jwt()
	secret := jwt[:strings.LastIndexByte(jwt, '.')]
	for name, values := range g.ResponseWriter.Header() {
		for _, v := range values {
			if strings.Contains(v, secret) {
				delete(g.ResponseWriter.Header(), name)
				break
			}
		}
	}
}

// Format keeps a ResponseWriter that is printed from telling the JWT.
func (g *guard) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "phantom response writer") }

// WriteHeader implements http.ResponseWriter, also for 1xx responses.
func (g *guard) WriteHeader(status int) {
	g.clean()
	g.wrote = status >= http.StatusOK
	g.ResponseWriter.WriteHeader(status)
}

// start is before the first byte of a body, which sends the headers.
func (g *guard) start() {
	if !g.wrote {
		g.clean()
		g.wrote = true
	}
}

func (g *guard) Write(p []byte) (int, error) {
	g.start()
	return g.ResponseWriter.Write(p)
}

// ReadFrom keeps what the connection can do better than copying.
func (g *guard) ReadFrom(r io.Reader) (int64, error) {
	g.start()
	return io.Copy(g.ResponseWriter, r)
}

// FlushError is what http.ResponseController looks for.
func (g *guard) FlushError() error {
	g.start()
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// Flush is for those who look for an http.Flusher; whether it is one underneath
// they cannot tell.
func (g *guard) Flush() { _ = g.FlushError() }

// Unwrap is for http.ResponseController.
func (g *guard) Unwrap() http.ResponseWriter { return g.ResponseWriter }

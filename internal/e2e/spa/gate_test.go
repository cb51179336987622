package spa

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// gate stands before the authorization server's token endpoint. It counts the
// refreshes that arrive and can hold one.
type gate struct {
	*site
	refreshes atomic.Int64
	hold      atomic.Pointer[chan struct{}]
}

func newGate(t testing.TB, w *world, issuer *url.URL) *gate {
	t.Helper()
	g := &gate{site: newSite(t, w.cert, "auth.example.test")}
	pass := &httputil.ReverseProxy{Transport: w.client.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(issuer)
		r.Out.Host = issuer.Host
	}}
	g.handle(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err != nil {
			return
		}
		if form, _ := url.ParseQuery(string(body)); form.Get("grant_type") == "refresh_token" {
			g.refreshes.Add(1)
			if held := g.hold.Swap(nil); held != nil {
				close(*held)
				<-r.Context().Done() // its sender is gone, and the server has seen nothing
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(rw, r)
	}))
	return g
}

// holdNext keeps the next refresh until its sender is gone. The channel is
// closed when it has arrived.
func (g *gate) holdNext() <-chan struct{} {
	held := make(chan struct{})
	g.hold.Store(&held)
	return held
}

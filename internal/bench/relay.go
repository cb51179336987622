package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// relayRows measure a round trip on loopback with a credential of 700 bytes in
// the Authorization header, alone and from 64 goroutines at once. What must be
// paid in any case is the bare transport and one Open; the goal of the second
// row counts the Open as the relay's.
func relayRows() []ratio.Row {
	w := newLoopback()
	open := func() {
		_, _, err := w.keys.Open(context.Background(), w.sealed, tokenvault.Use{Host: w.host})
		must(0, err)
	}
	return []ratio.Row{{
		Name: "relay round trip",
		Cases: []ratio.Case{
			{Name: "bare transport + Open", Run: func(n int) { repeat(n, func() { open(); w.get(w.bare, w.bearer) }) }},
			{Name: "relay, sealed header", Run: func(n int) { repeat(n, func() { w.get(w.relay, w.opens) }) }},
			{Name: "relay, nothing sealed", Run: func(n int) { repeat(n, func() { w.get(w.relay, w.bearer) }) }},
			{Name: "bare transport", Run: func(n int) { repeat(n, func() { w.get(w.bare, w.bearer) }) }},
		},
		Goals: []ratio.Goal{{Case: "relay, sealed header", AtMost: 1.10}},
	}, {
		Name: "relay, 64 goroutines",
		Cases: []ratio.Case{
			{Name: "bare transport", Run: func(n int) { many(n, func() { w.get(w.bare, w.bearer) }) }},
			{Name: "relay, sealed header", Run: func(n int) { many(n, func() { w.get(w.relay, w.opens) }) }},
			{Name: "bare transport + Open", Run: func(n int) { many(n, func() { open(); w.get(w.bare, w.bearer) }) }},
		},
		Goals: []ratio.Goal{{Case: "relay, sealed header", AtMost: 1 / 0.9}},
	}}
}

// A loopback is a third party on loopback, and two ways to it. It lives until the
// program ends.
type loopback struct {
	keys          *tokenvault.Keyring
	bare, relay   http.RoundTripper
	url, host     string
	plain, sealed string // for Open
	bearer, opens string // the header of them
}

func newLoopback() *loopback {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":12345,"name":"the quick brown fox"}`)
	}))
	w := &loopback{
		keys: must(tokenvault.ParseKeyring(must(tokenvault.NewKey()))), url: server.URL + "/v1/x",
		host: strings.TrimPrefix(server.URL, "http://"), plain: "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("x", 680),
		bare: &http.Transport{MaxIdleConnsPerHost: 64},
	}
	w.sealed = must(w.keys.Seal(context.Background(), []byte(w.plain), tokenvault.Label{Hosts: []string{w.host}}))
	w.bearer, w.opens = "Bearer "+w.plain, "Bearer "+w.sealed
	w.relay = must(relay.New(relay.Config{Sealer: w.keys, Base: w.bare, Destinations: []relay.Destination{{
		Host: w.host, Routes: []string{"GET /v1/"}, InsecureHTTP: true, // both sides without TLS, which would hide the difference
	}}}))
	return w
}

func (w *loopback) get(transport http.RoundTripper, authorization string) {
	req := must(http.NewRequest("GET", w.url, nil))
	req.Header.Set("Authorization", authorization)
	resp := must(transport.RoundTrip(req))
	_ = must(io.Copy(io.Discard, resp.Body))
	must(0, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		panic(fmt.Sprint("status ", resp.StatusCode))
	}
}

// crew are 64 goroutines that live on, as those of a server's connections do:
// new ones would be measured while their stacks grow.
var crew = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	for range 64 {
		go func() {
			for f := range work {
				f()
			}
		}()
	}
	return work
})

// many shares n calls of f among 64 goroutines.
func many(n int, f func()) {
	var all sync.WaitGroup
	all.Add(64)
	for i := range 64 {
		crew() <- func() {
			defer all.Done()
			for k := i; k < n; k += 64 {
				f()
			}
		}
	}
	all.Wait()
}

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
// paid in any case is the bare transport and one Open.
func relayRows() []ratio.Row {
	w := newLoopback()
	open := func() {
		_, _, err := w.keys.Open(context.Background(), w.sealed, tokenvault.Use{Host: w.host})
		must(0, err)
	}
	return []ratio.Row{{
		Name: "relay round trip",
		Cases: []ratio.Case{
			{Name: "bare transport + Open", Run: func(n int) { repeat(n, func() { open(); w.get(w.bare, w.plain) }) }},
			{Name: "relay, sealed header", Run: func(n int) { repeat(n, func() { w.get(w.relay, w.sealed) }) }},
			{Name: "relay, nothing sealed", Run: func(n int) { repeat(n, func() { w.get(w.relay, w.plain) }) }},
			{Name: "bare transport", Run: func(n int) { repeat(n, func() { w.get(w.bare, w.plain) }) }},
		},
		Goals: []ratio.Goal{{Case: "relay, sealed header", AtMost: 1.10}},
	}, {
		Name: "relay, 64 goroutines",
		Cases: []ratio.Case{
			{Name: "bare transport", Run: func(n int) { w.many(n, w.bare, w.plain) }},
			{Name: "relay, sealed header", Run: func(n int) { w.many(n, w.relay, w.sealed) }},
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
	plain, sealed string
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
	w.relay = must(relay.New(relay.Config{Sealer: w.keys, Base: w.bare, Destinations: []relay.Destination{{
		Host: w.host, Routes: []string{"GET /v1/"}, InsecureHTTP: true, // both sides without TLS, which would hide the difference
	}}}))
	return w
}

func (w *loopback) get(transport http.RoundTripper, bearer string) {
	req := must(http.NewRequest("GET", w.url, nil))
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp := must(transport.RoundTrip(req))
	_ = must(io.Copy(io.Discard, resp.Body))
	must(0, resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		panic(fmt.Sprint("status ", resp.StatusCode))
	}
}

// many shares n round trips among 64 goroutines.
func (w *loopback) many(n int, transport http.RoundTripper, bearer string) {
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for k := i; k < n; k += 64 {
				w.get(transport, bearer)
			}
		})
	}
	all.Wait()
}

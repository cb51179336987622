package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/internal/bench/ratio"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
)

// phantomRows measure what a cached token costs: of a request through a real
// server, by goroutines, and by how many tokens are cached.
func phantomRows() []ratio.Row {
	return []ratio.Row{phantomHandlerRow(), phantomGoroutinesRow(), phantomSizeRow(), mapSizeRow()}
}

// A wire is a client that costs next to nothing, so that the server is what is
// measured: it writes the same bytes each time, and reads to the end of the answer.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

func dial(h http.Handler) *wire {
	srv := httptest.NewServer(h)
	conn := must(net.Dial("tcp", srv.Listener.Addr().String()))
	return &wire{conn: conn, in: bufio.NewReader(conn), request: []byte("GET /api/orders/7 HTTP/1.1\r\n" +
		"Host: api.example\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n" +
		"User-Agent: bench\r\nAuthorization: Bearer token-0\r\n\r\n")}
}

const benchBody = `{"id":7}`

func (w *wire) roundTrip() {
	must(w.conn.Write(w.request))
	for line := []byte(nil); len(line) != 2; {
		line = must(w.in.ReadSlice('\n'))
	}
	must(w.in.Discard(len(benchBody)))
}

func phantomHandlerRow() ratio.Row {
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		must(io.WriteString(w, benchBody))
	})
	ex, _ := phantomWith(1)
	bare, ours := dial(api), dial(ex.Handler(api))
	return ratio.Row{
		Name: "phantom: a request with a cached token",
		Cases: []ratio.Case{
			{Name: "bare handler", Run: func(n int) { repeat(n, bare.roundTrip) }},
			{Name: "phantom", Run: func(n int) { repeat(n, ours.roundTrip) }},
		},
		Goals: []ratio.Goal{{Case: "phantom", AtMost: 1 / 0.97}},
	}
}

func phantomGoroutinesRow() ratio.Row {
	const entries = 1000
	ex, tokens := phantomWith(entries)
	ctx := context.Background()
	work := func(n int) {
		for i := range n {
			must(ex.Exchange(ctx, tokens[i%entries]))
		}
	}
	return ratio.Row{
		Name: "phantom: Exchange of a cached token",
		Cases: []ratio.Case{
			{Name: "1 goroutine", Run: work},
			{Name: "2 goroutines", Run: func(n int) {
				var wg sync.WaitGroup
				wg.Go(func() { work(n / 2) })
				wg.Go(func() { work(n - n/2) })
				wg.Wait()
			}},
		},
		Goals: []ratio.Goal{{Case: "1 goroutine", AtMost: 1, Allocs: -1}, {Case: "2 goroutines", AtMost: 0.7}},
	}
}

// phantomSizeRow asks for the same 1000 tokens whatever else is cached, so that it
// shows the cost of the structure and not that of the processor's own caches.
func phantomSizeRow() ratio.Row {
	row := ratio.Row{Name: "phantom: Exchange by tokens cached"}
	for _, entries := range []int{1_000, 10_000, 100_000, 1_000_000} {
		filled := sync.OnceValues(func() (*phantom.Exchanger, []string) { return phantomWith(entries) })
		name := fmt.Sprintf("%d tokens", entries)
		row.Cases = append(row.Cases, ratio.Case{Name: name, Run: func(n int) {
			ex, tokens := filled()
			ctx := context.Background()
			for i := range n {
				must(ex.Exchange(ctx, tokens[i%1000*(entries/1000)]))
			}
		}})
		if entries > 1_000 {
			row.Goals = append(row.Goals, ratio.Goal{Case: name, AtMost: 1.25})
		}
	}
	return row
}

// mapSizeRow is what the processor's own caches make of the same access: a map of
// keys as long, and nothing else.
func mapSizeRow() ratio.Row {
	row := ratio.Row{Name: "for comparison: a lookup by keys in a Go map"}
	for _, entries := range []int{1_000, 10_000, 100_000, 1_000_000} {
		keys, found := make([][32]byte, entries), make(map[[32]byte]*[64]byte, entries)
		for i := range keys {
			keys[i] = sha256.Sum256(strconv.AppendInt(nil, int64(i), 10))
			found[keys[i]] = new([64]byte)
		}
		row.Cases = append(row.Cases, ratio.Case{Name: fmt.Sprintf("%d keys", entries), Run: func(n int) {
			for i := range n {
				if found[keys[i%1000*(entries/1000)]][0] != 0 {
					panic("the map is empty")
				}
			}
		}})
	}
	return row
}

// phantomWith is an Exchanger that knows the tokens it returns, behind each a JWT
// of about 730 bytes. Its authorization server costs no network.
func phantomWith(entries int) (*phantom.Exchanger, []string) {
	ex := must(phantom.New(phantom.Config{
		Endpoint: "https://as.example/introspect", Auth: clientauth.None("gateway"),
		Client:    &http.Client{Transport: answerJWT(strings.Repeat("x", 260))},
		CacheSize: entries + entries/8 + 16, MaxTTL: 24 * time.Hour,
		Scopes: []string{"read"}, Audience: []string{"https://api.example"},
	}))
	tokens := make([]string, entries)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("token-%d", i)
		must(ex.Exchange(context.Background(), tokens[i]))
	}
	return ex, tokens
}

type answerJWT string

func (pad answerJWT) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	token, _, _ := strings.Cut(strings.TrimPrefix(string(body), "token="), "&")
	claims := fmt.Sprintf(`{"iss":"https://as.example","sub":"%s","aud":"https://api.example","client_id":"app",`+
		`"scope":"read write","exp":4102444800,"iat":1800000000,"jti":"%s","pad":"%s"}`, token, token, string(pad))
	enc := base64.RawURLEncoding.EncodeToString
	jwt := enc([]byte(`{"alg":"RS256","typ":"at+jwt"}`)) + "." + enc([]byte(claims)) + "." + enc(make([]byte, 256))
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/jwt"}},
		Body: io.NopCloser(strings.NewReader(jwt)),
	}, nil
}

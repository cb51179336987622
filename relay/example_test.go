package relay_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"crypto/sha256"

	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// The third party sees the credential, the program does not.
func ExampleNew() {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "the third party received a bearer of %d bytes", len(r.Header.Get("Authorization"))-len("Bearer "))
	}))
	defer api.Close()
	host := strings.TrimPrefix(api.URL, "https://")

	jwk, _ := tokenvault.NewKey()
	keys, _ := tokenvault.ParseKeyring(jwk)
	sealed, _ := keys.Seal(context.Background(), []byte("s3cr3t"), tokenvault.Label{Hosts: []string{host}, Subject: "alice"})

	transport, err := relay.New(relay.Config{
		Sealer:       keys,
		Destinations: []relay.Destination{{Host: host, Routes: []string{"GET /v1/"}}},
		Base:         api.Client().Transport,
	})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: transport}

	ctx := relay.WithSubject(context.Background(), "alice")
	req, _ := http.NewRequestWithContext(ctx, "GET", api.URL+"/v1/me", nil)
	req.Header.Set("Authorization", "Bearer "+sealed)
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: the third party received a bearer of 6 bytes
}

// A program in any language uses the sidecar as its http_proxy, or by a prefix.
func ExampleNewProxy() {
	jwk, _ := tokenvault.NewKey()
	keys, _ := tokenvault.ParseKeyring(jwk)
	transport, _ := relay.New(relay.Config{Sealer: keys, Destinations: []relay.Destination{{Host: "api.github.com"}}})

	secret := sha256.Sum256([]byte("sixteen random bytes, at the least"))
	timeouts := relay.Timeouts{Header: 10 * time.Second, Read: time.Minute, Idle: time.Minute, Upstream: 30 * time.Second}
	proxy, err := relay.NewProxy(relay.ProxyConfig{
		Transport: transport,
		Routes:    map[string]string{"/github/": "https://api.github.com"},
		Callers:   []relay.Caller{{Name: "app", BearerSHA256: secret[:], Hosts: []string{"api.github.com"}}},
		Timeouts:  timeouts,
	})
	if err != nil {
		panic(err)
	}
	server := timeouts.Server(proxy) // then ListenAndServe, and relay.Shutdown at the end

	w := httptest.NewRecorder()
	server.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/github/user", nil))
	fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	// Output: 407 authentication required
}

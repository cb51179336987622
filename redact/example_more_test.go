package redact_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/seed-6d9a6c17/tokenvault/redact"
)

func ExampleRedactor_Transport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"2YotnFZFEjr1zCsicMWpAA","expires_in":3600}`)
	}))
	defer server.Close()
	r, err := redact.New(redact.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: r.Transport(nil)}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	fmt.Println(string(body), err)
	// Output: {"access_token":"REDACTED","expires_in":3600} <nil>
}

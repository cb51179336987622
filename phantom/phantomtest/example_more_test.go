package phantomtest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func ExampleNewServer() {
	server := phantomtest.NewServer() // in a test: t.Cleanup(server.Close)
	defer server.Close()
	server.Answer("opaque", phantomtest.Answer{Format: phantom.JWT, Claims: map[string]any{"sub": "alice"}})

	exchanger, err := phantom.New(phantom.Config{
		Endpoint: server.URL(), Client: server.Client(), Auth: clientauth.Basic("gateway", "secret"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = exchanger.Close() }()
	for range 2 {
		token, err := exchanger.Exchange(context.Background(), "opaque")
		fmt.Println(token.Subject(), err)
	}
	_, err = exchanger.Exchange(context.Background(), "unknown")
	fmt.Println(errors.Is(err, phantom.ErrInactive), server.Calls("opaque"))
	// Output:
	// alice <nil>
	// alice <nil>
	// true 1
}

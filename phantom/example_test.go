package phantom_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/phantom/phantomtest"
)

func ExampleNew() {
	as := phantomtest.NewServer() // in production an authorization server
	defer as.Close()
	as.Answer("opaque", phantomtest.Answer{Format: phantom.JWT, Claims: map[string]any{"sub": "alice"}})

	exchanger, err := phantom.New(phantom.Config{
		Endpoint: as.URL(),
		Auth:     clientauth.Basic("gateway", "secret"),
		Client:   as.Client(),
		Realm:    "api",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer exchanger.Close()

	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := phantom.FromContext(r.Context())
		fmt.Println(token.Subject(), r.Header.Get("Authorization") == "Bearer "+token.JWT())
	})
	handler := exchanger.Handler(api)

	for _, authorization := range []string{"Bearer opaque", "Bearer unknown"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// alice true
	// 200 ""
	// 401 "Bearer realm=\"api\", error=\"invalid_token\""
}

package spa_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

// The application's own server hands out the service worker and its module; in
// the page, before the first call:
//
//	import { start } from '/tokenvault/client.js';
//	await start();
func ExampleAppScripts() {
	scripts, err := spa.AppScripts("https://vault.example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	app := http.NewServeMux()
	app.Handle("GET /tokenvault/", scripts)
	app.Handle("GET /", http.FileServer(http.Dir("dist")))

	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "https://app.example.com/tokenvault/client.js", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/javascript; charset=utf-8
}

package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/spa"
)

//go:embed web
var web embed.FS

// newApp serves the application: static files, and the vault's two scripts.
func (d *demo) newApp() (http.Handler, error) {
	files, err := fs.Sub(web, "web")
	if err != nil {
		return nil, err
	}
	scripts, err := spa.AppScripts(d.vaultOrigin)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]string{
		"clientId": clientID, "login": d.login.Issuer, "api": d.apiOrigin, "redirectUri": d.appOrigin + "/callback", "home": d.appOrigin + "/",
	})
	if err != nil {
		return nil, err
	}
	policy := fmt.Sprintf("default-src 'self'; connect-src 'self' %s %s %s; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
		d.vaultOrigin, d.apiOrigin, d.login.Issuer)
	mux := http.NewServeMux()
	mux.Handle("GET /tokenvault/", scripts)
	mux.HandleFunc("GET /config.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprintf(w, "export default %s;\n", config)
	})
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "index.html") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		mux.ServeHTTP(w, r)
	}), nil
}

// newAPI is a resource server that has never heard of the vault: it verifies
// JWT access tokens, and tells what it received.
func (d *demo) newAPI() (http.Handler, error) {
	verifier, err := jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{{URL: d.login.Issuer, Audience: []string{d.apiOrigin}}},
		Client:  &http.Client{Transport: d.network, Timeout: 10 * time.Second},
	})
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, verifier.Close)
	n := &notes{}
	mux := http.NewServeMux()
	mux.Handle("GET /v1/notes", verifier.Require("notes")(http.HandlerFunc(n.list)))
	mux.Handle("POST /v1/notes", verifier.Require("notes")(http.HandlerFunc(n.add)))
	return verifier.Handler(mux), nil
}

// notes is the API's data.
type notes struct {
	mu    sync.Mutex
	calls int
	texts []string
}

func (n *notes) add(w http.ResponseWriter, r *http.Request) {
	var note struct{ Text string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<12)).Decode(&note); err != nil || note.Text == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	n.texts = append(n.texts[max(0, len(n.texts)-9):], note.Text)
	n.mu.Unlock()
	n.list(w, r)
}

func (n *notes) list(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"notes": append([]string{}, n.texts...), "call": n.calls, "received": received(r),
	})
}

// received describes the request for the demonstration. Of the token it says
// what it is and shows the beginning: the vault would mask the whole.
func received(r *http.Request) any {
	claims, _ := jwks.FromContext(r.Context())
	token := r.Header.Get("Authorization")
	type header struct{ Authorization, Cookie, Origin string }
	type verified struct {
		Subject string   `json:"sub"`
		Client  string   `json:"client_id"`
		Scopes  []string `json:"scope"`
		Expires string   `json:"exp"`
	}
	return struct {
		Request string   `json:"request"`
		Header  header   `json:"header"`
		Claims  verified `json:"claims"`
	}{
		r.Method + " " + r.URL.Path,
		header{fmt.Sprintf("%.24s… (%d characters)", token, len(token)), r.Header.Get("Cookie"), r.Header.Get("Origin")},
		verified{claims.Subject(), claims.ClientID(), claims.Scopes(), claims.Expires().Format(time.TimeOnly)},
	}
}

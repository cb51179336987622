// Command oauth-client is a service that lets its users connect an account at a
// real authorization server, which it starts, and then calls an API on their
// behalf. Open the address that it prints in a browser; any user name will do.
//
// The service never holds a plaintext credential: the grants are sealed in
// SQLite, the client secret is a sealed value that a relay opens on its way to
// the authorization server, and the access token is attached on the wire. The
// page's restart button throws away everything but the database and the keys.
// It needs Node.js for the authorization server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "where the service listens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "oauth-client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) (err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "oauth-client-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	base := "http://" + listener.Addr().String()
	server, err := authserver.Start(ctx, authserver.Config{Clients: []authserver.Client{registration(base)}, AccessTokenTTL: 60})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	service, err := start(ctx, settings{dir: dir, issuer: server.Issuer, base: base})
	if err != nil {
		return err
	}
	fmt.Println("open", base)
	web := &http.Server{Handler: service, ReadHeaderTimeout: 5 * time.Second}
	go func() { <-ctx.Done(); _ = web.Close() }()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return service.stop()
}

// service is an app that can be restarted.
type service struct {
	http.Handler
	settings settings
	app      atomic.Pointer[app]
}

func start(ctx context.Context, c settings) (*service, error) {
	a, err := newApp(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &service{settings: c}
	s.app.Store(a)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /restart", func(w http.ResponseWriter, r *http.Request) {
		if err := s.restart(r.Context()); err != nil {
			http.Error(w, "the service does not start again", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.app.Load().handler.ServeHTTP(w, r) })
	s.Handler = http.NewCrossOriginProtection().Handler(mux)
	return s, nil
}

// restart lets refreshes in flight finish and begins anew from what is on disk.
func (s *service) restart(ctx context.Context) error {
	if err := s.stop(); err != nil {
		return err
	}
	a, err := newApp(context.WithoutCancel(ctx), s.settings)
	if err == nil {
		s.app.Store(a)
	}
	return err
}

func (s *service) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return s.app.Load().close(ctx)
}

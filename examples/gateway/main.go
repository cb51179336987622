// Command gateway keeps JWTs inside: clients hold opaque tokens, and a gateway - a
// httputil.ReverseProxy with phantom in front - swaps each for a JWT that two
// micro-services verify with jwks. The same program answers nginx's auth_request;
// nginx.conf is the other half. It starts a real authorization server, for which
// it needs Node.js, calls itself, and exits with 0 only if every answer was as it
// should be. With -serve it stays, and says what to type.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	publicAPI     = "https://shop.example.test"     // what clients ask tokens for
	servicesAPI   = "https://services.example.test" // what the gateway's JWTs are for
	gatewayIssuer = "https://gateway.example.test"
	gatewayID     = "gateway"
	gatewaySecret = "a secret of the gateway"
	appID         = "app"
	appSecret     = "a secret of the app"
)

func main() {
	serve := flag.Bool("serve", false, "stay until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *serve); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, serve bool) error {
	shop, err := start(ctx)
	if err != nil {
		return err
	}
	defer shop.close()
	if serve {
		_, _ = fmt.Fprintf(out, "token:   curl -su '%s:%s' -d grant_type=client_credentials -d scope=orders %s/token\n", appID, strings.ReplaceAll(appSecret, " ", "+"), shop.server.Issuer)
		_, _ = fmt.Fprintf(out, "request: curl -i -H 'Authorization: Bearer <access_token>' %s/orders/7\n", shop.front.URL)
		<-ctx.Done()
		return nil
	}
	return tell(ctx, out, shop)
}

// tell calls the gateway, well and badly.
func tell(ctx context.Context, out io.Writer, s *shop) error {
	good, err := s.token(ctx, "orders")
	if err != nil {
		return err
	}
	poor, err := s.token(ctx, "read")
	if err != nil {
		return err
	}
	for _, c := range []struct {
		what, path, token string
		status            int
		body              string
	}{
		{"an opaque token", "/orders/7", good, http.StatusOK, "orders for app"},
		{"the same at another service", "/stock/7", good, http.StatusOK, "stock for app"},
		{"no token", "/orders/7", "", http.StatusUnauthorized, ""},
		{"a made-up token", "/orders/7", "made-up", http.StatusUnauthorized, ""},
		{"without the scope", "/orders/7", poor, http.StatusForbidden, ""},
		{"for nginx", "/auth", good, http.StatusNoContent, ""},
		{"for nginx, a made-up token", "/auth", "made-up", http.StatusUnauthorized, ""},
	} {
		status, header, body, err := s.call(ctx, c.path, c.token)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "%-28s %d %s %s\n", c.what, status, body, header.Get("WWW-Authenticate"))
		if status != c.status || c.body != "" && body != c.body {
			return fmt.Errorf("%s: not the answer there should be", c.what)
		}
		if inside := header.Get("Authorization"); (inside != "") != (c.path == "/auth" && c.status == http.StatusNoContent) {
			return errors.New("the JWT is where it should not be, or is not where it should be")
		}
	}
	asked, err := s.introspections()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "introspections: %d for 6 requests with a token\n", asked)
	return nil
}

// token is what a client of the shop does first.
func (s *shop) token(ctx context.Context, scope string) (string, error) {
	app := clientcredentials.Config{
		ClientID: appID, ClientSecret: appSecret, TokenURL: s.server.Issuer + "/token",
		Scopes: []string{scope}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	token, err := app.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

func (s *shop) call(ctx context.Context, path, token string) (int, http.Header, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.front.URL+path, nil)
	if err != nil {
		return 0, nil, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.front.Client().Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, resp.Header, strings.TrimSpace(string(body)), err
}

// Command spa is a single-page application that never holds a token: the
// application, its API, an authorization server and the Token Vault Proxy, on
// host names of their own.
//
//	go run ./examples/spa
//
// prints how to open it in a browser. It needs Node.js for the authorization
// server. Log in as anybody, call the API, and let an attacker's script look
// for the token.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8443", "where to listen, on loopback")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "spa:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, out io.Writer) error {
	d, err := start(ctx, addr)
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.explain(out); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// explain says how to open the application. Cookies ignore ports, and browsers
// set none between names below localhost: it takes real host names, and a
// browser that takes them for this machine and trusts the certificate.
func (d *demo) explain(out io.Writer) error {
	_, err := fmt.Fprintf(out, `The application is at %s

Open it with Chromium or Chrome and a profile of its own:

  chromium --user-data-dir="$(mktemp -d)" \
    --host-resolver-rules="MAP *.example.test 127.0.0.1" \
    --ignore-certificate-errors-spki-list=%s \
    %s

or with any browser, with these names in /etc/hosts

  127.0.0.1 %s %s %s %s

and the certificate %s among its trusted authorities.

Ctrl-C ends it.
`, d.appOrigin, d.fingerprint(), d.appOrigin, appHost, vaultHost, apiHost, loginHost, d.certFile)
	return err
}

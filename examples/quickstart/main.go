// Command quickstart logs in at a third-party API and calls it, without ever
// holding the password or the token in the clear; then it tries to misuse what
// it holds. It exits with 0 only if every step went as it should.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "quickstart-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const password = "correct horse battery staple"
	api := startThirdParty(password)
	defer api.Close()

	jwk, err := tokenvault.NewKey()
	if err != nil {
		return err
	}
	keys, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		return err
	}
	s := &story{out: out, api: api, keys: keys, network: networkTo(api), database: filepath.Join(dir, "app.db")}
	if err := s.mainPath(ctx, password); err != nil {
		return err
	}
	return s.refusals(ctx)
}

// networkTo is a network in which every host name leads to the third party.
func networkTo(api *thirdParty) http.RoundTripper {
	pool := api.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, api.Listener.Addr().String())
		},
	}
}

// story tells the steps.
type story struct {
	out      io.Writer
	api      *thirdParty
	keys     *tokenvault.Keyring
	network  http.RoundTripper
	database string
	log      bytes.Buffer
	app      *app
	token    string
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// sides prints what the app held beside what the third party received.
func (s *story) sides(held string) {
	_, received := s.api.seen()
	s.say("   the app held               %s", short(held))
	s.say("   the third party received   %s\n", short(received))
}

func (s *story) mainPath(ctx context.Context, password string) error {
	s.say("1. The password is sealed: for %s, for %s, and for no one else.", host, user)
	sealed, err := s.keys.Seal(ctx, []byte(password), tokenvault.Label{Hosts: []string{host}, Subject: user})
	if err != nil {
		return err
	}
	s.say("   %s\n", short(sealed))

	if s.app, err = startApp(s.keys, s.network, s.database, &s.log); err != nil {
		return err
	}
	s.say("2. POST https://%s/api/fetchToken", host)
	if s.token, err = s.app.fetchToken(ctx, sealed); err != nil {
		return err
	}
	s.sides(`{"password":"` + sealed + `"}`)
	if !strings.HasPrefix(s.token, tokenvault.Prefix) {
		return errors.New("the token came back unsealed")
	}
	s.say("3. The answer, as the app's log shows it:\n   %s\n", short(s.log.String()))

	s.say("4. The app restarts. Its database holds:")
	s.app.close()
	if s.app, err = startApp(s.keys, s.network, s.database, &s.log); err != nil {
		return err
	}
	if s.token, err = s.app.savedToken(ctx); err != nil {
		return err
	}
	s.say("   %s\n", short(s.token))

	s.say("5. POST https://%s/api/authenticatedEndpoint", host)
	got, err := s.app.call(ctx, s.token, nil)
	if err != nil {
		return err
	}
	if !got.Authenticated {
		return fmt.Errorf("the API refuses the token: %s", got.Message)
	}
	s.sides("Authorization: Bearer " + s.token)
	s.say("   %q\n", got.Message)
	return nil
}

// refusals misuses the sealed token. Each attempt must fail for its own reason
// and must not reach the network.
func (s *story) refusals(ctx context.Context) error {
	defer s.app.close()
	mallory, err := s.keys.Seal(ctx, []byte("the token of mallory"), tokenvault.Label{Hosts: []string{host}, Subject: "mallory"})
	if err != nil {
		return err
	}
	endpoint := host + "/api/authenticatedEndpoint"
	comment := map[string]string{"comment": "look what I found: " + s.token}
	s.say("6. What is refused. Nothing of this is sent:")
	for _, r := range []struct {
		what, url, bearer string
		body              map[string]string
		want              error
	}{
		{"another host", "https://evil.example.com/api/authenticatedEndpoint", s.token, nil, relay.ErrDestination},
		{"plain http", "http://" + endpoint, s.token, nil, relay.ErrInsecure},
		{"a tampered token", "https://" + endpoint, tamper(s.token), nil, tokenvault.ErrOpen},
		{"another user's token", "https://" + endpoint, mallory, nil, tokenvault.ErrLabel},
		{"a token in a comment field", "https://" + endpoint, s.token, comment, relay.ErrPlace},
	} {
		before, _ := s.api.seen()
		_, err := s.app.post(ctx, r.url, r.body, r.bearer)
		if !errors.Is(err, r.want) {
			return fmt.Errorf("%s: got %w, want %w", r.what, err, r.want)
		}
		if after, _ := s.api.seen(); after != before {
			return fmt.Errorf("%s: refused, but a request was sent", r.what)
		}
		s.say("   %-27s %v", r.what, r.want)
	}
	s.say("\nThe password and the token were in the clear only on the wire to %s.", host)
	return nil
}

// tamper changes one character of the ciphertext.
func tamper(sealed string) string {
	i := len(sealed) - 30
	c := byte('A')
	if sealed[i] == c {
		c = 'B'
	}
	return sealed[:i] + string(c) + sealed[i+1:]
}

// short leaves out the middle of long words, for the reader's sake.
func short(s string) string {
	words := strings.Split(strings.TrimSpace(s), " ")
	for i, w := range words {
		if len(w) > 60 {
			words[i] = w[:36] + "…" + w[len(w)-14:]
		}
	}
	return strings.Join(words, " ")
}

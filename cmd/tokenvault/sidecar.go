package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/spf13/cobra"
)

// sidecarConfig is the sidecar's file, JSON. Durations are written "5s".
type sidecarConfig struct {
	Listen string `json:"listen"`
	TLS    *struct {
		Cert     string `json:"cert"`
		Key      string `json:"key"`
		ClientCA string `json:"client_ca"`
	} `json:"tls"`
	Destinations []destinationConfig `json:"destinations"`
	Routes       map[string]string   `json:"routes"`
	Forward      bool                `json:"forward"`
	Callers      []callerConfig      `json:"callers"`
	Timeouts     struct {
		Header   duration `json:"header"`
		Read     duration `json:"read"`
		Idle     duration `json:"idle"`
		Upstream duration `json:"upstream"`
	} `json:"timeouts"`
	MaxBody   int64    `json:"max_body"`
	MaxValues int      `json:"max_values"`
	Grace     duration `json:"grace"` // for calls under way at shutdown; default 30s
}

type destinationConfig struct {
	Host   string   `json:"host"`
	Routes []string `json:"routes"`
	Open   []string `json:"open"`
	Seal   []struct {
		At    string   `json:"at"`
		Hosts []string `json:"hosts"`
		TTL   duration `json:"ttl"`
	} `json:"seal"`
	Require        bool `json:"require"`
	RequireSubject bool `json:"require_subject"`
	AllowPublic    bool `json:"allow_public"`
	InsecureHTTP   bool `json:"insecure_http"`
	InsecureEcho   bool `json:"insecure_echo"`
	InsecureStream bool `json:"insecure_stream"`
}

type callerConfig struct {
	Name         string   `json:"name"`
	BearerSHA256 hexBytes `json:"bearer_sha256"`
	CertSHA256   hexBytes `json:"cert_sha256"`
	Hosts        []string `json:"hosts"`
	Subjects     []string `json:"subjects"`
}

type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New(`a duration is written like "5s"`)
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return errors.New(`a duration is written like "5s"`)
	}
	*d = duration(parsed)
	return nil
}

type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	if err == nil {
		*h, err = hex.DecodeString(s)
	}
	if err != nil {
		return errors.New("a SHA-256 sum is written in hexadecimal")
	}
	return nil
}

const relayHelp = `Run the relay as a sidecar: programs in any language call third-party APIs
through it with sealed credentials, and hold no key. The configuration is a JSON
file:

  {
    "listen": "127.0.0.1:8443",
    "tls": {"cert": "server.pem", "key": "server.key", "client_ca": "callers.pem"},
    "destinations": [
      {"host": "api.example.com", "open": ["header:Authorization"],
       "seal": [{"at": "$.access_token", "ttl": "1h"}]}
    ],
    "routes": {"/example/": "https://api.example.com"},
    "callers": [
      {"name": "app", "bearer_sha256": "…", "hosts": ["api.example.com"], "subjects": ["app"]}
    ],
    "timeouts": {"header": "5s", "read": "60s", "idle": "90s", "upstream": "30s"}
  }

"tls" may be left out on a loopback address, and "timeouts" where they are to be
those above. --check says whether the file and the keyring are good, and ends.
SIGHUP reads the keyring again. SIGTERM ends it once the calls under way are
over, or after "grace" ("30s"). GET /healthz answers 200.`

func newRelay(t *terminal, keys *keySource) *cobra.Command {
	var file string
	var check bool
	cmd := &cobra.Command{
		Use: "relay --config FILE", Short: "Run the relay as a sidecar", Long: relayHelp, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return &usageError{"tokenvault relay", "--config is missing"}
			}
			config, err := readSidecarConfig(file)
			if err != nil {
				return err
			}
			ring, err := keys.load()
			if err != nil {
				return err
			}
			server, err := config.server(ring)
			if err != nil {
				return err
			}
			if check {
				fmt.Fprintf(t.out, "%s: good\n", file)
				return nil
			}
			return config.serve(cmd.Context(), t, keys, ring, server)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file")
	cmd.Flags().BoolVar(&check, "check", false, "judge the configuration and end")
	return cmd
}

// readSidecarConfig refuses members it does not know: a misspelt restriction
// would be no restriction.
func readSidecarConfig(file string) (*sidecarConfig, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { _ = opened.Close() }()
	text, err := readAll(opened, maxInput)
	if err != nil {
		return nil, plain(err)
	}
	var c sidecarConfig
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: something follows the configuration", file)
	}
	for _, d := range []struct {
		to    *duration
		value time.Duration
	}{
		{&c.Grace, 30 * time.Second}, {&c.Timeouts.Header, 5 * time.Second}, {&c.Timeouts.Read, time.Minute},
		{&c.Timeouts.Idle, 90 * time.Second}, {&c.Timeouts.Upstream, 30 * time.Second},
	} {
		if *d.to == 0 {
			*d.to = duration(d.value)
		}
	}
	return &c, nil
}

// server makes the sidecar's server; it does not listen yet.
func (c *sidecarConfig) server(ring tokenvault.Sealer) (*http.Server, error) {
	rc := relay.Config{Sealer: ring, MaxBody: c.MaxBody, MaxValues: c.MaxValues}
	for _, d := range c.Destinations {
		destination := relay.Destination{
			Host: d.Host, Routes: d.Routes, Open: d.Open, Require: d.Require, RequireSubject: d.RequireSubject,
			AllowPublic: d.AllowPublic, InsecureHTTP: d.InsecureHTTP, InsecureEcho: d.InsecureEcho, InsecureStream: d.InsecureStream,
		}
		for _, s := range d.Seal {
			destination.Seal = append(destination.Seal, relay.Field{At: s.At, Hosts: s.Hosts, TTL: time.Duration(s.TTL)})
		}
		rc.Destinations = append(rc.Destinations, destination)
	}
	transport, err := relay.New(rc)
	if err != nil {
		return nil, err
	}
	pc := relay.ProxyConfig{
		Transport: transport, Routes: c.Routes, Forward: c.Forward,
		Timeouts: relay.Timeouts{
			Header: time.Duration(c.Timeouts.Header), Read: time.Duration(c.Timeouts.Read),
			Idle: time.Duration(c.Timeouts.Idle), Upstream: time.Duration(c.Timeouts.Upstream),
		},
	}
	for _, caller := range c.Callers {
		pc.Callers = append(pc.Callers, relay.Caller{
			Name: caller.Name, BearerSHA256: caller.BearerSHA256, CertSHA256: caller.CertSHA256, Hosts: caller.Hosts, Subjects: caller.Subjects,
		})
	}
	handler, err := relay.NewProxy(pc)
	if err != nil {
		return nil, err
	}
	server := pc.Timeouts.Server(handler)
	server.Addr = c.Listen
	server.TLSConfig, err = c.tlsConfig()
	return server, err
}

func (c *sidecarConfig) tlsConfig() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, errors.New("listen: not an address like 127.0.0.1:8443")
	}
	if c.TLS == nil {
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return nil, errors.New("tls: needed unless listen is a loopback address: callers authenticate with secrets")
		}
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return nil, errors.New("tls: certificate and key cannot be used")
	}
	out := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if c.TLS.ClientCA != "" {
		pem, err := os.ReadFile(c.TLS.ClientCA)
		if err != nil {
			return nil, plain(err)
		}
		out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("tls.client_ca: no certificate in it")
		}
	}
	return out, nil
}

// serve runs until ctx ends, then lets the calls under way finish.
func (c *sidecarConfig) serve(ctx context.Context, t *terminal, keys *keySource, ring *tokenvault.Keyring, server *http.Server) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", server.Addr)
	if err != nil {
		return errors.New("listen: the address cannot be used")
	}
	reload, stop := hangups()
	defer stop()
	fmt.Fprintf(t.err, "listening on %s\n", listener.Addr())
	ended := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	for {
		select {
		case err := <-ended:
			return err
		case <-reload:
			if next, err := keys.load(); err != nil {
				fmt.Fprintf(t.err, "the keyring was not adopted: %s\n", oneLine(err))
			} else {
				ring.Replace(next)
				fmt.Fprintf(t.err, "keyring adopted: %v\n", next)
			}
		case <-ctx.Done():
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(c.Grace))
			defer cancel()
			if err := server.Shutdown(grace); err != nil {
				return errors.New("ended with calls under way")
			}
			fmt.Fprintln(t.err, "ended")
			return nil
		}
	}
}

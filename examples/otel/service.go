package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/jwks"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

const (
	audience = "https://orders.example"
	grantID  = "bank" // of each user's grant at the third party
)

// service is an API that is called with opaque tokens and calls a bank on behalf
// of its users.
type service struct {
	telemetry *telemetry
	exchanger *phantom.Exchanger
	verifier  *jwks.Verifier
	vault     *vault.Vault
	bank      *http.Client
	bankURL   string
	redactor  *redact.Redactor
	draining  atomic.Bool
}

func newService(t *telemetry, f *fakes) (*service, error) {
	s := &service{telemetry: t, bankURL: f.bank.URL}
	jwk, err := tokenvault.NewKey()
	if err != nil {
		return nil, err
	}
	keys, err := tokenvault.ParseKeyring(jwk)
	if err != nil {
		return nil, err
	}
	if s.redactor, err = redact.New(observed(redact.Default(), t)); err != nil {
		return nil, err
	}
	if s.verifier, err = jwks.New(jwks.Config{
		Issuers: []jwks.Issuer{f.issuer.Config(audience)}, Client: f.issuer.Client(), Observe: t.JWKS,
	}); err != nil {
		return nil, err
	}
	if s.exchanger, err = phantom.New(phantom.Config{
		Endpoint: f.introspection.URL(), Auth: clientauth.Basic("orders", f.clientSecret), Client: f.introspection.Client(),
		Verify: s.verifier.Check, Observe: t.Phantom,
	}); err != nil {
		return nil, err
	}
	if s.vault, err = vault.New(vault.Config{Sealer: keys, Observe: t.Vault, Providers: []*vault.Provider{{
		Name: "bank", Hosts: []string{f.bankHost()}, Client: f.token.Client(),
		OAuth2: &oauth2.Config{ClientID: "orders", ClientSecret: f.clientSecret, Endpoint: oauth2.Endpoint{TokenURL: f.token.URL}},
	}}}); err != nil {
		return nil, err
	}
	transport, err := relay.New(relay.Config{
		Sealer: keys, Base: f.bank.Client().Transport, Observe: t.Relay,
		Destinations: []relay.Destination{{Host: f.bankHost(), Routes: []string{"GET /"}, RequireSubject: true}},
	})
	s.bank = &http.Client{Transport: transport}
	return s, err
}

func observed(c redact.Config, t *telemetry) redact.Config {
	c.Observe = t.Redact
	return c
}

// handler is the whole service: one span a request, and readiness beside it.
func (s *service) handler() http.Handler {
	api := s.exchanger.Handler(s.verifier.Handler(http.HandlerFunc(s.balance)))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", s.ready)
	mux.Handle("GET /balance", s.traced("GET /balance", s.redactor.Handler(api)))
	return mux
}

// ready says whether requests can be served: every issuer's keys are at hand, and
// the process is not about to end.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() || s.verifier.Ready(r.Context()) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// balance asks the bank, with the caller's token there, which it never sees.
func (s *service) balance(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwks.FromContext(r.Context())
	ctx := relay.WithSubject(r.Context(), claims.Subject())
	token, err := s.vault.TokenSource(ctx, grantID, claims.Subject()).Token()
	if err != nil {
		http.Error(w, "no access to the bank", http.StatusBadGateway)
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.bankURL+"/balance", nil)
	if err != nil {
		http.Error(w, "no bank", http.StatusInternalServerError)
		return
	}
	token.SetAuthHeader(req)
	res, err := s.bank.Do(req)
	if err != nil {
		http.Error(w, "no answer from the bank", http.StatusBadGateway)
		return
	}
	defer func() { _ = res.Body.Close() }()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(res.Body, 1<<20))
}

// close ends the service without losing anything: it stops being ready, answers
// what it has begun, and then lets refreshes in flight be saved.
func (s *service) close(ctx context.Context, server *http.Server) error {
	s.draining.Store(true)
	err := server.Shutdown(ctx)
	err = errors.Join(err, s.vault.Close(ctx), s.exchanger.Close(), s.verifier.Close())
	s.bank.CloseIdleConnections()
	return err
}

// traced is the span of a request. The middleware otelhttp does more.
func (s *service) traced(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := s.telemetry.tracer.Start(r.Context(), route, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(semconv.HTTPRequestMethodKey.String(r.Method), semconv.HTTPRoute("/balance")))
		defer span.End()
		status := &statusWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(status, r.WithContext(ctx))
		span.SetAttributes(semconv.HTTPResponseStatusCode(status.code))
		if status.code >= 500 {
			span.SetStatus(codes.Error, "")
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

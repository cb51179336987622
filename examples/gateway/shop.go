package main

import (
	"context"
	"net/http/httptest"
	"net/url"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
)

// A shop is everything: authorization server, gateway, two services.
type shop struct {
	server *authserver.Server
	orders *url.URL         // one of the services, without the gateway
	front  *httptest.Server // the gateway
	end    []func()
}

func start(ctx context.Context) (s *shop, err error) {
	s = &shop{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.server, err = startAuthorizationServer(ctx); err != nil {
		return s, err
	}
	s.end = append(s.end, func() { _ = s.server.Close() })
	mint, err := newMinter()
	if err != nil {
		return s, err
	}
	if s.orders, err = s.startService("orders", mint.public); err != nil {
		return s, err
	}
	stock, err := s.startService("stock", mint.public)
	if err != nil {
		return s, err
	}
	g, err := newGateway(s.server.Issuer, mint)
	if err != nil {
		return s, err
	}
	s.end = append(s.end, g.close)
	s.front = httptest.NewServer(g.handler(s.orders, stock))
	s.end = append(s.end, s.front.Close)
	return s, nil
}

// startAuthorizationServer runs one with opaque tokens, whose client "gateway" gets
// signed introspection answers.
func startAuthorizationServer(ctx context.Context) (*authserver.Server, error) {
	return authserver.Start(ctx, authserver.Config{
		Clients: []authserver.Client{{
			"client_id": appID, "client_secret": appSecret, "redirect_uris": []string{},
			"grant_types": []string{"client_credentials"}, "response_types": []string{},
		}, {
			"client_id": gatewayID, "client_secret": gatewaySecret, "redirect_uris": []string{},
			"grant_types": []string{}, "response_types": []string{}, "introspection_signed_response_alg": "RS256",
		}},
		Scopes:          []string{"orders", "read"},
		Resources:       map[string]authserver.Resource{publicAPI: {Scope: "orders read", Format: "opaque"}},
		DefaultResource: publicAPI, AccessTokenTTL: 3600,
	})
}

func (s *shop) startService(name string, keys []byte) (*url.URL, error) {
	handler, verifier, err := newService(name, keys)
	if err != nil {
		return nil, err
	}
	running := httptest.NewServer(handler)
	s.end = append(s.end, func() { _ = verifier.Close() }, running.Close)
	return url.Parse(running.URL)
}

// introspections is how often the authorization server was asked.
func (s *shop) introspections() (int, error) {
	counts, err := s.server.Counts()
	return counts["POST /token/introspection"], err
}

// close ends what was started, the last first.
func (s *shop) close() {
	for i := len(s.end) - 1; i >= 0; i-- {
		s.end[i]()
	}
	s.end = nil
}

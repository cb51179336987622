package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/jwks"
)

// Event is the part of an API-gateway request authoriser's event that is needed
// (its version 1.0, "type":"REQUEST").
type Event struct {
	MethodARN         string              `json:"methodArn"`
	HTTPMethod        string              `json:"httpMethod"`
	Path              string              `json:"path"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
}

// Response is what the gateway expects.
type Response struct {
	PrincipalID    string            `json:"principalId"`
	PolicyDocument Policy            `json:"policyDocument"`
	Context        map[string]string `json:"context"` // for the integration behind the gateway
}

// Policy allows one call.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is the only kind this authoriser makes.
type Statement struct{ Action, Effect, Resource string }

// errUnauthorized has the one text, capital and all, that the gateway turns into
// a 401; any other error becomes a 500, which clients may retry.
var errUnauthorized = errors.New("Unauthorized")

// authorizer lives as long as its process: warm starts share its keys.
type authorizer struct{ verifier *jwks.Verifier }

// handle is the Lambda handler: lambda.Start(a.handle). It looks for the token
// in the Authorization header or the cookie.
func (a *authorizer) handle(ctx context.Context, e Event) (Response, error) {
	r := (&http.Request{
		Method: e.HTTPMethod, URL: &url.URL{Path: e.Path}, Header: http.Header{},
	}).WithContext(ctx)
	for name, values := range e.MultiValueHeaders {
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
	r.Host = r.Header.Get("Host")
	jwt, ok := token(r)
	if !ok {
		return Response{}, errUnauthorized
	}
	c, err := a.verifier.Verify(ctx, jwt)
	if errors.Is(err, jwks.ErrUnavailable) {
		return Response{}, err
	}
	if err != nil {
		return Response{}, errUnauthorized
	}
	// Subjects of different issuers collide.
	principal := fmt.Sprintf("%s|%s", c.Issuer(), c.Subject())
	return Response{
		PrincipalID: principal,
		PolicyDocument: Policy{Version: "2012-10-17", Statement: []Statement{
			{Action: "execute-api:Invoke", Effect: "Allow", Resource: e.MethodARN},
		}},
		Context: map[string]string{"jwt": jwt, "principalId": principal},
	}, nil
}

// crossOrigin keeps other sites from writing with a visitor's cookie.
var crossOrigin = http.NewCrossOriginProtection()

// token returns the one token of r. With two of them the gateway and the
// service behind it might not look at the same.
func token(r *http.Request) (string, bool) {
	headers, cookies := r.Header.Values("Authorization"), r.CookiesNamed("authorization")
	switch {
	case len(headers)+len(cookies) != 1:
		return "", false
	case len(cookies) == 1:
		return cookies[0].Value, crossOrigin.Check(r) == nil
	}
	scheme, value, _ := strings.Cut(headers[0], " ")
	return value, strings.EqualFold(scheme, "Bearer")
}

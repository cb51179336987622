// Package jwkstest is a fake issuer for tests of services that verify tokens
// with package jwks. It rotates its keys, fails, hangs, holds its answer until
// released, counts fetches, and signs anything, wrong on purpose if asked.
//
//	iss := jwkstest.NewIssuer(t)
//	v, err := jwks.New(jwks.Config{
//		Issuers: []jwks.Issuer{iss.Config("https://api.example")},
//		Client:  iss.Client(),
//	})
//	token := iss.Sign(iss.Claims("https://api.example"))
//
// [Issuer.Client] reaches the issuer in memory, without sockets, so tests run
// inside testing/synctest too. For a real socket, mount the issuer, which is an
// http.Handler, on an httptest server and set [Issuer.URL] to its address.
package jwkstest

// TB is the part of testing.TB that is needed, so that programs that are no
// tests can have a fake issuer.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Package spa keeps tokens out of a browser application: the Token Vault
// Proxy.
//
// A [Proxy] is an [http.Handler] with an origin of its own, say
// https://vault.example.com beside https://app.example.com, on the same site.
// It receives the application's OAuth calls, keeps the tokens on the server in
// a [vault.Vault], answers with a redacted body, and attaches tokens to the
// requests that match the configured resources.
//
// # What is promised
//
// No access or refresh token ever enters the browser: not in a body, a header,
// a cookie, storage or a message. The browser holds a session cookie that
// scripts cannot read and other sites cannot send. Tokens go to the listed
// resources only, judged by scheme, host, port, cleaned path and method.
//
// # What is not
//
// A script that an attacker injects into the application can still use every
// listed resource while the page lives; it cannot take the tokens away. The ID
// token reaches the application, which needs it. Another host of the same site
// can navigate a browser to the logout address, and so log its user out; it can
// do nothing else.
//
// An application with a Content-Security-Policy lists the vault's origin in
// connect-src, and in frame-src if it uses the bridge page.
//
// # When not to use it
//
// An application that has a server of its own does well with a plain
// backend-for-frontend: a session cookie, and [vault.Vault.Transport] where
// the server calls the API. When a short session without refresh is enough,
// that is simpler still.
//
// # Addresses
//
// Under its origin a Proxy serves the OAuth endpoints that an application is
// configured with in place of the authorization server's:
//
//	/oauth2/authorize        redirects to the authorization server
//	/oauth2/token            the exchange of a code (RFC 6749 section 4.1.3, RFC 7636)
//	/oauth2/revoke           removes the session's tokens (RFC 7009)
//	/oauth2/userinfo         the authorization server's, with the token attached
//	/oauth2/logout           ends the session here and there (RP-initiated logout)
//	/.well-known/openid-configuration
//
// the same under the paths that the Ping SDK uses
// (/am/oauth2/realms/root/access_token and so on), its own control endpoints
// under /.tokenvault/, and the configured resources.
package spa

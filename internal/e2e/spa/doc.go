// Package spa proves tokenvault/spa in a real browser: headless Chromium, the
// npm package oidc-provider as the authorization server with refresh rotation,
// and the application and the vault on two host names of one site.
package spa

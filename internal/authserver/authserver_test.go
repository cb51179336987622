package authserver_test

import (
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/authserver"
	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// The server logs a user in, rotates refresh tokens, ends the family on reuse,
// and counts.
func TestLoginRefreshReuse(t *testing.T) {
	t.Parallel()
	server := testserver.OIDC(t, authserver.Config{
		Clients: []authserver.Client{{
			"client_id": "app", "client_secret": "a secret of the app",
			"redirect_uris": []string{"https://app.example.test/callback"},
			"grant_types":   []string{"authorization_code", "refresh_token"},
		}},
		Scopes:          []string{"read"},
		Resources:       map[string]authserver.Resource{"https://api.example.test": {Scope: "read"}},
		DefaultResource: "https://api.example.test",
	})
	client := oauth2.Config{
		ClientID: "app", ClientSecret: "a secret of the app", RedirectURL: "https://app.example.test/callback",
		Scopes:   []string{"openid", "offline_access", "read"},
		Endpoint: oauth2.Endpoint{AuthURL: server.Issuer + "/auth", TokenURL: server.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	verifier := oauth2.GenerateVerifier()
	back, err := server.Login(t.Context(), nil, client.AuthCodeURL("xyz", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "consent")), "ada")
	require.NoError(t, err)
	require.Equal(t, "/callback", back.Path)
	require.Equal(t, "xyz", back.Query().Get("state"))
	first, err := client.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	require.Regexp(t, `^ey[^.]+\.[^.]+\.[^.]+$`, first.AccessToken)
	second, err := client.TokenSource(t.Context(), &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	require.NoError(t, err)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	_, err = client.TokenSource(t.Context(), &oauth2.Token{RefreshToken: first.RefreshToken}).Token()
	require.ErrorContains(t, err, "invalid_grant")
	_, err = client.TokenSource(t.Context(), &oauth2.Token{RefreshToken: second.RefreshToken}).Token()
	require.ErrorContains(t, err, "invalid_grant", "the family is revoked")
	counts, err := server.Counts()
	require.NoError(t, err)
	require.Equal(t, 4, counts["POST /token"])
	require.Equal(t, 1, counts["grant.success refresh_token"])
	require.Equal(t, 1, counts["grant.error refresh token already used"])
	kids, err := server.Rotate(2)
	require.NoError(t, err)
	require.Equal(t, []string{"k2-rs", "k2-es", "k2-ed", "k1-rs", "k1-es", "k1-ed"}, kids)
}

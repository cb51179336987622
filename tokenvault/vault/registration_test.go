package vault_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestRegistration_IsACopyWithoutTheSecret(t *testing.T) {
	t.Parallel()
	f := setup(t, func(_ *vault.Config, p *vault.Provider) { p.OAuth2.Scopes = []string{"read"} })
	want := vault.Registration{ClientID: "client", TokenURL: tokenURL, Scopes: []string{"read"}, Hosts: []string{"api.example.com"}}
	got, err := f.vault.Registration("as")
	require.NoError(t, err)
	require.Equal(t, want, got)
	got.Scopes[0], got.Hosts[0] = "admin", "evil.example"
	got, err = f.vault.Registration("as")
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = f.vault.Registration("nobody")
	require.Error(t, err)
}

func TestRedeem_ReturnsTheAnswerAsItCameAndKeepsTheGrant(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	answer, err := f.vault.Redeem(t.Context(), "g", "alice", "as", "code")
	require.NoError(t, err)
	require.Equal(t, 200, answer.Status)
	var members struct {
		Access string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal(answer.Body, &members))
	got, err := f.vault.Reveal(t.Context(), "g", "alice")
	require.NoError(t, err)
	require.Equal(t, got.AccessToken, members.Access)
	printed, err := json.Marshal(answer)
	require.NoError(t, err)
	leaktest.None(t, fmt.Appendf(printed, "%v %+v %#v %s %x", answer, answer, answer, answer, answer), members.Access)
}

func TestRedeem_ReturnsAnErrorsAnswerToo(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.as.set(once(act{status: 400, body: `{"error":"invalid_grant"}`}))
	answer, err := f.vault.Redeem(t.Context(), "g", "alice", "as", "code")
	require.ErrorIs(t, err, vault.ErrReauthorize)
	require.Equal(t, 400, answer.Status)
	require.JSONEq(t, `{"error":"invalid_grant"}`, string(answer.Body))
	answer, err = f.vault.Redeem(t.Context(), "g", "", "as", "code")
	require.Error(t, err)
	require.Zero(t, answer.Status, "nothing was sent")
	require.Equal(t, 1, f.as.refreshes())
}

func TestRefused_RenewsOnlyTheGrantThatStillHasTheToken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	tok := f.connect("g", "alice", time.Hour)
	require.ErrorIs(t, f.vault.Refused(t.Context(), "g", "bob", tok.AccessToken), tokenvault.ErrLabel)
	require.NoError(t, f.vault.Refused(t.Context(), "g", "alice", "another token"))
	require.Empty(t, f.as.requests)
	for range 3 { // as many requests in flight were answered 401
		require.NoError(t, f.vault.Refused(t.Context(), "g", "alice", tok.AccessToken))
	}
	require.Equal(t, 1, f.as.refreshes())
}

package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/stretchr/testify/require"
)

func TestQuickstart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), "the app held               Authorization: Bearer tv1.")
	require.Contains(t, out.String(), "the third party received   Authorization: Bearer ey")
	require.Contains(t, out.String(), `the third party received   {"password":"correct horse battery staple"}`)
	require.Contains(t, out.String(), `level=INFO msg="logged in"`)
	for _, refusal := range []string{"another host", "plain http", "a tampered token", "another user's token", "a token in a comment field"} {
		require.Contains(t, out.String(), refusal)
	}
}

// What the app keeps - log, database, its own variables - holds neither the
// password nor the token.
func TestAppKeepsNoPlaintext(t *testing.T) {
	t.Parallel()
	const password = "a password nobody may see"
	api := startThirdParty(password)
	defer api.Close()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	sealed, err := keys.Seal(t.Context(), []byte(password), tokenvault.Label{Hosts: []string{host}, Subject: user})
	require.NoError(t, err)

	var log bytes.Buffer
	database := filepath.Join(t.TempDir(), "app.db")
	app, err := startApp(keys, networkTo(api), database, &log)
	require.NoError(t, err)
	defer app.close()
	held, err := app.fetchToken(t.Context(), sealed)
	require.NoError(t, err)
	got, err := app.call(t.Context(), held, nil)
	require.NoError(t, err)
	require.True(t, got.Authenticated)

	_, authorization := api.seen()
	token, found := strings.CutPrefix(authorization, "Authorization: Bearer ")
	require.True(t, found)
	rows, err := os.ReadFile(database)
	require.NoError(t, err)
	kept := slices.Concat(rows, log.Bytes(), []byte(held))
	require.Contains(t, string(kept), tokenvault.Prefix)
	leaktest.None(t, kept, password, token)
}

func TestWrongPasswordIsTheThirdPartysAnswer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	api := startThirdParty("right")
	defer api.Close()
	jwk, err := tokenvault.NewKey()
	require.NoError(t, err)
	keys, err := tokenvault.ParseKeyring(jwk)
	require.NoError(t, err)
	app, err := startApp(keys, networkTo(api), filepath.Join(t.TempDir(), "app.db"), &out)
	require.NoError(t, err)
	defer app.close()
	sealed, err := keys.Seal(t.Context(), []byte("wrong"), tokenvault.Label{Hosts: []string{host}, Subject: user})
	require.NoError(t, err)
	_, err = app.fetchToken(t.Context(), sealed)
	require.ErrorContains(t, err, "Unfortunately, your authentication attempt was unsuccessful.")
	_, err = app.savedToken(t.Context())
	require.ErrorIs(t, err, sql.ErrNoRows)
}

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/seed-6d9a6c17/tokenvault/relay"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	_ "modernc.org/sqlite" // database/sql driver
)

const (
	host = "api.example.com" // the third party
	user = "claude"          // whose credentials these are
)

// app is a service that talks to the third party. Everything it holds - in its
// variables, its log, its database - is sealed.
type app struct {
	client *http.Client
	db     *sql.DB
	log    *slog.Logger
}

// startApp is what a start, or a restart, of the service does. The one line
// that this library asks for is the client's Transport.
func startApp(keys *tokenvault.Keyring, network http.RoundTripper, databaseFile string, logTo io.Writer) (*app, error) {
	transport, err := relay.New(relay.Config{
		Sealer: keys,
		Base:   network,
		Destinations: []relay.Destination{{
			Host:           host,
			Routes:         []string{"POST /api/"},
			Open:           []string{"header:Authorization", "json:$.password"},
			Seal:           []relay.Field{{At: "$.accessToken"}},
			RequireSubject: true,
		}},
	})
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", databaseFile)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS tokens (user TEXT PRIMARY KEY, token TEXT NOT NULL)`); err != nil {
		return nil, err
	}
	return &app{client: &http.Client{Transport: transport}, db: db, log: slog.New(slog.NewTextHandler(logTo, nil))}, nil
}

func (a *app) close() { _ = a.db.Close() }

// fetchToken logs in with a sealed password and keeps the sealed token.
func (a *app) fetchToken(ctx context.Context, sealedPassword string) (token string, err error) {
	got, err := a.post(ctx, "https://"+host+"/api/fetchToken", map[string]string{"password": sealedPassword}, "")
	if err != nil {
		return "", err
	}
	if !got.Authenticated {
		return "", fmt.Errorf("not authenticated: %s", got.Message)
	}
	a.log.Info("logged in", "message", got.Message, "accessToken", got.AccessToken)
	_, err = a.db.ExecContext(ctx, `INSERT OR REPLACE INTO tokens VALUES (?, ?)`, user, got.AccessToken)
	return got.AccessToken, err
}

// savedToken reads the sealed token back.
func (a *app) savedToken(ctx context.Context) (token string, err error) {
	err = a.db.QueryRowContext(ctx, `SELECT token FROM tokens WHERE user = ?`, user).Scan(&token)
	return token, err
}

// call uses the API with a sealed bearer token.
func (a *app) call(ctx context.Context, token string, body map[string]string) (answer, error) {
	return a.post(ctx, "https://"+host+"/api/authenticatedEndpoint", body, token)
}

// post is ordinary net/http: nothing in it knows that values are sealed. The
// context says for whom the request is.
func (a *app) post(ctx context.Context, url string, body map[string]string, bearer string) (answer, error) {
	var got answer
	text, err := json.Marshal(body)
	if err != nil {
		return got, err
	}
	req, err := http.NewRequestWithContext(relay.WithSubject(ctx, user), http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return got, err
	}
	defer func() { _ = res.Body.Close() }()
	return got, json.NewDecoder(res.Body).Decode(&got)
}

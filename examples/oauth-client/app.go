package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// app is the service between two restarts.
type app struct {
	settings
	keys    *tokenvault.Keyring
	oauth   *oauth2.Config
	grants  *vault.Vault
	db      *sql.DB
	since   time.Time
	handler http.Handler
}

func (a *app) close(ctx context.Context) error {
	return errors.Join(a.grants.Close(ctx), a.db.Close())
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.user(a.index))
	mux.HandleFunc("POST /connect", a.user(a.connect))
	mux.HandleFunc("GET "+callbackPath, a.user(a.callback))
	mux.HandleFunc("POST /call", a.user(a.call))
	mux.HandleFunc("POST /disconnect", a.user(a.disconnect))
	mux.HandleFunc("GET /style.css", style)
	return mux
}

// handler serves one user; fail answers its error.
type handler func(w http.ResponseWriter, r *http.Request, owner string) error

// user finds out whose request it is. A cookie that nobody can guess stands
// here for the login a real service has.
func (a *app) user(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		owner := ""
		if c, err := r.Cookie("user"); err == nil {
			owner = c.Value
		}
		if owner == "" {
			owner = rand.Text()
			http.SetCookie(w, cookie("user", owner, 365*24*time.Hour))
		}
		if err := h(w, r, owner); err != nil {
			fail(w, err)
		}
	}
}

// cookie would be Secure, were this service not on loopback.
func cookie(name, value string, life time.Duration) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// fail tells the user what to do. The errors of a vault carry no credential and
// may be logged as they are.
func fail(w http.ResponseWriter, err error) {
	slog.Warn("request failed", "err", err)
	var later interface{ RetryAfter() time.Duration }
	switch {
	case errors.Is(err, vault.ErrReauthorize):
		message(w, http.StatusConflict, "This account must be connected again.")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, tokenvault.ErrLabel):
		message(w, http.StatusNotFound, "You have no such account.")
	case errors.As(err, &later):
		w.Header().Set("Retry-After", strconv.Itoa(int(later.RetryAfter().Seconds())+1))
		message(w, http.StatusServiceUnavailable, "The other side is not available now. Please try again soon.")
	default:
		message(w, http.StatusBadRequest, "That did not work.")
	}
}

func (a *app) index(w http.ResponseWriter, r *http.Request, owner string) error {
	return a.show(w, r, owner, nil)
}

// login is what must be known again when the browser comes back. Sealed for
// its user, it needs no place on the server.
type login struct{ State, Verifier string }

const loginPurpose = "oauth-client login"

// connect sends the browser to the authorization server, with PKCE.
func (a *app) connect(w http.ResponseWriter, r *http.Request, owner string) error {
	l := login{rand.Text(), oauth2.GenerateVerifier()}
	plaintext, err := json.Marshal(l)
	if err != nil {
		return err
	}
	const life = 10 * time.Minute
	sealed, err := a.keys.Seal(r.Context(), plaintext, tokenvault.Label{
		Subject: owner, Purpose: loginPurpose, Expires: time.Now().Add(life),
	})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie("login", sealed, life))
	address := a.oauth.AuthCodeURL(l.State, oauth2.S256ChallengeOption(l.Verifier), oauth2.ApprovalForce)
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// callback redeems the code and keeps the grant.
func (a *app) callback(w http.ResponseWriter, r *http.Request, owner string) error {
	c, err := r.Cookie("login")
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie("login", "", -time.Second))
	plaintext, _, err := a.keys.Open(r.Context(), c.Value, tokenvault.Use{Subject: owner, Purpose: loginPurpose})
	if err != nil {
		return err
	}
	var l login
	if err := json.Unmarshal(plaintext, &l); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(l.State), []byte(r.FormValue("state"))) != 1 {
		return errors.New("the state is not the one that was sent")
	}
	id := "account-" + rand.Text()[:10]
	if err := a.grants.Exchange(r.Context(), id, owner, "example", r.FormValue("code"), oauth2.VerifierOption(l.Verifier)); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// call asks the API who the account belongs to. The token is attached on the
// wire, and renewed when it has expired.
func (a *app) call(w http.ResponseWriter, r *http.Request, owner string) error {
	id := r.FormValue("id")
	client := &http.Client{Transport: a.grants.Transport(id, owner, nil), Timeout: 20 * time.Second}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, a.issuer+"/me", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer := &answer{ID: id, Status: resp.Status}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer.Person); err != nil {
		return err
	}
	return a.show(w, r, owner, answer)
}

// disconnect revokes the grant here and at the authorization server.
func (a *app) disconnect(w http.ResponseWriter, r *http.Request, owner string) error {
	err := a.grants.Revoke(r.Context(), r.FormValue("id"), owner)
	if err != nil && !errors.Is(err, vault.ErrRevokePending) {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

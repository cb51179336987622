package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

//go:embed pages/style.css
var styleCSS []byte

//go:embed pages/index.html
var indexHTML string

var index = template.Must(template.New("index").Funcs(template.FuncMap{
	"until": func(t time.Time) string {
		if t.IsZero() {
			return "for as long as the server likes"
		}
		return "until " + t.Local().Format("2 Jan 2006, 15:04:05")
	},
	"join": func(s []string) string { return strings.Join(s, " · ") },
}).Parse(indexHTML))

// view is what the page shows; no field of it can hold a token.
type view struct {
	Accounts []vault.Entry
	Answer   *answer
	Message  string
	Since    time.Time
}

// answer is what the API said.
type answer struct {
	ID, Status string
	Person     struct{ Sub, Name, Email string }
}

// show lists the user's accounts.
func (a *app) show(w http.ResponseWriter, r *http.Request, owner string, found *answer) error {
	entries, err := a.grants.List(r.Context(), owner)
	if err != nil {
		return err
	}
	v := view{Answer: found, Since: a.since}
	for _, e := range entries {
		if e.State != vault.Revoked {
			v.Accounts = append(v.Accounts, e)
		}
	}
	// The connect form is answered with a redirect to the authorization server.
	render(w, http.StatusOK, v, a.issuer)
	return nil
}

func message(w http.ResponseWriter, status int, text string) {
	render(w, status, view{Message: text}, "")
}

func render(w http.ResponseWriter, status int, v view, formTarget string) {
	var page bytes.Buffer
	if err := index.Execute(&page, v); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' "+formTarget)
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(styleCSS)
}

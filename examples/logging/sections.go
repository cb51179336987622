package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/redact"
)

// Made up, and in the formats of the real ones.
var (
	accessToken  = "at-5d41402abc4b2a76b9719d911017c592"
	refreshToken = "rt-7d793037a0760186574b0282f2f435e7"
	code         = "SplxlOBeZQQYbYS6WxSbIA"
	clientSecret = "gX1fBat3bV-very-secret"
	sessionID    = "31d4d96e407aad42"
	githubToken  = "ghp_" + strings.Repeat("a1B2c3", 6)
	credentials  = []string{accessToken, refreshToken, code, clientSecret, sessionID, githubToken}
)

// grant is what a service keeps of a token response, and logs by mistake.
type grant struct {
	Subject      string `json:"sub"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Expiry       int    `json:"exp"`
}

func logLines(w io.Writer, r *redact.Redactor) error {
	var h slog.Handler = slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	if r != nil {
		h = r.Log(h)
	}
	l := slog.New(h)
	l.Info("grant stored", "grant", grant{"alice", accessToken, refreshToken, 1690712227})
	l.Info("pushing to https://" + githubToken + "@github.com/acme/app")
	l.Error("exchange failed", "err", fmt.Errorf("login: %w", &url.Error{
		Op: "Post", URL: "https://as.example.test/token?code=" + code, Err: errors.New("connection refused"),
	}))
	l.With("client_secret", clientSecret).WithGroup("http").Info("calling", "header", http.Header{"Authorization": {"Bearer " + accessToken}})
	return nil
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// accessLog writes one line for each request, as many servers do.
func accessLog(w io.Writer, r *redact.Redactor) error {
	lines := log.New(w, "", 0)
	app := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "/home#access_token="+accessToken, http.StatusFound)
	})
	logged := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		app.ServeHTTP(w, req)
		target, referer, location := req.URL, req.Header, w.Header()
		if r != nil {
			target, referer, location = r.URL(target), r.Header(referer), r.Header(location)
		}
		lines.Printf("%s %s referer=%s location=%s", req.Method, target, referer.Get("Referer"), location.Get("Location"))
	})
	for _, target := range []string{"/callback?state=af0ifjsldkj&code=" + code, "/export?access_token=" + accessToken + "&format=csv"} {
		req := httptest.NewRequest(http.MethodGet, target, nil)
		req.Header.Set("Referer", "https://app.example.test/reset?token="+refreshToken)
		logged.ServeHTTP(httptest.NewRecorder(), req)
	}
	return nil
}

func dump(w io.Writer, r *redact.Redactor) error {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_secret": {clientSecret}}
	req := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Cookie", "sid="+sessionID)
	of := func(req *http.Request) ([]byte, error) { return httputil.DumpRequest(req, true) }
	if r != nil {
		of = r.DumpRequest
	}
	b, err := of(req)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

package redact_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/redact"
)

func ExampleNew() {
	r, err := redact.New(redact.Config{JSON: []string{"$.accessToken", "$.refreshToken"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	reply := `{ "accessToken": "at-1", "idToken": "eyJ0eXAi…", "refreshToken": "rt-2", "tokenExpiry": 1690712227226 }`
	if err := r.JSON(os.Stdout, strings.NewReader(reply)); err != nil {
		fmt.Println(err)
	}
	// Output: { "accessToken": "REDACTED", "idToken": "eyJ0eXAi…", "refreshToken": "REDACTED", "tokenExpiry": 1690712227226 }
}

func ExampleDefault() {
	c := redact.Default()
	c.Attrs = append(c.Attrs, "pin")
	r, err := redact.New(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Text("GET /callback?state=x&code=SplxlOBeZQQYbYS6WxSbIA"))
	// Output: GET /callback?state=x&code=REDACTED
}

func ExampleRedactor_Log() {
	r, err := redact.New(redact.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(r.Log(plain))
	log.Info("logged in", "user", "alice", "access_token", "at-1", "header", http.Header{"Cookie": {"sid=1"}})
	// Output: level=INFO msg="logged in" user=alice access_token=REDACTED header=map[Cookie:[REDACTED]]
}

func ExampleRedactor_Handler() {
	r, err := redact.New(redact.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"user":"alice","password":"hunter2"}`)
	})
	w := httptest.NewRecorder()
	r.Handler(app).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Header().Get("Content-Length"), w.Body)
	// Output: 38 {"user":"alice","password":"REDACTED"}
}

func ExampleNewSecret() {
	config := struct {
		User     string
		password redact.Secret
	}{"alice", redact.NewSecret("hunter2")}
	fmt.Println(config.password, len(config.password.Reveal()))
	// Output: REDACTED 7
}

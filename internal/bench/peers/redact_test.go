package peers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/m-mizutani/masq"
	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/redact"
)

const (
	logSecret = "c0ffee00c0ffee00"
	logJWT    = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0In0.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"
	logGitHub = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a" // made up
)

// jwtExpression is how secret scanners spell a JWT.
var jwtExpression = regexp.MustCompile(`ey[a-zA-Z0-9]{17,}\.ey[a-zA-Z0-9\/\\_-]{17,}\.(?:[a-zA-Z0-9\/\\_-]{10,}={0,2})?`)

type login struct{ User, Password string }

type lazy struct{}

func (lazy) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", "alice"), slog.String("password", logSecret))
}

func TestRedactors(t *testing.T) {
	t.Parallel()
	rows := []struct {
		question string
		secret   string
		log      func(*slog.Logger)
	}{
		{"an attribute `access_token`", logSecret, func(l *slog.Logger) { l.Info("m", "access_token", logSecret) }},
		{"the same, spelled `accessToken`", logSecret, func(l *slog.Logger) { l.Info("m", "accessToken", logSecret) }},
		{"`password` in a group", logSecret, func(l *slog.Logger) { l.Info("m", slog.Group("form", "password", logSecret)) }},
		{"field `Password` of a struct", logSecret, func(l *slog.Logger) { l.Info("m", "form", login{"alice", logSecret}) }},
		{"key `password` of a map", logSecret, func(l *slog.Logger) { l.Info("m", "form", map[string]any{"password": logSecret}) }},
		{"`password` from a `LogValuer`", logSecret, func(l *slog.Logger) { l.Info("m", "form", lazy{}) }},
		{"`Authorization` in a logged `http.Header`", logSecret, func(l *slog.Logger) {
			l.Info("m", "header", http.Header{"Authorization": {"Bearer " + logSecret}})
		}},
		{"a JSON text in an attribute", logSecret, func(l *slog.Logger) { l.Info("m", "body", `{"access_token":"`+logSecret+`"}`) }},
		{"the password of a URL", logSecret, func(l *slog.Logger) { l.Info("m", "url", "https://alice:"+logSecret+"@db.example.com/") }},
		{"a JWT in an attribute", logJWT, func(l *slog.Logger) { l.Info("m", "got", logJWT) }},
		{"a JWT in an error", logJWT, func(l *slog.Logger) { l.Info("m", "err", errors.New("refused "+logJWT)) }},
		{"a JWT in the message", logJWT, func(l *slog.Logger) { l.Info("refused " + logJWT) }},
		{"a GitHub token in a sentence", logGitHub, func(l *slog.Logger) { l.Info("m", "note", "cloned with "+logGitHub) }},
	}
	loggers := []struct {
		name string
		make func(*bytes.Buffer) slog.Handler
	}{
		{"tokenvault/redact, `Default()`", func(out *bytes.Buffer) slog.Handler {
			r, err := redact.New(redact.Default())
			require.NoError(t, err)
			return r.Log(slog.NewJSONHandler(out, nil))
		}},
		{"`ReplaceAttr` by name", func(out *bytes.Buffer) slog.Handler { return replacing(out, byName) }},
		{"`ReplaceAttr` with a scanner's JWT expression", func(out *bytes.Buffer) slog.Handler { return replacing(out, byExpression) }},
		{"masq, field names and the expression", func(out *bytes.Buffer) slog.Handler {
			return replacing(out, masq.New(masq.WithRegex(jwtExpression),
				masq.WithFieldName("access_token"), masq.WithFieldName("password"), masq.WithFieldName("Password"), masq.WithFieldName("Authorization")))
		}},
	}
	tab := table{name: "redactors"}
	for _, l := range loggers {
		tab.columns = append(tab.columns, l.name)
	}
	for _, r := range rows {
		made := row{question: r.question, ours: "masked"}
		for _, l := range loggers {
			var out bytes.Buffer
			r.log(slog.New(l.make(&out)))
			require.Contains(t, out.String(), `"level":"INFO"`)
			if strings.Contains(out.String(), r.secret) {
				made.cells = append(made.cells, "logged")
			} else {
				made.cells = append(made.cells, "masked")
			}
		}
		tab.rows = append(tab.rows, made)
	}
	held(t, tab)
}

func replacing(out *bytes.Buffer, replace func([]string, slog.Attr) slog.Attr) slog.Handler {
	h := slog.NewJSONHandler(out, &slog.HandlerOptions{ReplaceAttr: replace})
	if !h.Enabled(context.Background(), slog.LevelInfo) {
		panic("nothing would be logged")
	}
	return h
}

// byName masks by name alone, as handlers are commonly configured.
func byName(_ []string, a slog.Attr) slog.Attr {
	switch strings.ToLower(a.Key) {
	case "authorization", "password", "token", "access_token", "refresh_token", "client_secret", "cookie":
		return slog.String(a.Key, redact.DefaultMask)
	}
	return a
}

// byExpression masks what looks like a JWT in the strings that it is given.
func byExpression(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindString {
		return slog.String(a.Key, jwtExpression.ReplaceAllString(a.Value.String(), redact.DefaultMask))
	}
	return a
}

package redact_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/seed-6d9a6c17/tokenvault/redact"
	"github.com/stretchr/testify/require"
)

const canary = "canary-s3cr3t-value"

type holder struct {
	Out    redact.Secret
	in     redact.Secret
	Ptr    *redact.Secret
	ptr    *redact.Secret
	nested struct{ s []redact.Secret }
	any    any
}

type secretError struct{ s redact.Secret }

func (e secretError) Error() string { return "refused for " + e.s.String() }

type rawError struct {
	Secret redact.Secret
	inner  redact.Secret
}

func (e *rawError) Error() string { return fmt.Sprint("refused ", e.Secret, e.inner) }

// placesOf holds s in all the places it might be printed from.
func placesOf(s redact.Secret) map[string]any {
	h := holder{Out: s, in: s, Ptr: &s, ptr: &s, any: s}
	h.nested.s = []redact.Secret{s}
	return map[string]any{
		"bare": s, "pointer": &s, "exported and unexported field": h, "pointer to struct": &h,
		"map value": map[string]redact.Secret{"k": s}, "map key": map[redact.Secret]int{s: 1}, "map pointer key": map[*redact.Secret]int{&s: 1},
		"slice": []redact.Secret{s}, "array": [1]redact.Secret{s}, "slice of any": []any{s, &s, h}, "struct in map": map[string]holder{"k": h},
		"error": secretError{s}, "pointer error": &rawError{s, s}, "wrapped": fmt.Errorf("wrapped: %w", secretError{s}),
		"joined": errors.Join(secretError{s}, &rawError{s, s}), "formatted": fmt.Errorf("with %v %+v %#v %s", s, h, h, &s),
	}
}

func requireNoCanary(t *testing.T, out, where string) {
	t.Helper()
	for _, form := range []string{canary, canary[:8], fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary),
		fmt.Sprintf("%d", []byte(canary))[1:20], "Y2FuYXJ5LXMzY3IzdC12YWx1Z"} {
		require.NotContains(t, out, form, where)
	}
}

func TestSecretEveryVerbAndFlag(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(canary)
	require.Equal(t, canary, s.Reveal())
	requireFinds := fmt.Sprintf("%x", canary)
	require.Contains(t, "planted "+requireFinds, requireFinds)
	for name, v := range placesOf(s) {
		for verb := rune('A'); verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "# ", "20", "-20.3", ".5", "+20", "0#20.10"} {
				format := "%" + flags + string(verb)
				requireNoCanary(t, fmt.Sprintf(format, v), name+" "+format)
			}
		}
		requireNoCanary(t, fmt.Sprint(v)+fmt.Sprintln(v), name)
	}
	for format, want := range map[string]string{"%v": "REDACTED", "%+v": "REDACTED", "%s": "REDACTED", "%q": `"REDACTED"`, "%#v": `"REDACTED"`,
		"%10s|": "  REDACTED|", "%x": "REDACTED", "%d": "REDACTED"} {
		require.Equal(t, want, fmt.Sprintf(format, s), format)
	}
}

func TestSecretMarshalsAsMask(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(canary)
	for name, v := range placesOf(s) {
		if b, err := json.Marshal(v); err == nil {
			requireNoCanary(t, string(b), name)
		}
		if b, err := xml.Marshal(v); err == nil {
			requireNoCanary(t, string(b), name)
		}
		var b bytes.Buffer
		_ = gob.NewEncoder(&b).Encode(v)
		requireNoCanary(t, b.String(), name)
		b.Reset()
		require.NoError(t, template.Must(template.New("").Parse(`{{.}} {{printf "%v %s %q %#v" . . . .}}`)).Execute(&b, v))
		require.NoError(t, htmltemplate.Must(htmltemplate.New("").Parse(`<a title="{{.}}">{{.}}</a>`)).Execute(&b, v))
		requireNoCanary(t, b.String(), name)
	}
	type doc struct {
		XMLName xml.Name      `xml:"doc" json:"-"`
		Element redact.Secret `xml:"element"`
		Attr    redact.Secret `xml:"attr,attr"`
	}
	b, err := json.Marshal(doc{Element: s, Attr: s})
	require.NoError(t, err)
	require.JSONEq(t, `{"Element":"REDACTED","Attr":"REDACTED"}`, string(b))
	b, err = xml.Marshal(doc{Element: s, Attr: s})
	require.NoError(t, err)
	require.Equal(t, `<doc attr="REDACTED"><element>REDACTED</element></doc>`, string(b))
	b, err = json.Marshal(map[redact.Secret]redact.Secret{s: s})
	require.NoError(t, err)
	require.JSONEq(t, `{"REDACTED":"REDACTED"}`, string(b))
}

func TestSecretGobDecodesToMask(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(struct{ S redact.Secret }{redact.NewSecret(canary)}))
	requireNoCanary(t, b.String(), "gob")
	var out struct{ S redact.Secret }
	require.NoError(t, gob.NewDecoder(&b).Decode(&out))
	require.Equal(t, redact.DefaultMask, out.S.Reveal())
}

func TestSecretInPlainSlog(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(canary)
	for _, handler := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		for name, v := range placesOf(s) {
			var b strings.Builder
			log := slog.New(handler(&b))
			log.Info("m", "v", v, slog.Group("g", "v", v))
			log.With("v", v).WithGroup("g").Info("m", "v", v)
			require.Contains(t, b.String(), "m")
			requireNoCanary(t, b.String(), name)
		}
	}
}

func TestSecretZeroValue(t *testing.T) {
	t.Parallel()
	var s redact.Secret
	require.Empty(t, s.Reveal())
	require.Equal(t, "REDACTED", fmt.Sprint(s))
	require.NotEqual(t, redact.NewSecret("a"), redact.NewSecret("a"), "two secrets are two keys")
}

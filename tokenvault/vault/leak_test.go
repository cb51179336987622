package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Whatever the server and the store do, no error, event, log line or printed
// form holds a token or the client's secret.
func TestLeak_NothingThatIsPrintedHoldsACredential(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	print := func(values ...any) {
		log := slog.New(slog.NewJSONHandler(&out, nil))
		for _, v := range values {
			b, _ := json.Marshal(v)
			fmt.Fprintf(&out, "%v %+v %#v %s %q %s\n", v, v, v, v, v, b)
			log.Info("value", "v", v)
			for err, ok := v.(error); ok && err != nil; err = errors.Unwrap(err) {
				fmt.Fprintf(&out, "%v %+v %#v\n", err, err, err)
			}
		}
	}
	secrets := map[string]bool{"the client's secret": true}
	echo := func(refresh string) map[string]act {
		return map[string]act{
			"granted":   {},
			"dead":      {status: 400, body: `{"error":"invalid_grant","error_description":"` + refresh + `"}`},
			"echoed":    {status: 400, body: `{"error":"` + refresh + `"}`},
			"5xx":       {status: 500, body: refresh},
			"malformed": {status: 200, body: `{"access_token":` + refresh},
			"transport": {fail: func(context.Context) error { return errors.New("wrote " + refresh) }},
			"unsent":    {unsent: errors.New("would have sent " + refresh)},
			"header":    {status: 429, header: http.Header{"Retry-After": {refresh}}},
		}
	}
	for name := range echo("") {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t, nil)
			tok := f.connect("g", "alice", -time.Minute)
			a := echo(tok.RefreshToken)[name]
			f.as.set(func(int) act { return a })
			_, err := f.vault.Reveal(t.Context(), "g", "alice")
			_, err2 := f.vault.TokenSource(t.Context(), "g", "alice").Token()
			_, err3 := f.vault.Reveal(t.Context(), "g", "bob")
			err4 := f.vault.Exchange(t.Context(), "x", "alice", "as", tok.RefreshToken)
			client := &http.Client{Transport: f.vault.Transport("g", "alice", roundTripper(func(r *http.Request) (*http.Response, error) {
				return nil, errors.New(r.Header.Get("Authorization"))
			}))}
			_, err5 := client.Get("https://api.example.com/")
			entries, _ := f.vault.List(t.Context(), "alice")
			err6 := f.vault.Revoke(t.Context(), "g", "alice")
			print(err, err2, err3, err4, err5, err6, entries, f.vault, *f.config.Providers[0], f.config,
				client.Transport, f.vault.TokenSource(t.Context(), "g", "alice"))
			f.events.mu.Lock()
			print(f.events.events)
			f.events.mu.Unlock()
			for s := range maps.Keys(f.as.families) {
				secrets[s] = true
			}
			for s := range maps.Keys(f.as.access) {
				secrets[s] = true
			}
			row := f.row("g")
			fmt.Fprintf(&out, "%+v\n", row)
			require.NoError(t, f.vault.Close(t.Context()))
		})
	}
	require.Greater(t, out.Len(), 1000)
	leaktest.None(t, out.Bytes(), slices.Collect(maps.Keys(secrets))...)
}

func TestEvents_CarrySentinelsOnly(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.connect("g", "alice", -time.Minute)
	f.as.set(once(act{status: 503, body: "{}"}))
	require.Error(t, f.vault.Refresh(t.Context(), "g", "alice"))
	events := f.events.of("refresh")
	require.Len(t, events, 1)
	require.Equal(t, vault.Event{
		Kind: "refresh", ID: "g", Provider: "as", Host: "as.example.com", Generation: 1,
		Duration: events[0].Duration, Err: vault.ErrUnavailable,
	}, events[0])
}

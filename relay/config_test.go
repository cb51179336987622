package relay

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	for want, c := range map[string]Config{
		"Config.Sealer: missing":     {Destinations: []Destination{{Host: host}}},
		"Config.Destinations: none":  {Sealer: keys},
		"Config.MaxBody: negative":   {Sealer: keys, Destinations: []Destination{{Host: host}}, MaxBody: -1},
		"Config.MaxValues: negative": {Sealer: keys, Destinations: []Destination{{Host: host}}, MaxValues: -1},
	} {
		_, err := New(c)
		require.EqualError(t, err, "relay: "+want)
	}
	for want, d := range map[string]Destination{
		`Host: "": `:                  {},
		`Host: "*": `:                 {Host: "*"},
		`Host: "*.com": `:             {Host: "*.com"},
		`Host: "https://a.com": `:     {Host: "https://a.com"},
		`Host: "a.example.com:0": `:   {Host: "a.example.com:0"},
		`Routes[1]: "v1"`:             {Host: host, Routes: []string{"/", "v1"}},
		`Routes[0]: "/{"`:             {Host: host, Routes: []string{"/{"}},
		`Routes[0]: "GET"`:            {Host: host, Routes: []string{"GET"}},
		`Routes[0]: "GET x.com/"`:     {Host: host, Routes: []string{"GET x.com/"}},
		`Routes[0]: ""`:               {Host: host, Routes: []string{""}},
		`Routes[0]: "GE(T /"`:         {Host: host, Routes: []string{"GE(T /"}},
		`Open[1]: place "body"`:       {Host: host, Open: []string{"path", "body"}},
		`Open[0]: place "header:"`:    {Host: host, Open: []string{"header:"}},
		`Open[0]: place "cookie:": w`: {Host: host, Open: []string{"cookie:"}},
		`Open[0]: place "form": want`: {Host: host, Open: []string{"form"}},
		`Open[0]: place "header:a b"`: {Host: host, Open: []string{"header:a b"}},
		`Open[0]: place "header:host`: {Host: host, Open: []string{"header:host"}},
		`Open[0]: place "xml:a"`:      {Host: host, Open: []string{"xml:a"}},
		`Open[0]: place "json:$["`:    {Host: host, Open: []string{"json:$["}},
		`Open[0]: place "json:a"`:     {Host: host, Open: []string{"json:a"}},
		`Seal[1].At: "$["`:            {Host: host, Seal: []Field{{At: "$.a"}, {At: "$["}}},
		`Seal[0].At: ""`:              {Host: host, Seal: []Field{{}}},
		`Seal[0].At: "header:"`:       {Host: host, Seal: []Field{{At: "header:"}}},
		`Seal[0].At: "header:Te"`:     {Host: host, Seal: []Field{{At: "header:Te"}}},
		`Seal[0].Hosts[0]: "*.com"`:   {Host: host, Seal: []Field{{At: "$.a", Hosts: []string{"*.com"}}}},
		`Seal[0].TTL: negative`:       {Host: host, Seal: []Field{{At: "$.a", TTL: -time.Second}}},
		`Require: set without Seal`:   {Host: host, Require: true},
	} {
		_, err := New(Config{Sealer: keys, Destinations: []Destination{{Host: host}, d}})
		require.ErrorContains(t, err, "relay: Config.Destinations[1]."+want)
	}
	relay, err := New(Config{Sealer: keys, Destinations: []Destination{{Host: host}}})
	require.NoError(t, err)
	require.Equal(t, http.DefaultTransport, relay.base)
	require.EqualValues(t, 1<<20, relay.maxBody)
	require.Equal(t, 1000, relay.maxValues)
}

// Everywhere is every place, and the caller's slices are not kept.
func TestEverywhereAndCopies(t *testing.T) {
	t.Parallel()
	open := append([]string(nil), Everywhere...)
	seal := []Field{{At: "$.t", Hosts: []string{"files.example.com"}}}
	r := newRigWith(t, rigConfig{answer: answering(200, "application/json", `{"t":"x"}`), config: Config{Destinations: []Destination{{Host: host, Open: open, Seal: seal}}}})
	for i := range open {
		open[i] = "header:None"
	}
	seal[0].At, seal[0].Hosts[0] = "$.u", "evil.example.net"
	for _, c := range carriers() {
		req := c.fill(t, r.seal(secret))
		before := len(r.requests())
		_, body, err := r.do(req)
		require.NoError(t, err, c.name)
		require.Equal(t, secret, c.decode(t, r.requests()[before]), c.name)
		require.Len(t, sealedIn(body), 1)
		require.Equal(t, "x", r.open(sealedIn(body)[0], "files.example.com", ""))
	}
}

package vault

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// workerEnv makes the test binary a worker; its value is a settings in JSON.
const workerEnv = "TOKENVAULT_E2E_WORKER"

// settings are one process's view of the fleet.
type settings struct {
	Engine    engine
	Addr      string
	Authority string // base URL
	Name      string // of the process's connections
	Keys      json.RawMessage
	Timing    vaulttiming.Timing
	Skew      time.Duration // of this process's clock
	Log       bool          // events, to stderr
}

// command is one line of a worker's input.
type command struct {
	N       int           // answered by the reply with the same number
	Op      string        // reveal, refresh, revoke, reseal, keys, arm, go, close
	ID      string        // the grant
	Callers int           // how many goroutines do it at once; 0: one
	Timeout time.Duration // of each caller
	Keys    json.RawMessage
	Point   string // where to stop the refresh of ID, for arm
}

// result is one line of a worker's output: the reply to a command, or, when N
// is 0, the news that it stands at Point.
type result struct {
	N        int
	Point    string         `json:",omitempty"`
	ID       string         `json:",omitempty"` // whose refresh stands there
	Tokens   map[string]int `json:",omitempty"` // access token: how many callers have it
	Errors   map[string]int `json:",omitempty"` // by name
	Done     int            `json:",omitempty"` // rows resealed
	Messages []string       `json:",omitempty"` // the errors' texts
}

func (s settings) vault(store vault.Store, keys *tokenvault.Keyring, client *http.Client) (*vault.Vault, error) {
	carrier := struct {
		vault.Store
		vaulttiming.Timing
	}{store, s.Timing}
	return vault.New(vault.Config{
		Sealer: keys,
		Store:  carrier,
		Now:    func() time.Time { return time.Now().Add(s.Skew) },
		Observe: func(ctx context.Context, e vault.Event) {
			if s.Log {
				slog.InfoContext(ctx, "event", "event", e)
			}
		},
		Providers: []*vault.Provider{{
			Name: "idp",
			OAuth2: &oauth2.Config{
				ClientID: clientID, ClientSecret: clientSecret,
				Endpoint: oauth2.Endpoint{TokenURL: s.Authority + "/token"},
			},
			RevocationURL: s.Authority + "/revoke",
			Hosts:         []string{"api.example.com"},
			Client:        client,
			InsecureHTTP:  true,
		}},
	})
}

// worker is this process when it is one.
type worker struct {
	vault *vault.Vault
	keys  *tokenvault.Keyring
	stop  *stops
	mu    sync.Mutex
	out   *json.Encoder
}

// runWorker obeys in until it ends.
func runWorker(config string, in io.Reader, out io.Writer) int {
	var s settings
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	w := &worker{out: json.NewEncoder(out)}
	if err := w.open(s); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			return 1
		}
		go w.obey(c)
	}
	return 0
}

func (w *worker) open(s settings) error {
	c, err := connect(s.Engine, s.Addr, s.Name)
	if err != nil {
		return err
	}
	if w.keys, err = tokenvault.ParseKeyring(s.Keys); err != nil {
		return err
	}
	w.stop = &stops{armed: make(map[place]chan struct{}), tell: func(p place) { w.say(result{Point: p.point, ID: p.id}) }}
	w.vault, err = s.vault(&stoppingStore{c, w.stop}, w.keys, &http.Client{Transport: &stoppingTransport{&http.Transport{}, w.stop}})
	return err
}

func (w *worker) say(r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(r)
}

func (w *worker) obey(c command) {
	r := result{}
	switch c.Op {
	case "arm":
		w.stop.arm(place{c.Point, c.ID})
	case "go":
		w.stop.resume(place{c.Point, c.ID})
	case "keys":
		next, err := tokenvault.ParseKeyring(c.Keys)
		r.add("", err)
		if err == nil {
			w.keys.Replace(next)
		}
	case "reseal":
		r.add("", w.vault.Reseal(context.Background(), func(done, total int) {
			w.say(result{Point: "reseal", Done: done})
		}))
	case "close":
		ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
		defer cancel()
		r.add("", w.vault.Close(ctx))
	default:
		r = w.crowd(c)
	}
	r.N = c.N
	w.say(r)
}

// crowd lets c.Callers goroutines do the same at once.
func (w *worker) crowd(c command) result {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var r result
	start := make(chan struct{})
	for range max(c.Callers, 1) {
		wg.Go(func() {
			<-start
			ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
			defer cancel()
			token, err := w.one(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			r.add(token, err)
		})
	}
	close(start)
	wg.Wait()
	return r
}

func (w *worker) one(ctx context.Context, c command) (token string, err error) {
	switch c.Op {
	case "reveal":
		t, err := w.vault.Reveal(ctx, c.ID, owner)
		if err != nil {
			return "", err
		}
		return t.AccessToken, nil
	case "refresh":
		return "", w.vault.Refresh(ctx, c.ID, owner)
	case "revoke":
		return "", w.vault.Revoke(ctx, c.ID, owner)
	}
	return "", fmt.Errorf("unknown op %q", c.Op)
}

func (r *result) add(token string, err error) {
	if err == nil {
		if r.Tokens == nil {
			r.Tokens = make(map[string]int)
		}
		r.Tokens[token]++
		return
	}
	if r.Errors == nil {
		r.Errors = make(map[string]int)
	}
	r.Errors[errorName(err)]++
	r.Messages = append(r.Messages, err.Error())
}

func errorName(err error) string {
	for _, known := range []struct {
		err  error
		name string
	}{
		{tokenvault.ErrUnknownKey, "unknown key"},
		{vault.ErrReauthorize, "ErrReauthorize"},
		{vault.ErrRevokePending, "ErrRevokePending"},
		{vault.ErrUnavailable, "ErrUnavailable"},
		{fs.ErrNotExist, "not exist"},
		{context.DeadlineExceeded, "deadline"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return "other: " + err.Error()
}

// Points where a worker can be told to stop, and wait to be killed or resumed.
const (
	beforeAcquire = "before acquire"
	beforePOST    = "before POST"
	afterPOST     = "after POST" // the answer has been read, the vault has not seen it
	beforeSave    = "before save"
	afterSave     = "after save" // the row is written, the vault does not know it
)

// place is a point in the refresh of one grant.
type place struct{ point, id string }

// stops is where the worker has been told to stop until it is resumed.
type stops struct {
	mu    sync.Mutex
	armed map[place]chan struct{} // closed to resume
	tell  func(place)
}

func (s *stops) arm(p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed[p] = make(chan struct{})
}

func (s *stops) resume(p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.armed[p])
	delete(s.armed, p)
}

// at stops whoever comes to an armed place.
func (s *stops) at(point, id string) {
	p := place{point, id}
	s.mu.Lock()
	gate := s.armed[p]
	s.mu.Unlock()
	if gate != nil {
		s.tell(p)
		<-gate
	}
}

// stoppingStore stops around a row's writes.
type stoppingStore struct {
	vault.Store
	stop *stops
}

func (s *stoppingStore) Swap(ctx context.Context, r vault.Row) (bool, error) {
	before, after := beforeAcquire, ""
	if saves := r.Holder == "" && r.NotBefore.IsZero() && r.State == vault.Active; saves {
		before, after = beforeSave, afterSave
	}
	s.stop.at(before, r.ID)
	ok, err := s.Store.Swap(ctx, r)
	if after != "" && ok && err == nil {
		s.stop.at(after, r.ID)
	}
	return ok, err
}

// stoppingTransport stops around a refresh POST. The form is the transport's to
// read, at the last moment; so whose it is must be known otherwise.
type stoppingTransport struct {
	base http.RoundTripper
	stop *stops
}

func (t *stoppingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/token" {
		return t.base.RoundTrip(r)
	}
	t.stop.at(beforePOST, "")
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if _, rest, ok := strings.Cut(string(body), `"at.`); ok {
		id, _, _ := strings.Cut(rest, ".")
		t.stop.at(afterPOST, id)
	}
	return resp, err
}

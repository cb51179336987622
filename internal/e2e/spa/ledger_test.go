package spa

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
)

// ledger is every token that an authorization server has issued to a client.
type ledger struct {
	mu              sync.Mutex
	access, refresh []string
}

func (l *ledger) add(body []byte) {
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Access == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.access, l.refresh = append(l.access, answer.Access), append(l.refresh, answer.Refresh)
}

func (l *ledger) accessTokens() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.access)
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.access, l.refresh)
}

// recordingTransport enters what the token endpoint answers in a ledger.
type recordingTransport struct {
	base   http.RoundTripper
	ledger *ledger
}

func (t *recordingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(r)
	if err != nil || r.URL.Path != "/token" {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	t.ledger.add(body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

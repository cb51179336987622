package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/seed-6d9a6c17/tokenvault/internal/vaulttiming"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// Config is what New needs. Sealer and Providers are required.
type Config struct {
	// Sealer seals the grants; *tokenvault.Keyring is one.
	Sealer tokenvault.Sealer
	// Store keeps the rows; nil: NewMemoryStore().
	Store Store
	// Providers are the client registrations that grants may belong to.
	Providers []*Provider
	// RefreshBefore is how long before its expiry an access token is renewed
	// behind the request that uses it; default 30 s. An access token is never
	// renewed in the first half of a lifetime the server has stated.
	RefreshBefore time.Duration
	// Now judges the expiry of access tokens and grants; nil: time.Now. Leases
	// go by the store's clock.
	Now func() time.Time
	// Observe is called synchronously, also while no caller waits.
	Observe func(context.Context, Event)
}

// Vault keeps grants. It is safe for concurrent use, and for any number of
// processes on one store.
type Vault struct {
	sealer        tokenvault.Sealer
	store         Store
	providers     map[string]*provider
	client        *http.Client // of providers that bring none
	refreshBefore time.Duration
	now           func() time.Time
	events        func(context.Context, Event)
	timing        vaulttiming.Timing

	root   context.Context // ends what runs behind callers when Close gives up
	cancel context.CancelFunc

	mu      sync.Mutex
	work    sync.WaitGroup // flights, exchanges and rotations being saved; added to under mu
	closed  bool
	flights map[string]*flight
	unsaved map[string]*rotation
}

const defaultRefreshBefore = 30 * time.Second

// New checks c and returns a Vault that uses it. It does no I/O.
func New(c Config) (*Vault, error) {
	switch {
	case c.Sealer == nil:
		return nil, errors.New("vault: Config.Sealer is nil")
	case len(c.Providers) == 0:
		return nil, errors.New("vault: Config.Providers is empty")
	case c.RefreshBefore < 0:
		return nil, errors.New("vault: Config.RefreshBefore is negative")
	}
	v := &Vault{
		sealer: c.Sealer, store: c.Store, refreshBefore: c.RefreshBefore, now: c.Now, events: c.Observe,
		providers: make(map[string]*provider), client: newClient(), timing: vaulttiming.Default(),
		flights: make(map[string]*flight), unsaved: make(map[string]*rotation),
	}
	if v.store == nil {
		v.store = NewMemoryStore()
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.refreshBefore == 0 {
		v.refreshBefore = defaultRefreshBefore
	}
	if own, ok := c.Store.(vaulttiming.Carrier); ok {
		v.timing = own.VaultTiming()
	}
	for i, p := range c.Providers {
		checked, err := p.check(v.client)
		if err != nil {
			return nil, fmt.Errorf("vault: Config.Providers[%d]%w", i, err)
		}
		if v.providers[checked.name] != nil {
			return nil, fmt.Errorf("vault: Config.Providers[%d].Name is that of an earlier provider", i)
		}
		v.providers[checked.name] = checked
	}
	v.root, v.cancel = context.WithCancel(context.Background())
	return v, nil
}

// begin announces work that Close waits for. When it returns nil the caller
// must call v.work.Done.
func (v *Vault) begin() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return unavailable("the vault is closed", 0, errClosed)
	}
	v.work.Add(1)
	return nil
}

// detached returns a context that the end of ctx does not end, but Close may:
// what many wait for must not end with the one who came first.
func (v *Vault) detached(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	stop := context.AfterFunc(v.root, cancel)
	return ctx, func() { stop(); cancel() }
}

// Close refuses further refreshes, waits for those in flight and saves what
// has not been saved. When ctx ends first it gives up: the error wraps ctx's,
// and ErrUnavailable if new tokens are lost, whose number it says. A second
// Close waits again.
func (v *Vault) Close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	idle := make(chan struct{})
	go func() { v.work.Wait(); close(idle) }()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	v.cancel()
	<-idle
	v.client.CloseIdleConnections()
	if lost := v.countUnsaved(); lost > 0 {
		return fmt.Errorf("vault: closed with %d new tokens not saved: %w", lost, errors.Join(ErrUnavailable, err))
	}
	if err != nil {
		return fmt.Errorf("vault: closed before refreshes in flight had ended: %w", err)
	}
	return nil
}

// checkKey judges what becomes a key of the store: PostgreSQL refuses NUL, and
// Row limits the length.
func checkKey(id, owner string) error {
	if id == "" || !validName(id) {
		return errors.New("vault: id: empty, longer than 512 bytes, or not UTF-8 without NUL")
	}
	if !validName(owner) {
		return errors.New("vault: owner: longer than 512 bytes, or not UTF-8 without NUL")
	}
	return nil
}

func validName(s string) bool {
	return len(s) <= 512 && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

package phantom

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-6d9a6c17/tokenvault/clientauth"
	"github.com/seed-6d9a6c17/tokenvault/phantom"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
)

// workerEnv makes the test binary one process of a fleet; its value is a settings
// in JSON.
const workerEnv = "TOKENVAULT_E2E_PHANTOM_WORKER"

type settings struct {
	Endpoint string
	Cert     []byte // of the endpoint, DER
	Redis    string
	Key      []byte
	Callers  int
}

// work exchanges each token it reads, by many callers at once, and says "asking"
// when it has tried for the fleet's lock and how many callers succeeded in the end.
func work(config string, in io.Reader, out io.Writer) error {
	var s settings
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(s.Cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	client := redis.NewClient(&redis.Options{Addr: s.Redis})
	defer client.Close()
	cache := &announcing{Cache: redisstore.NewCache(client), out: out}
	ex, err := phantom.New(phantom.Config{
		Endpoint: s.Endpoint, Auth: clientauth.Basic("gateway", "gateway-secret"),
		Client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
		Cache:  cache, CacheKey: s.Key, Timeout: 30 * time.Second,
	})
	if err != nil {
		return err
	}
	defer ex.Close()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		cache.said = sync.Once{}
		fmt.Fprintf(out, "done %d\n", exchangeAll(ex, lines.Text(), s.Callers))
	}
	return nil
}

func exchangeAll(ex *phantom.Exchanger, token string, callers int) (succeeded int) {
	results := make(chan error, callers)
	for range callers {
		go func() {
			tok, err := ex.Exchange(context.Background(), token)
			if err == nil && tok.JWT() == "" {
				err = phantom.ErrResponse
			}
			results <- err
		}()
	}
	for range callers {
		if <-results == nil {
			succeeded++
		}
	}
	return succeeded
}

// announcing is a Cache that says when it has been asked for the lock.
type announcing struct {
	phantom.Cache
	out  io.Writer
	said sync.Once
}

func (a *announcing) Add(ctx context.Context, key string, value []byte, ttl time.Duration) (bool, error) {
	added, err := a.Cache.Add(ctx, key, value, ttl)
	a.said.Do(func() { fmt.Fprintln(a.out, "asking") })
	return added, err
}

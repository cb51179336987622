package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// Store is a vault.Store. Each grant is one hash, so every read and every swap
// is one script on one key and works on a cluster. Rows go by themselves when
// Row.Expires has passed.
//
// List reads from indexes, one per owner and one of all grants. They live in
// slots of their own, where the row's script cannot reach: an id is indexed
// before its row is first written, and List and DeleteExpired take out entries
// whose row is gone. So a row is never missing from the indexes, and an entry
// without a row is never shown.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	checked atomic.Bool

	// Warn receives what Check finds at the first use. Nil: a warning on
	// slog.Default(). Set it before the first use.
	Warn func(ctx context.Context, err error)
}

// NewStore keeps grants under keys that start with "tv:grant:".
func NewStore(c redis.UniversalClient) *Store {
	return &Store{client: c, prefix: "tv:grant:"}
}

var (
	//go:embed get.lua
	getSource string
	//go:embed swap.lua
	swapSource string

	getScript  = redis.NewScript(getSource)
	swapScript = redis.NewScript(swapSource)
)

// Get returns the row and the server's clock. Absent: fs.ErrNotExist. It reads
// from the key's master even when the client prefers replicas.
func (s *Store) Get(ctx context.Context, id string) (vault.Row, error) {
	s.checkOnce(ctx)
	answer, err := getScript.Run(ctx, s.client, []string{s.rowKey(id)}).StringSlice()
	if err != nil {
		return vault.Row{}, wrap("get", err)
	}
	return decodeRow(id, answer)
}

// Swap writes r if the stored Revision equals r.Revision (0: create), and
// increments it. Not equal: false and no error. An error is Redis's or ctx's,
// wrapped; whether r was written is then not known.
func (s *Store) Swap(ctx context.Context, r vault.Row) (bool, error) {
	s.checkOnce(ctx)
	if err := checkID(r.ID); err != nil {
		return false, err
	}
	// go-redis sends a command again when the connection broke before the
	// answer. The mark lets the script recognise a swap that it has made already.
	mark := rand.Text()
	answer, err := s.swap(ctx, r, mark, false)
	if err != nil {
		return false, err
	}
	if answer != swapIndexFirst {
		return answer == swapDone, nil
	}
	if err := s.index(ctx, r.ID, r.Owner); err != nil {
		return false, err
	}
	answer, err = s.swap(ctx, r, mark, true)
	return answer == swapDone, err
}

// What swap.lua answers.
const (
	swapLost       = 0
	swapDone       = 1
	swapIndexFirst = 2
)

func (s *Store) swap(ctx context.Context, r vault.Row, mark string, indexed bool) (int, error) {
	args := append([]any{
		strconv.FormatInt(r.Revision, 10), r.Owner, mark, expireAt(r.Expires), indexed,
	}, encodeRow(r, mark)...)
	answer, err := swapScript.Run(ctx, s.client, []string{s.rowKey(r.ID)}, args...).Int()
	if err != nil {
		return swapLost, wrap("swap", err)
	}
	return answer, nil
}

func (s *Store) rowKey(id string) string { return s.prefix + "row:" + id }

// expireAt is PEXPIREAT's argument, "" for never.
func expireAt(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Add(time.Millisecond-1).UnixMilli(), 10)
}

var errAbsent = fmt.Errorf("redisstore: no such grant: %w", fs.ErrNotExist)

// wrap names what failed. A Unix socket that is not there is no absent row.
func wrap(what string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New(err.Error())
	}
	return fmt.Errorf("redisstore: %s: %w", what, err)
}

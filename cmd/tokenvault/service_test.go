package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"gocloud.dev/secrets/localsecrets"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// What the test binary is, when it starts itself again.
const (
	serviceVariable = "TOKENVAULT_TEST_SERVICE" // a service, in this directory
	keeperVariable  = "TOKENVAULT_TEST_KEEPER"  // the key service's command line: encrypt or decrypt
)

// Each service writes rows of its own, and reads those of all.
const rowsOfService = 20

// replica is a service that keeps sealing values and opening those of the
// others, until SIGTERM. On SIGHUP it adopts its keyring file, and says in the
// file "adopted" which one it has.
type replica struct {
	dir            string
	number         int
	db             *sql.DB
	ring           *tokenvault.Keyring
	sealed, opened int
	keys           map[string]bool // that opened values were under
}

// service runs a replica in dir and returns its exit code.
func service(dir string) int {
	r := &replica{dir: dir, keys: map[string]bool{}}
	if _, err := fmt.Sscanf(filepath.Base(dir), "service-%d", &r.number); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
	if r.db, err = sql.Open("pgx", os.Getenv("TOKENVAULT_DB")); err == nil {
		err = r.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(dir), "failed:", err)
		return 1
	}
	fmt.Printf("sealed %d opened %d keys %d\n", r.sealed, r.opened, len(r.keys))
	return 0
}

func (r *replica) run() error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	if err := r.adopt(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		return err
	}
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				return os.Remove(filepath.Join(r.dir, "pid"))
			}
			if err := r.adopt(); err != nil {
				return err
			}
		default:
			if err := errors.Join(r.seal(), r.open()); err != nil {
				return err
			}
		}
	}
}

func (r *replica) adopt() error {
	file := filepath.Join(r.dir, "keyring.json")
	next, err := (&keySource{file: file}).load()
	if err != nil {
		return err
	}
	if r.ring == nil {
		r.ring = next
	}
	r.ring.Replace(next)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return writeSecretFile(filepath.Join(r.dir, "adopted"), fmt.Appendf(nil, "%x  -\n", sha256.Sum256(text)), false)
}

// seal writes a new value into a row of this service.
func (r *replica) seal() error {
	id := r.number*rowsOfService + rand.IntN(rowsOfService) + 1
	sealed, err := r.ring.Seal(context.Background(), []byte(plaintextOf(id)), tokenvault.Label{
		Hosts: []string{"api.example.com"}, Subject: ownerOf(id),
	})
	if err == nil {
		r.sealed++
		_, err = r.db.Exec("UPDATE tokens SET token = $1 WHERE id = $2", sealed, id)
	}
	return err
}

// open reads any service's row and opens what it holds.
func (r *replica) open() error {
	id := rand.IntN(3*rowsOfService) + 1
	var sealed string
	if err := r.db.QueryRow("SELECT token FROM tokens WHERE id = $1", id).Scan(&sealed); err != nil {
		return err
	}
	plaintext, _, err := r.ring.Open(context.Background(), sealed, tokenvault.Use{Host: "api.example.com", Subject: ownerOf(id)})
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(plaintext), plaintextOf(id)) {
		return errors.New("another row's plaintext")
	}
	header, err := tokenvault.Inspect(sealed)
	r.keys[header.KeyID] = true
	r.opened++
	return err
}

func plaintextOf(id int) string { return fmt.Sprintf("plaintext-of-%d", id) }
func ownerOf(id int) string     { return fmt.Sprintf("owner-%d", id) }

var keeperKey = [32]byte{1, 2, 3}

// keeper encrypts or decrypts standard input as a key service would.
func keeper(work string) int {
	k := localsecrets.NewKeeper(keeperKey)
	defer func() { _ = k.Close() }()
	do := k.Encrypt
	if work == "decrypt" {
		do = k.Decrypt
	}
	in, err := io.ReadAll(os.Stdin)
	if err == nil {
		in, err = do(context.Background(), in)
	}
	if err == nil {
		_, err = io.Copy(os.Stdout, bytes.NewReader(in))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

package main

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/testserver"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// poolSize values are sealed and stand in the table over and over.
const poolSize = 1000

// pool seals poolSize values under c's first key.
func (c *cli) pool() []string {
	c.Helper()
	ring := c.ring()
	values := make([]string, poolSize)
	for i := range values {
		var err error
		values[i], err = ring.Seal(c.Context(), []byte(pooled(i)), tokenvault.Label{Subject: "owner"})
		require.NoError(c, err)
	}
	return values
}

// pooled is the plaintext of row id until a writer changes it.
func pooled(id int) string { return fmt.Sprintf("pooled-%d", id%poolSize) }

func (c *cli) ring() *tokenvault.Keyring {
	c.Helper()
	ring, err := (&keySource{file: c.keyring}).load()
	require.NoError(c, err)
	return ring
}

// rotate adds a key and lets it seal; it returns the ids of the new and the old.
func (c *cli) rotate() (newer, older string) {
	c.Helper()
	c.ok("", "keyring", "add")
	ids := c.kids()
	newer, older = ids[len(ids)-1], ids[0]
	c.ok("", "keyring", "promote", newer)
	return newer, older
}

// tokens is the table that is resealed.
type tokens struct {
	*sql.DB
	t       *testing.T
	address string // as the command is told
	mark    [2]string
	rows    int
}

func (d *tokens) value(id int) string {
	d.t.Helper()
	var value string
	require.NoError(d.t, d.QueryRow("SELECT token FROM tokens WHERE id = "+d.mark[0], id).Scan(&value))
	return value
}

func (d *tokens) under(id int) string {
	d.t.Helper()
	header, err := tokenvault.Inspect(d.value(id))
	require.NoError(d.t, err)
	return header.KeyID
}

// untouched is the distance of rows that no writer changes: what they show is
// the command's progress.
const untouched = 10

// writer changes rows all over the table, as a service that has adopted the new
// key does, until the returned function is called. That returns the last
// plaintext it wrote to each row.
func (d *tokens) writer(ring *tokenvault.Keyring) func() map[int]string {
	ctx, cancel := context.WithCancel(d.t.Context())
	last, failed := map[int]string{}, make(chan error, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 1; ; n++ {
			id := n*7919%d.rows + 1
			if id%untouched == 0 {
				continue
			}
			plaintext := fmt.Sprintf("written-%d", n)
			sealed, err := ring.Seal(ctx, []byte(plaintext), tokenvault.Label{Subject: "owner"})
			if err == nil {
				_, err = d.Exec("UPDATE tokens SET token = "+d.mark[0]+" WHERE id = "+d.mark[1], sealed, id)
			}
			if err != nil {
				failed <- err
				return
			}
			last[id] = plaintext
			select {
			case <-tick.C:
			case <-ctx.Done():
				failed <- nil
				return
			}
		}
	}()
	return func() map[int]string {
		cancel()
		require.NoError(d.t, <-failed)
		return last
	}
}

// resealThroughKills reseals the table with the real program, killed at an
// eighth and at a third of the way, while a writer changes rows, and looks at
// every row afterwards.
func (d *tokens) resealThroughKills(c *cli, newer, older string) {
	d.t.Helper()
	write := d.writer(c.ring())
	args := []string{"reseal", "--table", "tokens", "--column", "token", "--db", d.address, "--keyring", c.keyring}
	for _, part := range []int{8, 3} {
		at := d.rows / part / untouched * untouched
		require.Equal(d.t, older, d.under(at))
		p := start(d.t, nil, args...)
		until(d.t, "the row is resealed", func() bool { return d.under(at) == newer })
		p.signal(syscall.SIGKILL)
		require.Equal(d.t, -1, p.wait(), "killed")
		require.NotContains(d.t, p.out.String(), "failed", "it did not end by itself")
	}
	began := time.Now()
	p := start(d.t, nil, args...)
	require.Zero(d.t, p.wait(), p.err.String())
	took := time.Since(began)
	last := write()
	var changed, already, failed int
	_, err := fmt.Sscanf(p.out.String(), "%d resealed, %d already were, %d failed\n", &changed, &already, &failed)
	require.NoError(d.t, err, p.out.String())
	require.Equal(d.t, d.rows, changed+already)
	require.GreaterOrEqual(d.t, already, d.rows/3, "what the killed runs did is kept")
	require.Positive(d.t, changed)
	require.Zero(d.t, failed)
	d.t.Logf("last run: %d rows in %v, %.0f rows/s (%d resealed); a writer changed %d rows meanwhile",
		d.rows, took.Round(time.Millisecond), float64(d.rows)/took.Seconds(), changed, len(last))
	d.verify(c, older, last)
}

// verify opens every row without the old key, and compares what the writer
// wrote and a sample of what it did not.
func (d *tokens) verify(c *cli, older string, last map[int]string) {
	d.t.Helper()
	c.ok("", "keyring", "drop", older)
	p := start(d.t, nil, "reseal", "--dry-run", "--table", "tokens", "--column", "token", "--db", d.address, "--keyring", c.keyring)
	require.Zero(d.t, p.wait(), p.err.String())
	require.Equal(d.t, fmt.Sprintf("0 would be resealed, %d already were, 0 failed\n", d.rows), p.out.String(), "every row opens under the new key")
	require.NotEmpty(d.t, last)
	for id := 1; id <= d.rows; id += 997 {
		if _, written := last[id]; !written {
			last[id] = pooled(id)
		}
	}
	ring := c.ring()
	for id, want := range last {
		plaintext, label, err := ring.Open(d.t.Context(), d.value(id), tokenvault.Use{Subject: "owner"})
		require.NoError(d.t, err, id)
		require.Equal(d.t, want, string(plaintext), id)
		require.Equal(d.t, "owner", label.Subject)
	}
}

// fill makes a SQLite table of these values over and over.
func (c *cli) fill(rows int, values []string) *tokens {
	c.Helper()
	file := filepath.Join(c.dir, "app.db")
	d := &tokens{t: c.T, address: "sqlite:" + file, mark: [2]string{"?", "?"}, rows: rows}
	fill := exec.Command(filepath.Join(built(c), "filltable"), file, fmt.Sprint(rows))
	fill.Stdin = strings.NewReader(strings.Join(values, "\n"))
	out, err := fill.CombinedOutput()
	require.NoError(c, err, string(out))
	d.DB, err = sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(30000)")
	require.NoError(c, err)
	c.Cleanup(func() { _ = d.Close() })
	return d
}

func TestResealMillionRowsOfSQLite(t *testing.T) {
	c := newCLI(t)
	d := c.fill(1_000_000, c.pool())
	newer, older := c.rotate()
	d.resealThroughKills(c, newer, older)
}

func TestResealHundredThousandRowsOfPostgreSQL(t *testing.T) {
	c := newCLI(t)
	server := testserver.Postgres(t)
	d := &tokens{t: t, address: server.DSN(), mark: [2]string{"$1", "$2"}, rows: 100_000}
	var err error
	d.DB, err = sql.Open("pgx", server.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	_, err = d.Exec("CREATE TABLE tokens (id BIGINT PRIMARY KEY, token TEXT NOT NULL)")
	require.NoError(t, err)
	_, err = d.Exec(`INSERT INTO tokens SELECT i, ($1::text[])[i % $2 + 1] FROM generate_series(1, $3::int) i`, c.pool(), poolSize, d.rows)
	require.NoError(t, err)
	newer, older := c.rotate()
	d.resealThroughKills(c, newer, older)
}

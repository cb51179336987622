package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
)

// A plaintext column is sealed where it stands: nothing by a dry run, whole
// batches before an interruption, the rest afterwards.
func TestSealColumnInterruptedAndResumed(t *testing.T) {
	c := newCLI(t)
	plaintexts := make([]string, poolSize)
	for i := range plaintexts {
		plaintexts[i] = pooled(i)
	}
	d := c.fill(40_000, plaintexts)
	args := []string{"seal", "--table", "tokens", "--column", "token", "--subject-column", "owner", "--host", "api.example.com", "--db", d.address, "--keyring", c.keyring}
	p := start(t, nil, append(args, "--dry-run")...)
	require.Zero(t, p.wait(), p.err.String())
	require.Equal(t, "40000 would be sealed, 0 already were, 0 failed\n", p.out.String())
	require.Equal(t, pooled(1), d.value(1), "a dry run changes nothing")

	p = start(t, nil, args...)
	until(t, "the row is sealed", func() bool { return strings.HasPrefix(d.value(5000), tokenvault.Prefix) })
	p.signal(syscall.SIGINT)
	require.Equal(t, exitInterrupted, p.wait())
	require.Contains(t, p.err.String(), "interrupted: run the same command again")
	var sealed, already, failed int
	_, err := fmt.Sscanf(p.out.String(), "%d sealed, %d already were, %d failed", &sealed, &already, &failed)
	require.NoError(t, err, p.out.String())
	require.Zero(t, sealed%batchRows, "whole batches")
	require.GreaterOrEqual(t, sealed, 5000)
	require.Less(t, sealed, d.rows, "it was interrupted on the way")
	p = start(t, nil, args...)
	require.Zero(t, p.wait(), p.err.String())
	require.Equal(t, fmt.Sprintf("%d sealed, %d already were, 0 failed\n", d.rows-sealed, sealed), p.out.String())
	ring := c.ring()
	for id := 1; id <= d.rows; id += 53 {
		use := tokenvault.Use{Host: "api.example.com", Subject: fmt.Sprintf("owner-%d", id%7)}
		plaintext, label, err := ring.Open(t.Context(), d.value(id), use)
		require.NoError(t, err, id)
		require.Equal(t, pooled(id), string(plaintext))
		require.Equal(t, use.Subject, label.Subject)
	}
}

// smallTable makes a table of its own and returns its database and the flags.
func (c *cli) smallTable(statements string) (*sql.DB, []string) {
	c.Helper()
	file := filepath.Join(c.dir, "small.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(30000)")
	require.NoError(c, err)
	c.Cleanup(func() { _ = db.Close() })
	_, err = db.Exec(statements)
	require.NoError(c, err)
	return db, []string{"--table", "small", "--column", "token", "--db", "sqlite:" + file}
}

func column(t *testing.T, db *sql.DB) (values []string) {
	t.Helper()
	rows, err := db.Query("SELECT COALESCE(token, '(null)') FROM small ORDER BY rowid")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v string
		require.NoError(t, rows.Scan(&v))
		values = append(values, v)
	}
	require.NoError(t, rows.Err())
	return values
}

// What cannot be sealed is counted and left; the other rows are sealed.
func TestSealColumnLeavesWhatIsNoPlaintext(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	db, flags := c.smallTable(`CREATE TABLE small (id INTEGER PRIMARY KEY, owner TEXT, token TEXT);
		INSERT INTO small VALUES (1, 'a', 'plaintext-one'), (2, 'a', NULL), (3, 'a', ''),
			(4, 'a', 'tv1.not-sealed'), (5, NULL, 'plaintext-two'), (6, '', 'plaintext-three'), (7, 'b', 'plaintext-four')`)
	code, out, errOut := c.run("", append([]string{"seal", "--subject-column", "owner"}, flags...)...)
	require.Equal(t, 1, code)
	require.Equal(t, "2 sealed, 2 already were, 3 failed\n", out)
	require.Equal(t, "tokenvault: row 4: it begins like a sealed value and is none\n", errOut)
	values := column(t, db)
	require.Equal(t, []string{"(null)", "", "tv1.not-sealed", "plaintext-two", "plaintext-three"}, values[1:6])
	for i, owner := range map[int]string{0: "a", 6: "b"} {
		_, label, err := c.ring().Open(t.Context(), values[i], tokenvault.Use{Subject: owner})
		require.NoError(t, err)
		require.Equal(t, owner, label.Subject)
	}
	leaktest.None(t, []byte(out+errOut), "plaintext-one", "plaintext-two")
}

func TestColumnKeyMustBeUnique(t *testing.T) {
	t.Parallel()
	for rule, keys := range map[string]string{"twice": "(1, 'one'), (1, 'two')", "none": "(1, 'one'), (NULL, 'two')"} {
		c := newCLI(t)
		db, flags := c.smallTable("CREATE TABLE small (id INTEGER, token TEXT); INSERT INTO small VALUES " + keys)
		code, out, errOut := c.run("", append([]string{"seal"}, flags...)...)
		require.Equal(t, 1, code, rule)
		require.Contains(t, out, "0 sealed", rule)
		require.Contains(t, errOut, "does not tell all rows apart", rule)
		require.Equal(t, []string{"one", "two"}, column(t, db), rule)
	}
}

// A row that changes between being read and being written is read again: its
// new value is what is sealed, for its new owner.
func TestSealColumnReadsAChangedRowAgain(t *testing.T) {
	t.Parallel()
	for rule, change := range map[string]string{
		"another value": "UPDATE small SET token = 'newer'",
		"another owner": "UPDATE small SET owner = 'b'",
		"both":          "UPDATE small SET token = 'newer', owner = 'b'",
		"gone":          "DELETE FROM small",
	} {
		c := newCLI(t)
		db, flags := c.smallTable("CREATE TABLE small (id INTEGER PRIMARY KEY, owner TEXT, token TEXT); INSERT INTO small VALUES (1, 'a', 'older')")
		f := &columnFlags{db: flags[5], table: "small", column: "token", key: "id", subjectColumn: "owner"}
		var out bytes.Buffer
		require.NoError(t, f.seal(t.Context(), &terminal{strings.NewReader(""), &out, &out}, &meddler{c.ring(), func() {
			_, err := db.Exec(change)
			require.NoError(t, err)
		}}, tokenvault.Label{}), rule)
		var want, owner string
		if err := db.QueryRow("SELECT owner, token FROM small").Scan(&owner, &want); rule == "gone" {
			require.ErrorIs(t, err, sql.ErrNoRows)
			continue
		}
		plaintext, _, err := c.ring().Open(t.Context(), want, tokenvault.Use{Subject: owner})
		require.NoError(t, err, rule)
		require.Equal(t, map[bool]string{true: "newer", false: "older"}[strings.Contains(change, "newer")], string(plaintext), rule)
	}
}

// meddler changes the table after the first value has been sealed.
type meddler struct {
	tokenvault.Sealer
	meddle func()
}

func (m *meddler) Seal(ctx context.Context, plaintext []byte, l tokenvault.Label) (string, error) {
	if m.meddle != nil {
		m.meddle()
		m.meddle = nil
	}
	return m.Sealer.Seal(ctx, plaintext, l)
}

package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/internal/leaktest"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// TestNoPlaintext looks for every token that the authority has issued in the
// real files of each database (tables, write-ahead log, AOF, dump, the server's
// log at its most talkative), in what the processes print, and in their errors.
func TestNoPlaintext(t *testing.T) {
	t.Parallel()
	for _, e := range []engine{postgreSQL, onRedis, sqlite} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, e, short)
			require.NoError(t, l.store.talkative(t.Context()))
			planted := l.plant(t)
			said := l.exercise(t)
			require.NoError(t, l.store.flush(t.Context()))

			files := l.database.files(t)
			for form, secret := range planted {
				require.NotEmpty(t, leaktest.Find(files, secret), "the scan of the files finds what was planted %s", form)
			}
			secrets := append(l.authority.issued(), clientSecret)
			for _, secret := range secrets {
				require.Empty(t, leaktest.Find(files, secret), "in the database's files")
			}
			leaktest.None(t, said, secrets...)
			t.Logf("%d secrets in %d KB of files and %d bytes of output", len(secrets), len(files)>>10, len(said))
		})
	}
}

// plant writes secrets into the database as a vault would that sealed nothing.
func (l *lab) plant(t *testing.T) map[string]string {
	t.Helper()
	planted := map[string]string{"raw": "planted " + rand.Text(), "in base64": "planted " + rand.Text()}
	for form, blob := range map[string]string{
		"raw":       planted["raw"],
		"in base64": base64.StdEncoding.EncodeToString([]byte("x" + planted["in base64"])),
	} {
		ok, err := l.store.Swap(t.Context(), vault.Row{ID: form, Owner: "planter", State: vault.Active, Blob: blob})
		require.NoError(t, err)
		require.True(t, ok)
	}
	return planted
}

// exercise lets grants go through what can happen to them, and returns what the
// processes printed and what their errors say.
func (l *lab) exercise(t *testing.T) []byte {
	t.Helper()
	p := l.spawn(t, func(s *settings) { s.Log = true })
	var said bytes.Buffer
	tell := func(r result) {
		for _, m := range r.Messages {
			fmt.Fprintln(&said, m)
		}
	}
	for id, script := range map[string][]behaviour{
		"fresh": nil, "limited": {tooManyRequests}, "broken": {internalError}, "reset": {rotateAndReset}, "revoked": nil,
	} {
		l.put(t, id, script...)
		tell(p.reveal(id))
		tell(p.do(command{Op: "refresh", ID: id}))
		tell(p.do(command{Op: "refresh", ID: id + " that is not there"}))
	}
	tell(p.do(command{Op: "revoke", ID: "revoked"}))
	tell(p.reveal("revoked"))
	other, err := l.vault.Reveal(t.Context(), "fresh", "mallory")
	require.Error(t, err)
	require.Nil(t, other)
	fmt.Fprintf(&said, "%v %+v %#v", err, err, err)
	p.kill()
	require.NotEmpty(t, p.stderr.Bytes(), "the worker logs its events")
	said.Write(p.stderr.Bytes())
	return said.Bytes()
}

// talkative makes the server log all it can.
func (c *connection) talkative(ctx context.Context) error {
	switch {
	case c.redis != nil:
		return c.redis.ConfigSet(ctx, "loglevel", "debug").Err()
	case c.engine == postgreSQL:
		for _, setting := range []string{"log_statement = 'all'", "log_parameter_max_length = -1", "log_min_messages = debug1"} {
			if _, err := c.db.ExecContext(ctx, "ALTER SYSTEM SET "+setting); err != nil {
				return err
			}
		}
		_, err := c.db.ExecContext(ctx, "SELECT pg_reload_conf()")
		return err
	}
	return nil
}

// flush brings what is in memory into files.
func (c *connection) flush(ctx context.Context) error {
	switch {
	case c.redis != nil:
		return c.redis.Save(ctx).Err()
	case c.engine == postgreSQL:
		_, err := c.db.ExecContext(ctx, "CHECKPOINT")
		return err
	}
	return nil
}

// files is everything in the database's directory that is not of the server's
// own making.
func (d *database) files(t *testing.T) []byte {
	t.Helper()
	dir := filepath.Dir(d.addr)
	if d.Server != nil {
		dir = d.Dir
	}
	var all bytes.Buffer
	seen := make(map[string]bool)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.Contains(path, "/base/1/") || strings.Contains(path, "/base/4/") {
			return err // PostgreSQL's template databases
		}
		text, err := os.ReadFile(path)
		if err == nil {
			all.Write(bytes.ReplaceAll(text, []byte{0}, nil)) // most of a new file is zeros
			seen[kindOf(path)] = true
		}
		return err
	}))
	for _, kind := range map[engine][]string{
		postgreSQL: {"pg_wal", "base", "log"},
		onRedis:    {"appendonlydir", "dump.rdb", "redis.log"},
		sqlite:     {"grants.db", "grants.db-wal"},
	}[d.engine] {
		require.True(t, seen[kind], "%s was scanned", kind)
	}
	return all.Bytes()
}

// kindOf is the name by which files looks for a file: its own or that of a
// directory above.
func kindOf(path string) string {
	for _, dir := range []string{"pg_wal", "base", "log", "appendonlydir"} {
		if strings.Contains(path, "/"+dir+"/") {
			return dir
		}
	}
	return filepath.Base(path)
}

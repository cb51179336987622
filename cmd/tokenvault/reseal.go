package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/redisstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func newReseal(t *terminal, keys *keySource) *cobra.Command {
	var column columnFlags
	var store string
	cmd := &cobra.Command{
		Use: "reseal", Short: "Seal anew, under the first key, what is sealed under others", Args: noArguments,
		Long: `Seal anew, under the keyring's first key, what is sealed under another one.
Labels and expiry stay as they are, and so does what is under that key already:
after an interruption the same command goes on.

Without flags the lines of standard input go to standard output with every
sealed value in them resealed. With --column it is a column of a database's
table. With --store it is the grants of a vault, in SQLite, PostgreSQL
(sqlite:FILE, postgres://…) or Redis (redis://…); refreshes may run meanwhile.`,
		Example: `  tokenvault reseal < values.txt > resealed.txt
  tokenvault reseal --db sqlite:app.db --table tokens --column token
  tokenvault reseal --store redis://127.0.0.1:6379/0`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if store != "" && column.column != "" {
				return &usageError{"tokenvault reseal", "--store and --column exclude each other"}
			}
			if err := column.check("reseal", true); err != nil {
				return err
			}
			ring, err := keys.load()
			if err != nil {
				return err
			}
			switch {
			case store != "":
				return resealStore(cmd.Context(), t, ring, store, column.dryRun)
			case column.column != "":
				return column.reseal(cmd.Context(), t, ring)
			}
			return resealLines(cmd.Context(), t, ring, column.dryRun)
		},
	}
	column.register(cmd)
	cmd.Flags().StringVar(&store, "store", "", `a vault's store; with a password in it, set TOKENVAULT_DB and give "env"`)
	return cmd
}

func (f *columnFlags) reseal(ctx context.Context, term *terminal, ring tokenvault.Sealer) error {
	t, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	sum, err := t.work(ctx, term, "resealing", func(ctx context.Context, r row) (string, error) {
		if r.value == "" {
			return "", nil
		}
		resealed, changed, err := ring.Reseal(ctx, r.value)
		if err != nil || !changed {
			return "", err
		}
		return resealed, nil
	})
	return f.report(term, "resealed", sum, err)
}

// resealLines copies lines with their sealed values resealed. A value that does
// not open ends it, before anything of its line is written.
func resealLines(ctx context.Context, t *terminal, ring tokenvault.Sealer, dryRun bool) error {
	out := bufio.NewWriter(t.out)
	if dryRun {
		out = bufio.NewWriter(io.Discard)
	}
	var sum outcome
	lines := bufio.NewReaderSize(t.in, 1<<16)
	for number := 1; ; number++ {
		line, err := interruptible(ctx, func() (string, error) { return lines.ReadString('\n') })
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), out.Flush())
		}
		if line != "" {
			resealed, lineErr := resealLine(ctx, ring, line, &sum)
			if lineErr != nil {
				return errors.Join(fmt.Errorf("line %d: %w", number, lineErr), out.Flush())
			}
			if _, err := out.WriteString(resealed); err != nil {
				return plain(err)
			}
		}
		if errors.Is(err, io.EOF) {
			if dryRun {
				fmt.Fprintf(t.out, "%d would be resealed, %d already were\n", sum.changed, sum.already)
				return nil
			}
			return out.Flush()
		}
		if err != nil {
			return plain(err)
		}
	}
}

// resealLine reseals every value in line.
func resealLine(ctx context.Context, ring tokenvault.Sealer, line string, sum *outcome) (string, error) {
	var out strings.Builder
	for {
		start, end := tokenvault.Find([]byte(line))
		if start < 0 || end < 0 {
			out.WriteString(line)
			return out.String(), nil
		}
		resealed, changed, err := ring.Reseal(ctx, line[start:end])
		if err != nil {
			return "", err
		}
		if changed {
			sum.changed++
		} else {
			sum.already++
		}
		out.WriteString(line[:start])
		out.WriteString(resealed)
		line = line[end:]
	}
}

// silence is go-redis's log: what it has to say is in the errors, too.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// openStore returns the vault's store at address, and how to close it.
func openStore(ctx context.Context, t *terminal, address string) (vault.Store, func() error, error) {
	if address == "env" {
		address = os.Getenv("TOKENVAULT_DB")
	} else if _, err := databaseAddress(address); err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(address, "redis://") || strings.HasPrefix(address, "rediss://") {
		options, err := redis.ParseURL(address)
		if err != nil {
			return nil, nil, errors.New("the address of Redis is malformed")
		}
		client := redis.NewClient(options)
		if err := client.Ping(ctx).Err(); err != nil {
			_ = client.Close()
			return nil, nil, unreachable(ctx, err)
		}
		store := redisstore.NewStore(client)
		store.Warn = func(_ context.Context, err error) { fmt.Fprintf(t.err, "note: %s\n", oneLine(err)) }
		return store, client.Close, nil
	}
	db, err := openDatabase(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	return sqlstore.NewStore(db.DB, db.dialect), db.Close, nil
}

// resealStore reseals the rows of a vault's store by compare and swap: a row
// that is refreshed meanwhile is read again, and neither its generation nor its
// lease is touched.
func resealStore(ctx context.Context, t *terminal, ring tokenvault.Sealer, address string, dryRun bool) error {
	store, closeStore, err := openStore(ctx, t, address)
	if err != nil {
		return err
	}
	defer func() { _ = closeStore() }()
	p := t.progress("resealing", -1)
	defer p.end()
	var sum outcome
	var first error
	for after := ""; ; {
		rows, err := store.List(ctx, "", after, batchRows)
		if err != nil {
			return storeError(ctx, err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			if err := resealRow(ctx, store, ring, r, dryRun, &sum); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				sum.failed++
				if first == nil {
					first = fmt.Errorf("grant %q: %w", r.ID, err)
				}
			}
		}
		p.add(int64(len(rows)))
		after = rows[len(rows)-1].ID
	}
	done := "resealed"
	if dryRun {
		done = "would be resealed"
	}
	fmt.Fprintf(t.out, "%d %s, %d already were, %d failed\n", sum.changed, done, sum.already, sum.failed)
	return first
}

func storeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errDatabase) {
		return err
	}
	return errors.New("the store cannot be read")
}

func resealRow(ctx context.Context, store vault.Store, ring tokenvault.Sealer, r vault.Row, dryRun bool, sum *outcome) error {
	for {
		if r.Blob == "" {
			sum.already++
			return nil
		}
		blob, changed, err := ring.Reseal(ctx, r.Blob)
		if err != nil {
			return err
		}
		if !changed {
			sum.already++
			return nil
		}
		if dryRun {
			sum.changed++
			return nil
		}
		r.Blob = blob
		ok, err := store.Swap(ctx, r)
		if err != nil {
			return storeError(ctx, err)
		}
		if ok {
			sum.changed++
			return nil
		}
		if r, err = store.Get(ctx, r.ID); errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		} else if err != nil {
			return storeError(ctx, err)
		}
	}
}

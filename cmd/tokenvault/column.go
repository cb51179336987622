package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault"
	"github.com/spf13/cobra"
)

// columnFlags name a column of sealed, or to be sealed, values.
type columnFlags struct {
	db, table, column, key, subjectColumn string
	dryRun                                bool
}

func (f *columnFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.column, "column", "", "column that holds the values")
	cmd.Flags().StringVar(&f.table, "table", "", "its table")
	cmd.Flags().StringVar(&f.key, "key", "id", "its unique key column")
	cmd.Flags().StringVar(&f.db, "db", "", databaseHelp)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, change nothing")
}

// check refuses flags that say nothing without the others.
func (f *columnFlags) check(command string, dryRunFits bool) error {
	problem := ""
	switch {
	case f.column != "" && f.table == "":
		problem = "--table is missing"
	case f.column == "" && (f.table != "" || f.db != "" || f.subjectColumn != ""):
		problem = "--column is missing"
	case f.dryRun && !dryRunFits:
		problem = "--dry-run needs --column"
	}
	if problem == "" {
		return nil
	}
	return &usageError{"tokenvault " + command, problem}
}

// batchRows are read, and their changes committed, at once.
const batchRows = 1000

// table is a column being worked through in the order of its key, batch by
// batch. Nothing of the way is remembered between runs: a row that is done says
// so itself.
type table struct {
	db                     *database
	name, column, key, sub string // quoted
	dryRun                 bool
}

func (f *columnFlags) open(ctx context.Context) (*table, error) {
	t := &table{dryRun: f.dryRun}
	for _, n := range []struct {
		to   *string
		name string
	}{{&t.name, f.table}, {&t.column, f.column}, {&t.key, f.key}, {&t.sub, f.subjectColumn}} {
		if n.name == "" {
			continue
		}
		var err error
		if *n.to, err = quoteName(n.name); err != nil {
			return nil, err
		}
	}
	address, err := databaseAddress(f.db)
	if err != nil {
		return nil, err
	}
	t.db, err = openDatabase(ctx, address)
	return t, err
}

// row is one value of the column.
type row struct {
	key     any
	value   string
	subject string
}

// outcome counts what became of the rows.
type outcome struct{ changed, already, failed int64 }

// change returns a row's new value; "" when it is to stay.
type change func(ctx context.Context, r row) (string, error)

// work applies change to every row. A row that fails is counted and left; the
// others go on.
func (t *table) work(ctx context.Context, term *terminal, what string, apply change) (outcome, error) {
	total, err := t.count(ctx)
	if err != nil {
		return outcome{}, err
	}
	p := term.progress(what, total)
	defer p.end()
	var sum outcome
	var first error
	for after := any(nil); ; {
		rows, err := t.batch(ctx, after)
		if err != nil || len(rows) == 0 {
			return sum, errors.Join(err, first)
		}
		got, err := t.batchWork(ctx, rows, apply)
		sum.changed, sum.already, sum.failed = sum.changed+got.changed, sum.already+got.already, sum.failed+got.failed
		var bad *rowError
		if errors.As(err, &bad) {
			if first == nil {
				first = bad
			}
		} else if err != nil {
			return sum, err
		}
		p.add(int64(len(rows)))
		after = rows[len(rows)-1].key
	}
}

// count returns the number of rows. The key must tell all of them apart, or the
// way from batch to batch would leave some out without a word.
func (t *table) count(ctx context.Context) (int64, error) {
	var total, keys int64
	query := fmt.Sprintf("SELECT COUNT(*), COUNT(DISTINCT %s) FROM %s", t.key, t.name)
	if err := t.db.QueryRowContext(ctx, query).Scan(&total, &keys); err != nil {
		return 0, t.failed(ctx, "read the table", err)
	}
	if total != keys {
		return 0, errors.New("the key column does not tell all rows apart: name a unique one with --key")
	}
	return total, nil
}

// rowError says that values could not be changed, and why the first could not.
type rowError struct {
	key any
	err error
}

func (e *rowError) Error() string { return fmt.Sprintf("row %v: %v", e.key, e.err) }
func (e *rowError) Unwrap() error { return e.err }

// subject is the expression of whose a row is.
func (t *table) subject() string {
	if t.sub == "" {
		return "''"
	}
	return "COALESCE(CAST(" + t.sub + " AS TEXT), '')"
}

func (t *table) batch(ctx context.Context, after any) ([]row, error) {
	query, args := fmt.Sprintf("SELECT %s, COALESCE(%s, ''), %s FROM %s", t.key, t.column, t.subject(), t.name), []any{}
	if after != nil {
		query, args = query+" WHERE "+t.key+" > "+t.db.mark(1), append(args, after)
	}
	result, err := t.db.QueryContext(ctx, fmt.Sprintf("%s ORDER BY %s LIMIT %d", query, t.key, batchRows), args...)
	if err != nil {
		return nil, t.failed(ctx, "read the table", err)
	}
	defer func() { _ = result.Close() }()
	var rows []row
	for result.Next() {
		var r row
		if err := result.Scan(&r.key, &r.value, &r.subject); err != nil {
			return nil, t.failed(ctx, "read the table", err)
		}
		rows = append(rows, r)
	}
	if err := result.Err(); err != nil {
		return nil, t.failed(ctx, "read the table", err)
	}
	return rows, nil
}

// batchWork changes a batch in one transaction. It ends its batch even when ctx
// does, so that an interruption leaves whole batches.
func (t *table) batchWork(ctx context.Context, rows []row, apply change) (outcome, error) {
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	ctx = context.WithoutCancel(ctx)
	var sum outcome
	var failed error
	type update struct {
		row
		to string
	}
	var updates []update
	for _, r := range rows {
		to, err := apply(ctx, r)
		switch {
		case err != nil:
			sum.failed++
			if failed == nil {
				failed = &rowError{r.key, err}
			}
		case to == "":
			sum.already++
		default:
			updates = append(updates, update{r, to})
		}
	}
	sum.changed = int64(len(updates))
	if t.dryRun || len(updates) == 0 {
		return sum, failed
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return outcome{}, t.failed(ctx, "write the table", err)
	}
	defer func() { _ = tx.Rollback() }()
	statement, err := tx.PrepareContext(ctx, t.updateStatement())
	if err != nil {
		return outcome{}, t.failed(ctx, "write the table", err)
	}
	for _, u := range updates {
		if err := t.swap(ctx, tx, statement, u.row, u.to, apply); err != nil {
			return outcome{}, t.failed(ctx, "write the table", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return outcome{}, t.failed(ctx, "write the table", err)
	}
	return sum, failed
}

// updateStatement writes a value only over the one it was made from, and while
// the row is still the same owner's.
func (t *table) updateStatement() string {
	return fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s = %s AND %s = %s AND %s = %s",
		t.name, t.column, t.db.mark(1), t.key, t.db.mark(2), t.column, t.db.mark(3), t.subject(), t.db.mark(4))
}

// swap writes to over r's value. A row that a writer has changed meanwhile is
// read again and changed from what it is now; one that is gone is left alone.
func (t *table) swap(ctx context.Context, tx *sql.Tx, statement *sql.Stmt, r row, to string, apply change) error {
	for {
		result, err := statement.ExecContext(ctx, to, r.key, r.value, r.subject)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		query := fmt.Sprintf("SELECT COALESCE(%s, ''), %s FROM %s WHERE %s = %s", t.column, t.subject(), t.name, t.key, t.db.mark(1))
		if err := tx.QueryRowContext(ctx, query, r.key).Scan(&r.value, &r.subject); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			return err
		}
		if to, err = apply(ctx, r); err != nil || to == "" {
			return nil // counted as changed: it is as good as that, or the next run says why
		}
	}
}

// failed keeps a driver's words, which may quote a value, out of the message.
func (t *table) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if text := err.Error(); strings.Contains(text, "no such") || strings.Contains(text, "does not exist") {
		return fmt.Errorf("cannot %s: no such table or column", what)
	}
	return fmt.Errorf("cannot %s", what)
}

func (t *table) close() { _ = t.db.Close() }

// seal seals the plaintext values of the column.
func (f *columnFlags) seal(ctx context.Context, term *terminal, ring tokenvault.Sealer, l tokenvault.Label) error {
	t, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	sum, err := t.work(ctx, term, "sealing", func(ctx context.Context, r row) (string, error) {
		if r.value == "" {
			return "", nil
		}
		if _, err := tokenvault.Inspect(r.value); err == nil {
			return "", nil
		}
		if strings.HasPrefix(r.value, tokenvault.Prefix) {
			return "", errors.New("it begins like a sealed value and is none")
		}
		own := l
		if t.sub != "" {
			if own.Subject = r.subject; own.Subject == "" {
				return "", errors.New("the row is nobody's: its subject column is empty")
			}
		}
		return ring.Seal(ctx, []byte(r.value), own)
	})
	return f.report(term, "sealed", sum, err)
}

func (f *columnFlags) report(term *terminal, done string, sum outcome, err error) error {
	if f.dryRun {
		done = "would be " + done
	}
	fmt.Fprintf(term.out, "%d %s, %d already were, %d failed\n", sum.changed, done, sum.already, sum.failed)
	return err
}

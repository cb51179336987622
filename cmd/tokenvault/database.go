package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver
	_ "modernc.org/sqlite"             // database/sql driver

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/sqlstore"
)

const databaseHelp = `the database: "sqlite:FILE" or "postgres://HOST/NAME"; with a password in it, set TOKENVAULT_DB instead`

// database is an open SQL database.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
	mark    func(n int) string // the nth parameter of a statement
}

// databaseAddress takes the flag, or else the environment.
func databaseAddress(flag string) (string, error) {
	if flag == "" {
		flag = os.Getenv("TOKENVAULT_DB")
		if flag == "" {
			return "", errors.New("no database: give --db, or set TOKENVAULT_DB")
		}
		return flag, nil
	}
	if u, err := url.Parse(flag); err == nil && (hasPassword(u) || u.Query().Has("password")) || strings.Contains(flag, "password=") {
		return "", errPasswordArgument
	}
	return flag, nil
}

var errPasswordArgument = errors.New("an argument with a password can be read by others: set TOKENVAULT_DB instead")

func hasPassword(u *url.URL) bool {
	_, set := u.User.Password()
	return set
}

var (
	errDatabase = errors.New("the database cannot be reached")
	errLogin    = errors.New("the database refuses the login")
)

// openDatabase connects, so that a wrong address is found before anything else.
func openDatabase(ctx context.Context, address string) (*database, error) {
	d := &database{mark: func(int) string { return "?" }, dialect: sqlstore.SQLite}
	var err error
	file, isFile := strings.CutPrefix(address, "sqlite:")
	switch {
	case isFile:
		if _, err := os.Stat(file); err != nil {
			return nil, plain(err)
		}
		// The journal mode is the application's to choose, and stays as it is.
		query := url.Values{"_pragma": {"busy_timeout(10000)"}, "_txlock": {"immediate"}}
		path := (&url.URL{Path: file}).EscapedPath()
		d.DB, err = sql.Open("sqlite", "file:"+path+"?"+query.Encode())
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		d.dialect = sqlstore.PostgreSQL
		d.mark = func(n int) string { return fmt.Sprintf("$%d", n) }
		d.DB, err = sql.Open("pgx", address)
	default:
		return nil, errors.New(`the database's address must begin with "sqlite:" or "postgres://"`)
	}
	if err != nil {
		return nil, errDatabase // a driver's error may quote the address
	}
	if err := d.PingContext(ctx); err != nil {
		_ = d.Close()
		return nil, unreachable(ctx, err)
	}
	return d, nil
}

// unreachable says why there is no connection, without a driver's words.
func unreachable(ctx context.Context, err error) error {
	var refused *pgconn.PgError
	switch text := err.Error(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28"), // invalid authorization
		strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOAUTH"):
		return errLogin
	case strings.Contains(text, "not a database"):
		return errors.New("the file is no SQLite database")
	}
	return errDatabase
}

// quoteName makes a table's or column's name safe in a statement; "schema.table"
// is two names.
func quoteName(name string) (string, error) {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if p == "" || len(parts) > 2 || strings.ContainsAny(p, "\"\x00") {
			return "", fmt.Errorf("%q is not a name of a table or column", name)
		}
		parts[i] = `"` + p + `"`
	}
	return strings.Join(parts, "."), nil
}

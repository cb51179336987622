// Command filltable makes a SQLite database for a test: a table "tokens" of as
// many rows as wanted, for seven owners, whose values are the lines of standard input
// over and over. Sealing a million values one by one would be the test's whole time.
//
//	filltable FILE ROWS < values
package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"strconv"

	_ "modernc.org/sqlite" // database/sql driver
)

func main() {
	if err := fill(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "filltable:", err)
		os.Exit(1)
	}
}

func fill(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: filltable FILE ROWS")
	}
	rows, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+args[0]+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the pool is a temporary table of one connection
	if _, err := db.Exec("CREATE TABLE tokens (id INTEGER PRIMARY KEY, owner TEXT, token TEXT); CREATE TEMP TABLE pool (id INTEGER PRIMARY KEY, token TEXT NOT NULL)"); err != nil {
		return err
	}
	n := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); n++ {
		if _, err := db.Exec("INSERT INTO pool VALUES (?, ?)", n, lines.Text()); err != nil {
			return err
		}
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO tokens SELECT i, 'owner-' || (i % 7), token FROM n JOIN pool ON pool.id = i % ?`, rows, n)
	return err
}

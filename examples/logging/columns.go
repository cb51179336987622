package main

import (
	"fmt"
	"io"
	"strings"
)

const column = 62

// sideBySide prints two texts in two columns, line beside line.
func sideBySide(out io.Writer, title, before, after string) {
	fmt.Fprintf(out, "%s\n%-*s | %s\n%s-+-%s\n", title, column, "before", "after", strings.Repeat("-", column), strings.Repeat("-", column))
	left, right := lines(before), lines(after)
	for i := range max(len(left), len(right)) {
		a, b := wrap(at(left, i)), wrap(at(right, i))
		for j := range max(len(a), len(b)) {
			fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-*s | %s", column, at(a, j), at(b, j)), " "))
		}
	}
	fmt.Fprintln(out)
}

func lines(s string) []string {
	return strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// wrap breaks a line to the width of a column.
func wrap(s string) []string {
	var out []string
	for len(s) > column {
		out, s = append(out, s[:column]), s[column:]
	}
	return append(out, s)
}

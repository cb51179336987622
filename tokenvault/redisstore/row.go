package redisstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

// schema is the version of a row's fields. A build reads its own and the one
// before, and refuses newer rows rather than dropping what it does not know.
const schema = 1

// encodeRow lists the hash's fields and values after the swap. An empty value
// is an unset time.
func encodeRow(r vault.Row, mark string) []any {
	return []any{
		"schema", schema,
		"mark", mark,
		"owner", r.Owner,
		"revision", strconv.FormatInt(r.Revision+1, 10),
		"generation", strconv.FormatInt(r.Generation, 10),
		"state", string(r.State),
		"blob", r.Blob,
		"access_expires", formatTime(r.AccessExpires),
		"expires", formatTime(r.Expires),
		"not_before", formatTime(r.NotBefore),
		"holder", r.Holder,
		"lease_until", formatTime(r.LeaseUntil),
		"intent", formatTime(r.Intent),
	}
}

// decodeRow reads get.lua's answer.
func decodeRow(id string, answer []string) (vault.Row, error) {
	if len(answer) == 1 {
		return vault.Row{}, errAbsent
	}
	if len(answer)%2 == 0 {
		return vault.Row{}, errors.New("redisstore: odd answer of the get script")
	}
	f := fields{values: make(map[string]string, len(answer)/2)}
	f.values["now"] = answer[0]
	for i := 1; i < len(answer); i += 2 {
		f.values[answer[i]] = answer[i+1]
	}
	if v := f.int("schema"); v > schema {
		return vault.Row{}, fmt.Errorf("redisstore: grant has schema %d, newer than this build's %d", v, schema)
	}
	r := vault.Row{
		ID:            id,
		Owner:         f.values["owner"],
		Revision:      f.int("revision"),
		Generation:    f.int("generation"),
		State:         vault.State(f.values["state"]),
		Blob:          f.values["blob"],
		AccessExpires: f.time("access_expires"),
		Expires:       f.time("expires"),
		NotBefore:     f.time("not_before"),
		Holder:        f.values["holder"],
		LeaseUntil:    f.time("lease_until"),
		Intent:        f.time("intent"),
		Now:           f.time("now"),
	}
	return r, f.err
}

// fields are a hash's values and the first that did not parse.
type fields struct {
	values map[string]string
	err    error
}

func (f *fields) int(name string) int64 {
	n, err := strconv.ParseInt(f.values[name], 10, 64)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("redisstore: field %q of the grant is not a number", name)
	}
	return n
}

func (f *fields) time(name string) time.Time {
	if f.values[name] == "" {
		return time.Time{}
	}
	return time.UnixMicro(f.int(name)).UTC()
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// checkID refuses the byte that ends an id in the indexes.
func checkID(id string) error {
	if id == "" || strings.IndexByte(id, 0) >= 0 {
		return errors.New("redisstore: a grant's id must not be empty or hold a NUL byte")
	}
	return nil
}

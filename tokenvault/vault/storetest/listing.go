package storetest

import (
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func (s *suite) wantIDs(rows []vault.Row, want ...string) {
	s.Helper()
	got := make([]string, len(rows))
	for i, r := range rows {
		got[i] = r.ID
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		s.Fatalf("List returned %q; want %q", got, want)
	}
}

func listOrder(s *suite) {
	for _, id := range []string{"b", "a", "Z", "ä", "aa", "_", "10", "9", "a b"} {
		s.swap(bare(id, "o"), true)
	}
	s.wantIDs(s.list("o", "", 100), "10", "9", "Z", "_", "a", "a b", "aa", "b", "ä")
	s.wantIDs(s.list("", "_", 100), "a", "a b", "aa", "b", "ä")
}

func listPages(s *suite) {
	const total = 23
	for n := range total {
		s.swap(bare(string(rune('a'+n)), "o"), true)
	}
	for _, limit := range []int{1, 5, 22, 23, 24} {
		for _, owner := range []string{"o", ""} {
			var ids []string
			after := ""
			for {
				rows := s.list(owner, after, limit)
				if len(rows) > limit {
					s.Fatalf("List returned %d rows; limit %d", len(rows), limit)
				}
				for _, r := range rows {
					ids = append(ids, r.ID)
				}
				if len(rows) < limit {
					break
				}
				after = rows[len(rows)-1].ID
			}
			if strings.Join(ids, "") != "abcdefghijklmnopqrstuvw" {
				s.Fatalf("pages of %d: %q", limit, ids)
			}
		}
	}
	s.wantIDs(s.list("o", "not an id, after m", 2), "o", "p")
}

func listOwner(s *suite) {
	for _, id := range []string{"1", "2", "3", "4"} {
		s.swap(bare(id, map[bool]string{true: "even", false: "odd"}[id == "2" || id == "4"]), true)
	}
	s.wantIDs(s.list("even", "", 10), "2", "4")
	s.wantIDs(s.list("odd", "1", 10), "3")
	s.wantIDs(s.list("EVEN", "", 10))
	s.wantIDs(s.list("", "", 10), "1", "2", "3", "4")
	r := s.get("2")
	r.Owner = "odd"
	s.swap(r, true)
	s.wantIDs(s.list("even", "", 10), "4")
	s.wantIDs(s.list("odd", "", 10), "1", "2", "3")
}

func listRows(s *suite) {
	want := full("a")
	s.swap(want, true)
	s.swap(bare("b", want.Owner), true)
	rows := s.list(want.Owner, "", 10)
	s.wantIDs(rows, "a", "b")
	want.Revision = 1
	s.wantRow(rows[0], want)
	if before := s.get("a").Now; rows[0].Now.IsZero() || rows[1].Now.After(before) {
		s.Fatalf("Row.Now of a listed row is %v, of a row read after it %v", rows[1].Now, before)
	}
}

func listNothing(s *suite) {
	s.wantIDs(s.list("", "", 10))
	s.swap(bare("a", "o"), true)
	s.wantIDs(s.list("o", "a", 10))
	s.wantIDs(s.list("nobody", "", 10))
}

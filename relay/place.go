package relay

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
	"github.com/seed-6d9a6c17/tokenvault/internal/wire"
)

// Everywhere lists every place, for Destination.Open. A user who can put text
// into a request can then have any sealed value that is labelled for the host,
// and for the user, opened in it - and read it back if the host shows it.
var Everywhere = []string{"header:*", "cookie:*", "query:*", "path", "form:*", "json:$..*", "multipart:*"}

const everyJSON = "$..*"

// names is a set of names, or all names.
type names struct {
	all bool
	set map[string]bool
}

func (n *names) add(name string) {
	if name == "*" {
		n.all = true
		return
	}
	if n.set == nil {
		n.set = make(map[string]bool)
	}
	n.set[name] = true
}

func (n *names) has(name string) bool { return n.all || n.set[name] }
func (n *names) any() bool            { return n.all || len(n.set) > 0 }

// places says where a destination opens sealed values.
type places struct {
	header, cookie, query, form, multipart names
	path                                   bool
	json                                   *jsonedit.Editor // nil: nowhere
	jsonPaths                              []string
	jsonAll                                bool // every string value, at any depth
}

// body reports whether anything in a body is opened.
func (p *places) body() bool {
	return p.json != nil || p.form.any() || p.multipart.any()
}

// framing are the header fields that delimit and route the message. A value
// that only the wire should know has no business there.
var framing = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true,
	"Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Upgrade": true, "Expect": true, "Content-Type": true,
	"Content-Encoding": true, "Accept-Encoding": true, "Range": true, "If-Range": true,
}

func parsePlaces(open []string, maxBody int64) (*places, error) {
	p := new(places)
	if len(open) == 0 {
		open = []string{"header:Authorization"}
	}
	for i, s := range open {
		if err := p.parse(s); err != nil {
			return nil, element("Open", i, err)
		}
	}
	if len(p.jsonPaths) == 0 {
		return p, nil
	}
	if p.jsonAll {
		p.jsonPaths = []string{everyJSON}
	}
	e, err := jsonedit.Compile(p.jsonPaths...)
	if err != nil {
		return nil, in("Open", err)
	}
	p.json = e.Limit(maxBody)
	return p, nil
}

func (p *places) parse(s string) error {
	if s == "path" {
		p.path = true
		return nil
	}
	kind, name, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return fmt.Errorf("place %q: want kind:name or path", s)
	}
	switch kind {
	case "header":
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name != "*" && !httpguts.ValidHeaderFieldName(name) || framing[name] {
			return fmt.Errorf("place %q: no header field that can hold a credential", s)
		}
		p.header.add(name)
	case "cookie":
		p.cookie.add(name)
	case "query":
		p.query.add(name)
	case "form":
		p.form.add(name)
	case "multipart":
		p.multipart.add(name)
	case "json":
		if _, err := jsonedit.Compile(name); err != nil {
			return fmt.Errorf("place %q: %w", s, err)
		}
		p.jsonAll = p.jsonAll || name == everyJSON
		p.jsonPaths = append(p.jsonPaths, name)
	default:
		return fmt.Errorf("place %q: %w", s, errKind)
	}
	return nil
}

var errKind = errors.New("kind is none of header, cookie, query, path, form, json, multipart")

// holds reports whether a complete sealed value stands anywhere in s.
func holds(s string) bool {
	if !strings.Contains(s, wire.Prefix) {
		return false
	}
	return holdsBytes([]byte(s))
}

func holdsBytes(b []byte) bool {
	start, end := wire.Find(b)
	return start >= 0 && end > 0
}

// candidate reports whether s, as a whole, is meant to be a sealed value. A
// damaged one is one too: where values open it must be refused, not sent. Words
// after the prefix are a sentence about something else.
func candidate(s string) bool {
	if !strings.HasPrefix(s, wire.Prefix) {
		return false
	}
	for _, space := range [...]byte{' ', '\t', '\r', '\n'} { // strings.ContainsAny takes ten times as long
		if strings.IndexByte(s, space) >= 0 {
			return false
		}
	}
	return true
}

// shown is the name of a parameter as an error may quote it: names that could
// themselves be a secret, or break a log line, are left out.
func shown(kind, name string) string {
	if len(name) == 0 || len(name) > 40 || holds(name) {
		return kind
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("_-.[]", rune(c)) {
			return kind
		}
	}
	return kind + ":" + name
}

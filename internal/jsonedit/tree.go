package jsonedit

import (
	"strconv"
)

// node is one value of a buffered JSON text that has passed the scanner.
type node struct {
	start, end int    // its bytes in the text
	kind       byte   // first byte: { [ " t f n, or 0 for a number
	name       string // of an object's member
	kids       []node // of an array or object, duplicates included
	last       any    // decoded; of duplicate names the last counts
	first      any    // decoded; of duplicate names the first counts
}

// treeParser reads text, which is one valid JSON value with white space around.
type treeParser struct {
	text []byte
	pos  int
	root node
	dup  bool // some object has a name twice: first and last differ
	open int  // arrays and objects around pos
	deep int  // the most of them
}

func parseTree(text []byte) *treeParser {
	p := &treeParser{text: text}
	p.root = p.value()
	return p
}

func (p *treeParser) value() node {
	p.space()
	n := node{start: p.pos, kind: p.text[p.pos]}
	switch n.kind {
	case '{', '[':
		p.open++
		p.deep = max(p.deep, p.open)
		if n.kind == '{' {
			p.object(&n)
		} else {
			p.array(&n)
		}
		p.open--
	case '"':
		n.last = p.str()
	case 't':
		p.pos, n.last = p.pos+4, true
	case 'f':
		p.pos, n.last = p.pos+5, false
	case 'n':
		p.pos += 4
	default:
		n.kind = 0
		n.last = p.number()
	}
	n.end = p.pos
	if n.kind != '{' && n.kind != '[' {
		n.first = n.last
	}
	return n
}

func (p *treeParser) object(n *node) {
	first, last := map[string]any{}, map[string]any{}
	for p.pos++; p.space() != '}'; p.comma() {
		name := p.str()
		p.space()
		p.pos++ // colon
		kid := p.value()
		kid.name = name
		n.kids = append(n.kids, kid)
		last[name] = kid.last
		if _, dup := first[name]; dup {
			p.dup = true
		} else {
			first[name] = kid.first
		}
	}
	p.pos++
	n.first, n.last = first, last
}

func (p *treeParser) array(n *node) {
	first, last := []any{}, []any{}
	for p.pos++; p.space() != ']'; p.comma() {
		kid := p.value()
		n.kids = append(n.kids, kid)
		first, last = append(first, kid.first), append(last, kid.last)
	}
	p.pos++
	n.first, n.last = first, last
}

func (p *treeParser) comma() {
	if p.space() == ',' {
		p.pos++
	}
}

func (p *treeParser) space() byte {
	for {
		switch c := p.text[p.pos]; c {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return c
		}
	}
}

func (p *treeParser) str() string {
	start := p.pos + 1
	for p.pos++; p.text[p.pos] != '"'; p.pos++ {
		if p.text[p.pos] == '\\' {
			p.pos++
		}
	}
	body := p.text[start:p.pos]
	p.pos++
	text, _ := unescape(make([]byte, 0, len(body)), body)
	return string(text)
}

// number decodes as encoding/json does; one out of range becomes an infinity,
// which still compares as RFC 9535 wants.
func (p *treeParser) number() float64 {
	start := p.pos
	for p.pos < len(p.text) && isNumberByte(p.text[p.pos]) {
		p.pos++
	}
	f, _ := strconv.ParseFloat(string(p.text[start:p.pos]), 64)
	return f
}

func isNumberByte(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

package jsonedit

import "fmt"

// walker edits one buffered value that holds candidates of filters, or an
// array whose length counts.
type walker struct {
	*scanner
	raw    []byte
	tree   *treeParser
	done   int // how much of raw is in out
	edited bool
}

// maxFilterDepth bounds what a filter with a descendant segment is asked to
// walk: the time it takes grows with a power of the depth.
const maxFilterDepth = 256

// walk appends raw to out if something in it is edited.
func (s *scanner) walk(raw []byte, set *set) (edited bool, err error) {
	w := walker{scanner: s, raw: raw, tree: parseTree(raw)}
	if s.m.prog.descend && w.tree.deep > maxFilterDepth {
		return false, fmt.Errorf("%w: nested deeper than %d", errFilter, maxFilterDepth)
	}
	if err := w.visit(&w.tree.root, set); err != nil {
		return false, err
	}
	if w.edited {
		s.out = append(s.out, raw[w.done:]...)
	}
	return w.edited, nil
}

func (w *walker) visit(n *node, c *set) error {
	in, err := w.m.resolve(c, n, &w.tree.root, w.tree.dup)
	switch {
	case err != nil:
		return err
	case in.accept >= 0:
		return w.edit(n, in.accept)
	case in.dead:
		return nil
	}
	for i := range n.kids {
		kid := &n.kids[i]
		var to *set
		if n.kind == '{' {
			to = w.m.member(in, []byte(kid.name))
		} else {
			to = w.m.element(in, i, len(n.kids))
		}
		if err := w.visit(kid, to); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) edit(n *node, path int) error {
	edited, err := w.replace(Value{Raw: w.raw[n.start:n.end], Path: path}, w.raw[w.done:n.start])
	if edited {
		w.done, w.edited = n.end, true
	}
	return err
}

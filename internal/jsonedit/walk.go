package jsonedit

// walker edits one buffered value that holds candidates of filters, or an
// array whose length counts.
type walker struct {
	*scanner
	raw    []byte
	root   node
	dup    bool // some object has a name twice
	done   int  // how much of raw is in out
	edited bool
}

// walk appends raw, edited, to out.
func (s *scanner) walk(raw []byte, set *set) (edited bool, err error) {
	w := walker{scanner: s, raw: raw}
	w.root, w.dup = parseTree(raw)
	mark := len(s.out)
	if err := w.visit(&w.root, set); err != nil {
		return false, err
	}
	if !w.edited {
		s.out = s.out[:mark]
		return false, nil
	}
	s.out = append(s.out, raw[w.done:]...)
	return true, nil
}

func (w *walker) visit(n *node, c *set) error {
	in, err := w.m.resolve(c, n, &w.root, w.dup)
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
	mark := len(w.out)
	w.out = append(w.out, w.raw[w.done:n.start]...)
	edited, err := w.replace(Value{Raw: w.raw[n.start:n.end], Path: path})
	if err != nil {
		return err
	}
	if edited {
		w.done, w.edited = n.end, true
	} else {
		w.out = w.out[:mark]
	}
	return nil
}

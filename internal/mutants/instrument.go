package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// A mutant is one change to a file.
type mutant struct {
	id             int
	file, function string
	line           int
	old, new       string
	killed         bool
}

// key names a mutant whatever line it stands in, as a table's cell can hold it.
func (m *mutant) key() string {
	old := strings.ReplaceAll(strings.Join(strings.Fields(m.old), " "), "|", "¦")
	return fmt.Sprintf("%s: %s -> %s", m.function, old, m.new)
}

func (m *mutant) String() string { return fmt.Sprintf("%s:%d `%s`", m.file, m.line, m.key()) }

// A writer puts the mutants of one file into its text.
type writer struct {
	file, function string
	fset           *token.FileSet
	src            []byte
	next           func(*mutant) // numbers a mutant
	done           map[ast.Expr]bool
	inserts        []insert
}

// An insert of text. Inserts nest like what they enclose: an inner one opens
// after and closes before the outer one.
type insert struct {
	at, order int
	text      string
}

// instrument returns src with its mutants in it, each behind mutantOn(id).
func instrument(file string, src []byte, next func(*mutant)) ([]byte, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	w := &writer{file: file, fset: fset, src: src, next: next, done: map[ast.Expr]bool{}}
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			w.function = f.Name.Name
			ast.Inspect(f.Body, w.node)
		}
	}
	slices.SortStableFunc(w.inserts, func(a, b insert) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
	var out []byte
	last := 0
	for _, i := range w.inserts {
		out = append(append(out, src[last:i.at]...), i.text...)
		last = i.at
	}
	return append(out, src[last:]...), nil
}

func (w *writer) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		w.statements(n.List)
	case *ast.CaseClause:
		w.statements(n.Body)
	case *ast.CommClause:
		w.statements(n.Body)
	case *ast.IfStmt:
		w.condition(n.Cond)
	case *ast.ForStmt:
		w.done[n.Cond] = true // forced, it makes loops without end
		w.operands(n.Cond)
	case *ast.SwitchStmt:
		for _, s := range n.Body.List {
			for _, value := range s.(*ast.CaseClause).List {
				if n.Tag == nil {
					w.condition(value)
				}
			}
		}
	case *ast.BinaryExpr:
		switch n.Op {
		case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
			w.condition(n)
		}
	case *ast.GenDecl:
		return n.Tok != token.CONST
	}
	return true
}

// statements leaves out each call and assignment that stands alone.
func (w *writer) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if id, ok := s.Lhs[0].(*ast.Ident); s.Tok == token.DEFINE || ok && id.Name == "_" {
				continue
			}
		case *ast.ExprStmt:
			if strings.HasPrefix(w.text(s), "panic(") { // reached by a mistake of ours only
				continue
			}
		case *ast.IncDecStmt, *ast.DeferStmt:
		default:
			continue
		}
		w.wrap(s, "if !mutantOn(%d) { ", " }", "left out")
	}
}

// condition forces e both ways, and drops its operands.
func (w *writer) condition(e ast.Expr) {
	if w.done[e] {
		return
	}
	w.done[e] = true
	w.force(e, false)
	w.force(e, true)
	w.operands(e)
}

// operands drops each operand of && and || in turn, and moves bounds.
func (w *writer) operands(e ast.Expr) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		w.done[e.X] = true
		w.operands(e.X)
	case *ast.UnaryExpr:
		w.done[e.X] = true
		w.operands(e.X)
	case *ast.BinaryExpr:
		w.bound(e)
		if e.Op != token.LAND && e.Op != token.LOR {
			return
		}
		for _, operand := range []ast.Expr{e.X, e.Y} {
			w.done[operand] = true
			if inner, ok := operand.(*ast.BinaryExpr); !ok || inner.Op != e.Op {
				w.force(operand, e.Op == token.LAND)
			}
			w.operands(operand)
		}
	}
}

// force makes e constant. It is still computed: what it does is still done.
func (w *writer) force(e ast.Expr, to bool) {
	if to {
		w.wrap(e, "(", " || mutantOn(%d))", "true")
	} else {
		w.wrap(e, "((", ") && !mutantOn(%d))", "false")
	}
}

// bound moves a limit by one: < becomes <=, <= becomes <.
func (w *writer) bound(e *ast.BinaryExpr) {
	x, y := w.text(e.X), w.text(e.Y)
	switch e.Op {
	case token.LSS, token.GTR:
		w.wrap(e, "(", " || mutantOn(%d) && "+x+" == "+y+")", e.Op.String()+"=")
	case token.LEQ, token.GEQ:
		w.wrap(e, "(", " && !(mutantOn(%d) && "+x+" == "+y+"))", strings.TrimSuffix(e.Op.String(), "="))
	}
}

// wrap writes before and after around n, one of them with the number of a new
// mutant that turns n into to.
func (w *writer) wrap(n ast.Node, before, after, to string) {
	m := &mutant{file: w.file, function: w.function, line: w.fset.Position(n.Pos()).Line, old: w.text(n), new: to}
	w.next(m)
	number := func(s string) string { return strings.ReplaceAll(s, "%d", fmt.Sprint(m.id)) }
	w.inserts = append(w.inserts,
		insert{w.fset.Position(n.Pos()).Offset, m.id, number(before)},
		insert{w.fset.Position(n.End()).Offset, -m.id, number(after)})
}

func (w *writer) text(n ast.Node) string {
	return string(w.src[w.fset.Position(n.Pos()).Offset:w.fset.Position(n.End()).Offset])
}

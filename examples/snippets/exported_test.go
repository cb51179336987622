package snippets

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// packages are those that others import.
var packages = []string{
	"tokenvault", "tokenvault/vault", "tokenvault/vault/storetest", "tokenvault/spa", "tokenvault/redisstore", "tokenvault/sqlstore",
	"relay", "jwks", "jwks/jwkstest", "phantom", "phantom/phantomtest", "redact", "clientauth",
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	t.Parallel()
	for _, dir := range packages {
		p, _ := documented(t, dir)
		require.NotEmpty(t, p.Doc, dir)
		functions := p.Funcs
		for _, kind := range p.Types {
			require.NotEmpty(t, kind.Doc, "%s.%s", dir, kind.Name)
			functions = append(append(functions, kind.Funcs...), kind.Methods...)
			values(t, dir, kind.Consts, kind.Vars)
		}
		for _, f := range functions {
			require.NotEmpty(t, f.Doc, "%s.%s.%s", dir, f.Recv, f.Name)
		}
		values(t, dir, p.Consts, p.Vars)
	}
}

// values wants a comment at each constant and variable, or one for its group.
func values(t *testing.T, dir string, groups ...[]*doc.Value) {
	t.Helper()
	for _, group := range groups {
		for _, v := range group {
			for _, spec := range v.Decl.Specs {
				s, ok := spec.(*ast.ValueSpec)
				require.True(t, ok)
				require.NotEmpty(t, v.Doc+s.Doc.Text()+s.Comment.Text(), "%s.%s", dir, s.Names[0])
			}
		}
	}
}

// A constructor is a function that makes one of the package's types.
func TestEveryConstructorHasACheckedExample(t *testing.T) {
	t.Parallel()
	found := 0
	for _, dir := range packages {
		p, checked := documented(t, dir)
		for _, kind := range p.Types {
			for _, f := range kind.Funcs {
				if f.Name == "FromContext" || f.Name == "Inspect" { // what they return was made before
					continue
				}
				require.True(t, checked[f.Name], "%s.%s", dir, f.Name)
				found++
			}
		}
	}
	require.Greater(t, found, 20)
}

// documented reads a package as go doc does, and which of its examples have an
// output to be checked.
func documented(t *testing.T, dir string) (*doc.Package, map[string]bool) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	require.NoError(t, err)
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(set, files, dir)
	require.NoError(t, err)
	checked := map[string]bool{}
	for _, e := range doc.Examples(files...) {
		checked[e.Name] = e.Output != "" || e.EmptyOutput
	}
	return p, checked
}

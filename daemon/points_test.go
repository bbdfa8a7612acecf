package daemon_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hookPoints returns the name of every point at which engine, store and shim call their Hook, read from the
// source, in its order: a new point is killed at without anybody having to remember it here. Those of a migration are left out: only
// a store of an older schema passes them, and the store's own TestKillMigrate kills at each.
func hookPoints(t testing.TB) []string {
	t.Helper()
	var points []string
	dirs := []string{"engine", "store"}
	if hasShell {
		dirs = append(dirs, "shim")
	}
	for _, dir := range dirs {
		points = append(points, pointsIn(t, dir)...)
	}
	seen := map[string]bool{}
	points = slices.DeleteFunc(points, func(p string) bool {
		twice := seen[p]
		seen[p] = true
		return twice || strings.HasPrefix(p, "migrate.")
	})
	if len(points) < 15 {
		t.Fatalf("only %d hook points found in the source: %v", len(points), points)
	}
	return points
}

func pointsIn(t testing.TB, dir string) []string {
	t.Helper()
	files := parseDir(t, dir)
	constants := map[string]string{}
	for _, f := range files {
		collectConstants(f, constants)
	}
	var points []string
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Name.Name == "hook" {
				return false // it passes on what its callers name
			}
			if arg := hookArgument(n); arg != nil {
				points = append(points, constant(t, arg, constants))
			}
			return true
		})
	}
	return points
}

func parseDir(t testing.TB, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// hookArgument returns x of a call something.Hook(x) or something.hook(x), else nil.
func hookArgument(n ast.Node) ast.Expr {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return nil
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || !strings.EqualFold(sel.Sel.Name, "Hook") {
		return nil
	}
	return call.Args[0]
}

// constant returns the string that arg stands for: the test fails on anything but a literal or a constant.
func constant(t testing.TB, arg ast.Expr, constants map[string]string) string {
	t.Helper()
	switch arg := arg.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(arg.Value); err == nil {
			return s
		}
	case *ast.Ident:
		if s, ok := constants[arg.Name]; ok {
			return s
		}
	}
	t.Fatalf("Hook called with %#v: not a constant", arg)
	return ""
}

// collectConstants notes the string constants of a file by name.
func collectConstants(f *ast.File, into map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i >= len(spec.Values) {
				break
			}
			if lit, ok := spec.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					into[name.Name] = s
				}
			}
		}
		return true
	})
}

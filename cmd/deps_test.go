package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The structure of the house, held by tests: who may import whom, on every platform, and what each package has
// to say of itself. ARCHITECTURE.md, section 3, has the reasons.

// listed is what `go list` says of a package.
type listed struct {
	ImportPath, Dir, Name             string
	GoFiles, IgnoredGoFiles, CgoFiles []string
	Imports, Deps                     []string
}

// platforms are those that we build for and whose import graphs differ.
var platforms = []string{"linux", "darwin", "windows"}

var cached sync.Map

// packages lists every package of the module and all that they reach, on one platform.
func packages(t *testing.T, goos string) map[string]listed {
	t.Helper()
	load, _ := cached.LoadOrStore(goos, sync.OnceValues(func() (map[string]listed, error) { return list(goos) }))
	all, err := load.(func() (map[string]listed, error))()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func list(goos string) (map[string]listed, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Name,GoFiles,IgnoredGoFiles,Imports,Deps,CgoFiles", "durable/...")
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New(stderr.String())
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[p.ImportPath] = p
	}
}

func (p listed) ours() bool { return p.ImportPath == "durable" || within(p.ImportPath, "durable") }

// within reports whether path is tree or below it; with "=" in front of tree, whether it is exactly that.
func within(path, tree string) bool {
	if exact, ok := strings.CutPrefix(tree, "="); ok {
		return path == exact
	}
	return path == tree || strings.HasPrefix(path, strings.TrimSuffix(tree, "/")+"/")
}

func withinAny(path string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool { return within(path, tree) })
}

const (
	sdk    = "github.com/modelcontextprotocol/go-sdk"
	bolt   = "go.etcd.io/bbolt"
	sqlite = "modernc.org"
	sql    = "=database/sql" // not database/sql/driver: google/uuid has interfaces of it
	ml     = "github.com/gomlx"
	pgx    = "github.com/jackc"
	pq     = "github.com/parquet-go"
)

// TestForbidden: what must not be reached, over however many steps.
func TestForbidden(t *testing.T) {
	heavy := []string{bolt, sqlite, sql, ml, pgx, pq}
	rules := []struct {
		from      string // a package and all below it
		forbidden []string
		why       string
	}{
		{"durable/ipc", []string{sdk, bolt, sqlite, sql, ml, pgx, pq, "durable/daemon", "durable/stdioproxy", "durable/install", "durable/cmd"},
			"the processes share the vocabulary, not each other"},
		{"durable/daemon", []string{"durable/stdioproxy", "durable/install", "durable/cmd", sdk}, "daemon and proxy never import each other"},
		{"durable/stdioproxy", append([]string{"durable/daemon", "durable/cmd"}, heavy...), "daemon and proxy never import each other"},
		{"durable/cmd/durable-mcp", append([]string{"durable/daemon", "durable/install", "github.com/kardianos", "github.com/coreos", "github.com/spf13", "github.com/prometheus", "github.com/pelletier"}, heavy...),
			"hosts start it all the time: it stays small"},
		{"durable/cmd/durablectl", append([]string{"durable/daemon/store", "durable/daemon/engine"}, heavy...), "it talks to the daemon over the socket"},
		{"durable/cmd/durable-shim", append([]string{"net/http", "durable/ipc", "github.com", sdk}, heavy...), "one per running command: standard library and x/sys only"},
	}
	for _, goos := range platforms {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			all := packages(t, goos)
			for _, p := range all {
				for _, r := range rules {
					if !within(p.ImportPath, r.from) {
						continue
					}
					for _, dep := range p.Deps {
						if withinAny(dep, r.forbidden) {
							t.Errorf("%s reaches %s by %s: %s", p.ImportPath, dep, strings.Join(way(all, p.ImportPath, dep), " -> "), r.why)
						}
					}
				}
			}
		})
	}
}

// way returns the shortest chain of imports.
func way(all map[string]listed, from, to string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range all[queue[0]].Imports {
			if _, seen := before[next]; seen {
				continue
			}
			before[next] = queue[0]
			if next == to {
				var chain []string
				for at := to; at != ""; at = before[at] {
					chain = append([]string{at}, chain...)
				}
				return chain
			}
			queue = append(queue, next)
		}
	}
	return nil
}

// TestOnlyImporters: who may import directly what only one place may know.
func TestOnlyImporters(t *testing.T) {
	rules := []struct {
		what string
		by   []string
	}{
		{sdk, []string{"durable/stdioproxy/mcpserver", "durable/cmd/durable-mcp", "durable/cmd/durablectl/internal"}},
		{bolt, []string{"durable/daemon/store"}},
		{sqlite, []string{"durable/daemon/job"}},
		{sql, []string{"durable/daemon/job"}},
		{ml, []string{"durable/daemon/job/training"}},
		{pgx, []string{"durable/daemon/job/migration"}},
		{pq, []string{"durable/daemon/job/migration"}},
		{"github.com/spf13/cobra", []string{"durable/cmd"}},
		{"github.com/prometheus", []string{"durable/daemon"}},
		{"github.com/kardianos", []string{"durable/install", "durable/cmd/durabled"}},
		{"github.com/coreos/go-systemd", []string{"durable/daemon", "durable/cmd/durabled"}},
		{"github.com/Microsoft/go-winio", []string{"durable/ipc/socket"}},
		{"durable/daemon/store", []string{"durable/daemon", "durable/daemon/engine", "durable/daemon/store", "durable/cmd/durabled"}},
		{"durable/daemon/engine", []string{"durable/daemon"}},
	}
	for _, goos := range platforms {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			for _, p := range packages(t, goos) {
				if !p.ours() {
					continue
				}
				for _, dep := range p.Imports {
					for _, r := range rules {
						if within(dep, r.what) && !withinAny(p.ImportPath, r.by) {
							t.Errorf("%s imports %s: only %s may", p.ImportPath, dep, strings.Join(r.by, ", "))
						}
					}
				}
			}
		})
	}
}

// layers, from the top: a package imports of the house only what is below its own layer, or beside it in its own tree.
var layers = [][]string{
	{"durable/cmd"},
	{"durable/daemon", "durable/stdioproxy", "durable/install"},
	{"durable/ipc/localapi", "durable/ipc/client", "durable/ipc/logs", "durable/ipc/token"},
	{"durable/ipc/socket"},
	{"durable/ipc/task", "durable/ipc/atomicfile", "durable/ipc/polltest", "durable/ipc/strictjson"},
}

func layerOf(path string) (layer int, tree string) {
	for i, trees := range layers {
		for _, tree := range trees {
			if within(path, tree) {
				return i, tree
			}
		}
	}
	return -1, ""
}

// TestImportsGoDown holds the direction of imports.
func TestImportsGoDown(t *testing.T) {
	for _, goos := range platforms {
		for _, p := range packages(t, goos) {
			if !p.ours() {
				continue
			}
			from, tree := layerOf(p.ImportPath)
			if from < 0 {
				t.Errorf("%s has no layer", p.ImportPath)
				continue
			}
			for _, dep := range p.Imports {
				to, other := layerOf(dep)
				if to >= 0 && to <= from && other != tree {
					t.Errorf("%s: %s imports %s, which is not below it", goos, p.ImportPath, dep)
				}
			}
			if p.ImportPath == "durable/ipc/task" {
				for _, dep := range p.Imports {
					if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") || first == "durable" {
						t.Errorf("durable/ipc/task imports %s: the vocabulary is standard library only", dep)
					}
				}
			}
			if len(p.CgoFiles) > 0 {
				t.Errorf("%s needs cgo", p.ImportPath)
			}
		}
	}
}

// maxLines is the size beyond which a file is two.
const maxLines = 400

// TestPackages: each package has exactly one doc comment, with its design in it, and no file is too long.
func TestPackages(t *testing.T) {
	for _, p := range packages(t, "linux") {
		if !p.ours() {
			continue
		}
		var docs []string
		files := slices.DeleteFunc(append(slices.Clone(p.GoFiles), p.IgnoredGoFiles...), func(name string) bool {
			return strings.HasSuffix(name, "_test.go")
		})
		for _, name := range files {
			doc, lines := look(t, filepath.Join(p.Dir, name))
			if lines > maxLines {
				t.Errorf("%s/%s has %d lines, the limit is %d", p.ImportPath, name, lines, maxLines)
			}
			if doc != "" {
				docs = append(docs, doc)
			}
		}
		switch {
		case len(files) == 0: // nothing but tests
		case len(docs) != 1:
			t.Errorf("%s has %d package docs, want 1", p.ImportPath, len(docs))
		case !strings.Contains(docs[0], "\n# Design\n"):
			t.Errorf("%s: its doc has no section # Design", p.ImportPath)
		case p.Name != "main" && !strings.HasPrefix(docs[0], "Package "+p.Name+" "):
			t.Errorf("%s: its doc begins %.40q", p.ImportPath, docs[0])
		}
	}
}

// look returns a file's package comment, and how many lines it has.
func look(t *testing.T, path string) (doc string, lines int) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f.Doc.Text(), fset.File(f.FileStart).LineCount() - 1
}

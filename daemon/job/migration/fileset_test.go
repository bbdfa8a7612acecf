package migration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"durable/ipc/task"
)

// fill writes files into a new folder and returns it.
func fill(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		writeAs(t, filepath.Join(dir, name), text)
	}
	return dir
}

// TestFileSet: the files that match a pattern become one destination, in the order of their names.
func TestFileSet(t *testing.T) {
	tests := []struct {
		name    string
		files   map[string]string
		pattern string
		to      string
		want    string
	}{
		{"types that suit all, columns by name", map[string]string{
			"o-1.csv": "id,zip\n1,7\n2,\n", "o-2.csv": "zip,id\n007,3\n", "o-3.csv.gz": "id,zip\n4,x\n", ".o-4.csv": "hidden\n", "other.csv": "no\n1\n"},
			"o-*.csv*", "out.db", "id INTEGER, zip TEXT\n1|'7'\n2|''\n3|'007'\n4|'x'\n"},
		{"keys of all", map[string]string{"b.jsonl": `{"x":1}` + "\n", "a.jsonl": `{"x":null}`, "c.jsonl": `{"y":"z"}` + "\n" + `{"x":1.5}`},
			"[abc].jsonl", "out.db", "x REAL, y TEXT\nNULL|NULL\n1.0|NULL\nNULL|'z'\n1.5|NULL\n"},
		{"Parquet", map[string]string{"1.parquet": `{"a":1}` + "\n", "2.parquet": `{"a":2}` + "\n"}, "?.parquet", "out.csv", "a\n1\n2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := fill(t, tt.files)
			out := filepath.Join(t.TempDir(), tt.to)
			p := paths(filepath.Join(dir, tt.pattern), out)
			if strings.HasSuffix(out, ".db") {
				p["table"] = "data"
			}
			migrate(t, p)
			if got := content(t, out); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFileSetCrash: an attempt goes on in the file in which the last one died, and refuses files that came or changed since.
func TestFileSetCrash(t *testing.T) {
	files, want := map[string]string{}, "id\n"
	for f := range 4 {
		text := "id\n"
		for i := range 7 {
			text += fmt.Sprintf("%d\n", 7*f+i)
			want += fmt.Sprintf("%d\n", 7*f+i)
		}
		files[fmt.Sprintf("%d.csv", f)] = text
	}
	for n := 1; ; n++ {
		dir := fill(t, files)
		out := filepath.Join(t.TempDir(), "out.csv")
		l := prepare(t, paths(filepath.Join(dir, "*.csv"), out, "batch_size", 3))
		crashAt(l, "", n)
		if _, err := l.attempt(t.Context()); err == nil {
			if n < 20 {
				t.Errorf("only %d points", n)
			}
			return
		}
		crashAt(l, "", 0)
		l.finish()
		if got := read(t, out); got != want {
			t.Fatalf("crash at point %d: %q, want %q", n, got, want)
		}
	}
}

func TestFileSetChanges(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"appears": func(dir string) error { return os.WriteFile(filepath.Join(dir, "3.csv"), []byte("id\n9\n"), 0o600) },
		"changes": func(dir string) error { return os.WriteFile(filepath.Join(dir, "2.csv"), []byte("id\n3\n5\n"), 0o600) },
		"goes":    func(dir string) error { return os.Remove(filepath.Join(dir, "2.csv")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t, map[string]string{"1.csv": "id\n1\n2\n", "2.csv": "id\n3\n4\n"})
			out := filepath.Join(t.TempDir(), "out.csv")
			l := prepare(t, paths(filepath.Join(dir, "*.csv"), out, "batch_size", 1))
			crashAt(l, "write", 2)
			if _, err := l.attempt(t.Context()); err == nil {
				t.Fatal("no crash")
			}
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			crashAt(l, "", 0)
			if _, err := l.attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "changed since the migration began") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("published")
			}
		})
	}
}

// TestFileSetRefused: what a pattern cannot mean is an error that says what to do.
func TestFileSetRefused(t *testing.T) {
	dir := fill(t, map[string]string{"1.csv": "id,name\n1,a\n", "2.csv": "id\n1\n", "a.jsonl": `{"x":1}`})
	sqlExec(t, filepath.Join(dir, "x.db"), "create table data (id)")
	for _, tt := range []struct{ source, destination, want string }{
		{"*.tsv", "out.csv", "no file matches"},
		{"[a.csv", "out.csv", "not a pattern"},
		{"?.csv", "out.jsonl", "its columns are id, but those of 1.csv are id, name"},
		{"*", "out.jsonl", "is jsonl, but"},
		{"*.db", "out.jsonl", "a SQLite database"},
		{"1*.csv", "1-all.csv", "matches the pattern of the source"},
		{"1.*", "out.csv", ""},
		{"*1.csv", "out.db", "destination_table: missing"},
	} {
		out := t.TempDir()
		if tt.destination == "1-all.csv" {
			out = dir
		}
		_, err := New().Prepare(t.Context(), task.Spec{Kind: "data_migration", Params: encode(t, paths(filepath.Join(dir, tt.source), filepath.Join(out, tt.destination)))})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s -> %s: %v, want %q", tt.source, tt.destination, err, tt.want)
		}
	}
}

// TestFileSetBadRecord: the error names the file.
func TestFileSetBadRecord(t *testing.T) {
	dir := fill(t, map[string]string{"1.csv": "id,name\n1,a\n", "2.csv": "id,name\n2\n3,c\n"})
	l := prepare(t, paths(filepath.Join(dir, "*.csv"), filepath.Join(t.TempDir(), "out.csv")))
	if _, err := l.attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "line 2: 2.csv: 1 field") {
		t.Errorf("got %v", err)
	}
	out := filepath.Join(t.TempDir(), "out.csv")
	res := migrate(t, paths(filepath.Join(dir, "*.csv"), out, "on_error", "skip"))
	if res.Skipped != 1 || read(t, out) != "id,name\n1,a\n3,c\n" {
		t.Errorf("%+v, %s", res, read(t, out))
	}
}

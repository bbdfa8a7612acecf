package migration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

// nasty are records with all that is easily lost, as JSON Lines.
const nasty = `{"id":1,"zip":"00420","text":"a \"quoted\", cell\nof two lines","empty":"","null":null,"big":9223372036854775807,"real":-0.5,"yes":true,"at":"2026-01-02T03:04:05.123456+02:00","doc":{"a":[1,"x"]},"huge":12345678901234567890,"mix":1}
{"id":-2,"zip":"007","text":"Søn 日本 🎉","empty":"","null":null,"big":-9223372036854775808,"real":1e+100,"yes":false,"at":"2026-07-01T00:00:00Z","doc":[],"huge":3.14159265358979323846,"mix":"1"}
{"id":3,"zip":null,"text":" ","empty":"","null":null,"big":0,"real":0.1,"yes":null,"at":null,"doc":null,"huge":null,"mix":true}
`

// TestParquetKeeps: what goes through a Parquet file comes back as it was.
func TestParquetKeeps(t *testing.T) {
	dir := t.TempDir()
	src := write(t, "nasty.jsonl", nasty)
	pq, back := filepath.Join(dir, "a.parquet"), filepath.Join(dir, "back.jsonl")
	migrate(t, paths(src, pq))
	migrate(t, paths(pq, back))
	if diff := cmp.Diff(nasty, read(t, back)); diff != "" {
		t.Errorf("JSON Lines (-want +got):\n%s", diff)
	}
	again := filepath.Join(dir, "again.parquet")
	migrate(t, paths(pq, again))
	back = filepath.Join(dir, "again.jsonl")
	migrate(t, paths(again, back))
	if diff := cmp.Diff(nasty, read(t, back)); diff != "" {
		t.Errorf("Parquet to Parquet (-want +got):\n%s", diff)
	}
	db := sqlExec(t, filepath.Join(dir, "data.db"),
		"create table data (i INTEGER, r REAL, t TEXT, b BLOB, y BOOLEAN, j JSON, x)",
		`insert into data values (1, 1.5, '', x'00ff', 1, '{"a": 1}', '007'), (NULL, 2, NULL, x'', 0, NULL, 7), (3, NULL, '0', NULL, NULL, '[]', x'01')`)
	pq, db2 := filepath.Join(dir, "db.parquet"), filepath.Join(dir, "back.db")
	migrate(t, paths(db, pq))
	migrate(t, paths(pq, db2, "table", "data"))
	want := "i INTEGER, r REAL, t TEXT, b BLOB, y BOOLEAN, j JSON, x\n" +
		"1|1.5|''|X'00FF'|1|'{\"a\":1}'|'007'\nNULL|2.0|NULL|X''|0|NULL|7\n3|NULL|'0'|NULL|NULL|'[]'|'AQ=='\n"
	if diff := cmp.Diff(want, dump(t, db2, "data")); diff != "" {
		t.Errorf("SQLite (-want +got):\n%s", diff)
	}
}

// TestParquetDamaged: a damaged file is an error that names it, never a panic.
func TestParquetDamaged(t *testing.T) {
	pq := filepath.Join(t.TempDir(), "a.parquet")
	migrate(t, paths(write(t, "nasty.jsonl", nasty), pq))
	good := []byte(read(t, pq))
	for n := 0; n < len(good); n += 61 {
		for _, damage := range [][]byte{good[:n], append(append(append([]byte{}, good[:n]...), 0xff^good[n]), good[n+1:]...)} {
			readAll(t, damage)
		}
	}
}

func readAll(t *testing.T, content []byte) {
	t.Helper()
	path := write(t, "damaged.parquet", string(content))
	s := &parquetSource{path}
	cols, err := s.header(t.Context())
	if err == nil {
		var r reader
		if r, err = s.open(t.Context(), cols, position{}); err == nil {
			_, err = sum(t.Context(), r, len(cols), func(int64) {})
			_ = r.close() // only that it returns counts
		}
	}
	if err != nil && !strings.Contains(err.Error(), "damaged.parquet") && !strings.Contains(err.Error(), "context") {
		t.Errorf("error without the file's name: %v", err)
	}
	_ = os.Remove(path)
}

func FuzzParquet(f *testing.F) {
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, content []byte) { readAll(t, content) })
}

// TestParquetRowGroups: records of several checkpoints are packed, a position inside a row group is found.
func TestParquetRowGroups(t *testing.T) {
	var text strings.Builder
	text.WriteString("id,name\n")
	for range 1000 {
		text.WriteString("1,x\n2,\n")
	}
	dir := t.TempDir()
	pq := filepath.Join(dir, "a.parquet")
	migrate(t, paths(write(t, "a.csv", text.String()), pq, "batch_size", 37))
	s := &parquetSource{pq}
	r, err := s.start()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(r.groups); got != 1 {
		t.Errorf("%d row groups of 2,000 records, want them packed into 1", got)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(dir, "back.csv")
	l := prepare(t, paths(pq, back, "batch_size", 100))
	crashAt(l, "write", 5)
	if _, err := l.attempt(t.Context()); err == nil {
		t.Fatal("no crash")
	}
	crashAt(l, "", 0)
	l.finish()
	if diff := cmp.Diff(text.String(), read(t, back)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParquetRefuses(t *testing.T) {
	dir := t.TempDir()
	pq := filepath.Join(dir, "a.parquet")
	migrate(t, paths(write(t, "a.csv", "id,name\n1,x\n"), pq))
	l := prepare(t, paths(write(t, "b.csv", "id,name\none,x\n"), pq, "mode", "append"))
	_, err := l.attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "does not fit in a column of type integer")
}

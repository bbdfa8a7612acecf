package migration

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

func TestModes(t *testing.T) {
	const src = "id,name\n1,new\n2,newer\n"
	for _, tt := range []struct {
		name, file, old, mode, source, want string
	}{
		{"replace a file", "data.csv", "x\nold\n", "replace", src, src},
		{"append to a file", "data.csv", "id,name\n0,old\n", "append", src, "id,name\n0,old\n1,new\n2,newer\n"},
		{"append without a last newline", "data.csv", "id,name\n0,old", "append", src, "id,name\n0,old\n1,new\n2,newer\n"},
		{"append in the order that is there", "data.csv", "name,id\nold,0\n", "append", src, "name,id\nold,0\nnew,1\nnewer,2\n"},
		{"append to an empty file", "data.csv", "", "append", src, src},
		{"append to JSON Lines", "data.jsonl", "{\"other\":true}\n", "append", src,
			"{\"other\":true}\n{\"id\":1,\"name\":\"new\"}\n{\"id\":2,\"name\":\"newer\"}\n"},
		{"header only", "data.csv", "x\n", "replace", "id,name\n", "id,name\n"},
		{"CRLF and BOM", "data.csv", "x\n", "replace", "\xef\xbb\xbfid,name\r\n1,new\r\n2,newer\r\n", src},
		{"a header without a name", "data.csv", "x\n", "replace", ",name\n1,a\n", "column_1,name\n1,a\n"},
		{"one column with empty cells", "data.csv", "x\n", "replace", "a\n\"\"\nx\n\"\"\n", "a\n\"\"\nx\n\"\"\n"},
		{"bytes that are not UTF-8", "data.csv", "x\n", "replace", "a,b\n\xe9,1\n", "a,b\n\xe9,1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := write(t, tt.file, tt.old)
			if err := os.Chmod(dst, 0o640); err != nil {
				t.Fatal(err)
			}
			res := migrate(t, paths(write(t, "s.csv", tt.source), dst, "mode", tt.mode))
			if diff := cmp.Diff(tt.want, read(t, dst)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if info, err := os.Stat(dst); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode of the file: %v, %v", info.Mode(), err)
			}
			if res.Migrated != res.Total || !res.Verified {
				t.Errorf("result: %+v", res)
			}
		})
	}
}

func TestTableModes(t *testing.T) {
	src := func(t *testing.T) string { return write(t, "s.csv", "id,name\n007,new\n8,newer\n") }
	const old = "insert into data (id, name) values (1, 'old'), (5, 'old')"
	for _, tt := range []struct{ name, create, mode, want string }{
		{"replace", "create table data (a)", "replace", "id TEXT, name TEXT\n'007'|'new'\n'8'|'newer'\n"},
		{"append takes the table's types", "create table data (id INTEGER, name TEXT, more TEXT DEFAULT 'x')", "append",
			"id INTEGER, name TEXT, more TEXT\n1|'old'|'x'\n5|'old'|'x'\n7|'new'|'x'\n8|'newer'|'x'\n"},
		{"append by another order and case", "create table data (NAME TEXT, ID REAL)", "append",
			"NAME TEXT, ID REAL\n'old'|1.0\n'old'|5.0\n'new'|7.0\n'newer'|8.0\n"},
		{"append with the rowid as a column", "create table data (id INTEGER PRIMARY KEY, name TEXT)", "append",
			"id INTEGER, name TEXT\n1|'old'\n5|'old'\n7|'new'\n8|'newer'\n"},
		{"append without rowid", "create table data (id TEXT, name TEXT, primary key (id)) without rowid", "append",
			"id TEXT, name TEXT\n'007'|'new'\n'1'|'old'\n'5'|'old'\n'8'|'newer'\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			statements := []string{tt.create}
			if tt.mode == "append" {
				statements = append(statements, old)
			}
			dst := sqlExec(t, filepath.Join(t.TempDir(), "d.db"), append(statements, "create table other (x)")...)
			res := migrate(t, paths(src(t), dst, "mode", tt.mode, "table", "data"))
			if diff := cmp.Diff(tt.want, dump(t, dst, "data")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if res.Migrated != 2 || !res.Verified {
				t.Errorf("result: %+v", res)
			}
			if left := dump(t, dst, "sqlite_schema"); strings.Contains(left, positionTable) {
				t.Errorf("the position is left: %s", left)
			}
		})
	}
}

func TestSkip(t *testing.T) {
	source := "id,name\n1,a\n2\n3,\"x\ny\"\n4,b\"c\n5,e,f\n6,ok\n"
	src := write(t, "s.csv", source)
	dst := filepath.Join(t.TempDir(), "d.db")

	_, err := prepare(t, paths(src, dst)).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "line 3", "1 field, but the header has 2", "on_error=skip")
	if _, err := os.Stat(dst); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a malformed record left a destination: %v", err)
	}

	l := prepare(t, paths(src, dst, "on_error", "skip"))
	res := l.finish()
	if diff := cmp.Diff([]int64{3, 3, 3}, []int64{res.Migrated, res.Total, res.Skipped}); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	want := []skip{
		{3, "1 field, but the header has 2"}, {6, `bare " in non-quoted-field`}, {7, "3 fields, but the header has 2"},
	}
	if diff := cmp.Diff(want, res.Skips); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if reports := l.host.Reports(); reports[len(reports)-1].Message != "Migrated 3/3 records, 3 skipped" {
		t.Errorf("the last word: %q", reports[len(reports)-1].Message)
	}
	if !strings.Contains(l.host.Output(), "skipped line 6") {
		t.Errorf("log: %s", l.host.Output())
	}
	if diff := cmp.Diff("id INTEGER, name TEXT\n1|'a'\n3|'x\ny'\n6|'ok'\n", dump(t, dst, "s")); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

// TestRefused: what only the destination finds wrong is named by its line too.
func TestRefused(t *testing.T) {
	src := write(t, "s.csv", "id,name\n1,a\n2,b\n1,c\n,d\n3,e\n")
	table := "create table s (id INTEGER NOT NULL UNIQUE, name)"
	dst := sqlExec(t, filepath.Join(t.TempDir(), "d.db"), table)
	_, err := prepare(t, paths(src, dst, "mode", "append")).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "line 4", "UNIQUE")

	dst = sqlExec(t, filepath.Join(t.TempDir(), "d.db"), table)
	res := migrate(t, paths(src, dst, "mode", "append", "on_error", "skip"))
	if res.Migrated != 3 || res.Skipped != 2 || res.Skips[0].Line != 4 || res.Skips[1].Line != 5 {
		t.Errorf("result: %+v", res)
	}

	latin := write(t, "l.csv", "a\nok\ncaf\xe9\n")
	_, err = prepare(t, paths(latin, filepath.Join(t.TempDir(), "d.jsonl"))).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "line 3", "column a", "UTF-8")
}

func TestColumnsAndLimit(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "d.csv")
	l := prepare(t, paths(write(t, "s.csv", csvData), dst, "columns", []string{"zip", "id"}, "record_count", 2))
	l.finish()
	if diff := cmp.Diff("zip,id\n00123,1\n7,2\n", read(t, dst)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, p := range l.host.Reports() {
		if p.Total != nil && (*p.Total != 2 || p.Done > 2) {
			t.Errorf("progress %+v", p)
		}
	}
	dst = filepath.Join(t.TempDir(), "d.csv")
	_, err := prepare(t, paths(write(t, "s.jsonl", jsonlData), dst, "columns", []string{"id", "nope"})).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, `"nope"`)
}

func TestTooLong(t *testing.T) {
	src := write(t, "s.csv", "a,b\n1,2\n3,\""+strings.Repeat("x,", MaxRecord/2+readBuffer)+"\n")
	_, err := prepare(t, paths(src, filepath.Join(t.TempDir(), "d.csv"))).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "line 3", "closing quote")
	src = write(t, "s.jsonl", "{\"a\":1}\n{\"a\":\""+strings.Repeat("x", MaxRecord+readBuffer)+"\"}\n")
	_, err = prepare(t, paths(src, filepath.Join(t.TempDir(), "d.csv"))).attempt(t.Context())
	wantCode(t, err, task.InvalidArgument, "line 2", "record of more than")
}

// TestVerificationFails: a destination that somebody changes behind our back is not called a success.
func TestVerificationFails(t *testing.T) {
	for name, change := range map[string]string{
		"lost":    "delete from s where id = 2",
		"doubled": "insert into s select * from s where id = 2",
		"changed": "update s set name = 'x' where id = 2",
		"swapped": "update s set name = case id when 1 then 'b' else 'a' end where id < 3",
	} {
		t.Run(name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "d.db")
			l := prepare(t, paths(write(t, "s.csv", "id,name\n1,a\n2,b\n3,c\n"), dst))
			l.kind.hook = func(point string) error {
				if point == "verify" {
					sqlExec(t, dst, change)
				}
				return nil
			}
			_, err := l.attempt(t.Context())
			wantCode(t, err, task.Internal, "differs from what was written")
		})
	}
}

func TestWithoutRowidSource(t *testing.T) {
	src := sqlExec(t, filepath.Join(t.TempDir(), "s.db"), "create table data (b BLOB, a TEXT, v, primary key (a, b)) without rowid",
		"insert into data values (x'01', 'x', 1), (x'00', 'x', 2), (x'', 'é', 3)")
	dst := filepath.Join(t.TempDir(), "d.csv")
	l := prepare(t, paths(src, dst, "batch_size", 1))
	crashAt(l, "write", 3)
	if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	crashAt(l, "", 0)
	l.finish()
	if diff := cmp.Diff("b,a,v\nAA==,x,2\nAQ==,x,1\n,é,3\n", read(t, dst)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeyPart(t *testing.T) {
	for _, v := range []value{int64(1) << 62, 0.1, "", "x\xff", []byte{}, []byte{0, 255}} {
		raw, err := json.Marshal(newKeyPart(v))
		if err != nil {
			t.Fatal(err)
		}
		var k keyPart
		if err := json.Unmarshal(raw, &k); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, k.value()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
}

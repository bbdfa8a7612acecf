package migration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"durable/ipc/task"
)

// TestPrepareRefuses: every bad input gets an error with a code, the thing at fault and a remedy.
func TestPrepareRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	csv := file("a.csv", csvData)
	link := filepath.Join(dir, "link.csv")
	if err := os.Symlink(csv, link); err != nil {
		t.Fatal(err)
	}
	hard := filepath.Join(dir, "hard.csv")
	if err := os.Link(csv, hard); err != nil {
		t.Fatal(err)
	}
	db := sqlExec(t, filepath.Join(dir, "two.db"), "create table a (x)", "create table b (y)", "create view v as select * from a")
	one := sqlExec(t, filepath.Join(dir, "one.db"), "create table a (id, name)")
	none := sqlExec(t, filepath.Join(dir, "none.db"), "create table a (x)", "drop table a")
	out := filepath.Join(dir, "out.db")
	other := file("other.csv", "x,y\n1,2\n")

	for _, tt := range []struct {
		name   string
		params map[string]any
		code   task.Code
		want   []string
	}{
		{"no source", paths("", out), task.InvalidArgument, []string{"source_path"}},
		{"no destination", paths(csv, ""), task.InvalidArgument, []string{"destination_path"}},
		{"relative source", paths("a.csv", out), task.InvalidArgument, []string{"a.csv", "give an absolute path"}},
		{"relative destination", paths(csv, "./out.db"), task.InvalidArgument, []string{"give an absolute path"}},
		{"missing source", paths(filepath.Join(dir, "no.csv"), out), task.FailedPrecondition, []string{"no.csv", "no such file"}},
		{"source name too long", paths(filepath.Join(dir, strings.Repeat("x", 300)+".csv"), out), task.InvalidArgument, []string{"too long", "check the path"}},
		{"source below a file", paths(filepath.Join(csv, "a.csv"), out), task.InvalidArgument, []string{"not a directory", "check the path"}},
		{"folder as source", paths(dir, out), task.InvalidArgument, []string{"a folder"}},
		{"folder as destination", paths(csv, dir), task.InvalidArgument, []string{"a folder"}},
		{"no destination folder", paths(csv, filepath.Join(dir, "no", "out.db")), task.FailedPrecondition, []string{"destination folder"}},
		{"destination below a file", paths(csv, filepath.Join(csv, "out.db")), task.InvalidArgument, []string{"not a folder"}},
		{"same file", paths(csv, csv, "mode", "replace"), task.InvalidArgument, []string{"same file"}},
		{"same file by a link", paths(csv, link, "mode", "replace"), task.InvalidArgument, []string{"same file"}},
		{"same file by a hard link", paths(hard, csv, "mode", "append"), task.InvalidArgument, []string{"same file"}},
		{"destination exists", paths(csv, other), task.FailedPrecondition, []string{"exists already", "mode=replace"}},
		{"table exists", paths(csv, one, "table", "A"), task.FailedPrecondition, []string{"table A exists", "mode=replace"}},
		{"view", paths(csv, db, "table", "v", "mode", "append"), task.InvalidArgument, []string{"a view"}},
		{"destination is no database", paths(csv, file("fake.db", "hello"), "mode", "append"), task.InvalidArgument, []string{"not sqlite"}},
		{"source is no database", paths(filepath.Join(dir, "fake.db"), out), task.InvalidArgument, []string{"is not sqlite"}},
		{"unknown format", paths(file("a.txt", "hello\n"), out), task.InvalidArgument, []string{"unknown format", "source_format"}},
		{"binary", paths(file("a.bin", "\x00\x01\x02,"), out), task.InvalidArgument, []string{"unknown format"}},
		{"binary, called CSV", paths(file("b.bin", "\x00\x01\x02,"), out, "source_format", "csv"), task.InvalidArgument, []string{"NUL byte"}},
		{"unknown destination format", paths(csv, filepath.Join(dir, "out.xyz")), task.InvalidArgument, []string{"destination_format"}},
		{"empty source", paths(file("empty.csv", ""), out), task.InvalidArgument, []string{"empty"}},
		{"header twice", paths(file("twice.csv", "a,b,a\n"), out), task.InvalidArgument, []string{`"a" twice`}},
		{"names that SQLite takes for one", paths(file("case.csv", "a,A\n"), out), task.InvalidArgument, []string{"same name"}},
		{"blank lines only", paths(file("blank.csv", "\n\n"), out), task.InvalidArgument, []string{"header"}},
		{"UTF-16", paths(file("u16.csv", "\xff\xfea\x00"), out), task.InvalidArgument, []string{"UTF-16", "iconv"}},
		{"not gzip", paths(file("a.csv.gz", "a,b\n"), out), task.InvalidArgument, []string{"is not gzip"}},
		{"damaged gzip", paths(file("gz.csv", "\x1f\x8b\x08"), out), task.FailedPrecondition, []string{"damaged gzip"}},
		{"compressed parquet", paths(csv, filepath.Join(dir, "o.parquet.gz")), task.Unimplemented, []string{"may be compressed"}},
		{"another server", paths(csv, "mysql://u:secret@h/db"), task.Unimplemented, []string{"mysql"}},
		{"mysql", paths("mysql://h/db", out), task.Unimplemented, []string{"mysql"}},
		{"file URL", paths("file://"+csv, out), task.InvalidArgument, []string{"plain path: " + csv}},
		{"pattern", paths(filepath.Join(dir, "z*.csv"), out), task.FailedPrecondition, []string{"no file matches"}},
		{"JSON array", paths(file("arr.jsonl", "[{\"a\":1}]\n"), out), task.InvalidArgument, []string{"jq -c"}},
		{"JSON document", paths(file("doc.json", "{\n \"a\": 1\n}\n"), out), task.InvalidArgument, []string{"jq -c"}},
		{"which table", paths(db, filepath.Join(dir, "o.csv")), task.InvalidArgument, []string{"a, b", "table"}},
		{"no table", paths(none, filepath.Join(dir, "o.csv")), task.InvalidArgument, []string{"without tables"}},
		{"unknown table", paths(one, filepath.Join(dir, "o.csv"), "table", "zz"), task.InvalidArgument, []string{`"zz"`, "it has a"}},
		{"source view", paths(db, filepath.Join(dir, "o.csv"), "table", "v"), task.InvalidArgument, []string{"CREATE TABLE"}},
		{"table without a database", paths(csv, filepath.Join(dir, "o.csv"), "table", "x"), task.InvalidArgument, []string{"table"}},
		{"reserved table", paths(csv, out, "table", "_durable_position"), task.InvalidArgument, []string{"reserved"}},
		{"header mismatch", paths(csv, other, "mode", "append"), task.InvalidArgument, []string{"do not match", "x, y"}},
		{"table mismatch", paths(csv, one, "table", "a", "mode", "append"), task.InvalidArgument, []string{"do not match", "id, name"}},
		{"unknown column", paths(csv, out, "columns", []string{"id", "nope"}), task.InvalidArgument, []string{`"nope"`, "it has id"}},
		{"column twice", paths(csv, out, "columns", []string{"id", "id"}), task.InvalidArgument, []string{"twice"}},
		{"negative count", paths(csv, out, "record_count", -5), task.InvalidArgument, []string{"record_count: -5"}},
		{"no records", paths(csv, out, "record_count", 0), task.InvalidArgument, []string{"leave record_count out"}},
		{"absurd count", paths(csv, out, "record_count", int64(1e15)), task.InvalidArgument, []string{"record_count"}},
		{"count as text", paths(csv, out, "record_count", "many"), task.InvalidArgument, []string{"record_count", "whole number"}},
		{"absurd batch", paths(csv, out, "batch_size", 1e9), task.InvalidArgument, []string{"batch_size"}},
		{"mode", paths(csv, out, "mode", "merge"), task.InvalidArgument, []string{`"merge"`, "create, replace, append or upsert"}},
		{"on_error", paths(csv, out, "on_error", "ignore"), task.InvalidArgument, []string{`"ignore"`}},
		{"format", paths(csv, out, "source_format", "xml"), task.InvalidArgument, []string{`"xml"`}},
		{"unknown parameter", paths(csv, out, "recordcount", 1), task.InvalidArgument, []string{`unknown parameter "recordcount"`, "record_count"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			_, err = New().Prepare(t.Context(), task.Spec{Params: encode(t, tt.params)})
			if err == nil {
				t.Fatal("accepted")
			}
			wantCode(t, err, tt.code, tt.want...)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q tells the password", err)
			}
			if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
				t.Errorf("prepare left something behind: %d files, then %d, %v", len(before), len(after), err)
			}
		})
	}
}

// TestPrepareNormalizes: what is stored names everything, so that a later attempt guesses nothing.
func TestPrepareNormalizes(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	for name, content := range map[string]string{"plain": jsonlData, "tabs": "a\tb\n1\t2\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		source, destination string
		from, to            format
		table               string
	}{
		{"~/plain", "~/new", formatJSONL, formatJSONL, ""},
		{"~/tabs", "~/sub/../new", formatTSV, formatTSV, ""},
		{"~/tabs", "~/new.sqlite", formatTSV, formatSQLite, "tabs"},
	} {
		plan, err := New().Prepare(t.Context(), task.Spec{Params: encode(t, paths(tt.source, tt.destination))})
		if err != nil {
			t.Fatal(err)
		}
		var p params
		if err := json.Unmarshal(plan.Params, &p); err != nil {
			t.Fatal(err)
		}
		if p.SourceFormat != tt.from || p.DestinationFormat != tt.to || p.DestinationTable != tt.table ||
			p.Source != filepath.Join(home, tt.source[2:]) || p.Destination != filepath.Join(home, tt.destination[2:]) ||
			p.Mode != modeCreate || p.OnError != onErrorFail {
			t.Errorf("%s to %s: %s", tt.source, tt.destination, plan.Params)
		}
	}
}

// TestPrepareSaysWhatIsOverwritten: a policy has to know it before anything is.
func TestPrepareSaysWhatIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	csv, out := filepath.Join(dir, "a.csv"), filepath.Join(dir, "b.csv")
	for _, path := range []string{csv, out} {
		if err := os.WriteFile(path, []byte(csvData), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fresh := filepath.Join(dir, "new.csv")
	for _, tt := range []struct {
		mode, destination string
		overwrites        bool
	}{
		{"", fresh, false}, {"create", fresh, false}, {"replace", out, true}, {"append", out, true}, {"replace", fresh, true},
	} {
		params := paths(csv, filepath.Join(dir, "sub", "..", filepath.Base(tt.destination)))
		if tt.mode != "" {
			params["mode"] = tt.mode
		}
		plan, err := New().Prepare(t.Context(), task.Spec{Params: encode(t, params)})
		if err != nil {
			t.Fatal(err)
		}
		var want []task.Effect
		if tt.overwrites {
			want = []task.Effect{{Act: task.ActOverwrite, Path: tt.destination}}
		}
		if !slices.Equal(plan.Effects, want) {
			t.Errorf("mode %q to %s: %v, want %v", tt.mode, tt.destination, plan.Effects, want)
		}
	}
}

// TestSchema: the schema names the parameters that are taken, and no other.
func TestSchema(t *testing.T) {
	info := New().Describe()
	var s struct {
		Properties           map[string]struct{ Description string }
		AdditionalProperties *bool
	}
	if err := json.Unmarshal(info.Schema, &s); err != nil {
		t.Fatal(err)
	}
	if s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Error("additionalProperties is not false")
	}
	var full params
	raw := `{"source_path":"s","destination_path":"d","record_count":1,"batch_size":1,"mode":"create","table":"t",
		"source_table":"t","destination_table":"t","columns":["c"],"rate_limit":1,"dry_run":true,"on_error":"fail","source_format":"csv","destination_format":"csv",
		"query":"q","key":"k","source_password":"p","destination_password":"p"}`
	if err := json.Unmarshal([]byte(raw), &full); err != nil {
		t.Fatal(err)
	}
	var taken map[string]any
	if err := json.Unmarshal(encode(t, full), &taken); err != nil {
		t.Fatal(err)
	}
	for name, p := range s.Properties {
		if _, ok := taken[name]; !ok || p.Description == "" {
			t.Errorf("%s: not taken, or without a description", name)
		}
		delete(taken, name)
	}
	if len(taken) > 0 {
		t.Errorf("not in the schema: %v", taken)
	}
}

func TestPermissionHint(t *testing.T) {
	for _, tt := range []struct {
		goos, path string
		eperm      bool
		privacy    bool
	}{
		{"darwin", "/Users/a/Documents/x.csv", true, true},
		{"darwin", "/Users/a/Downloads/d/x.csv", true, true},
		{"darwin", "/Users/a/Desktop/x.csv", true, true},
		{"darwin", "/Users/a/Desktop/x.csv", false, false},
		{"darwin", "/Users/a/x.csv", true, false},
		{"linux", "/Users/a/Desktop/x.csv", true, false},
	} {
		hint := permissionHint(tt.goos, "/Users/a", tt.path, tt.eperm)
		if got := strings.Contains(hint, "Full Disk Access") && strings.Contains(hint, "Files and Folders"); got != tt.privacy {
			t.Errorf("%+v: %q", tt, hint)
		}
	}
}

package migration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"durable/daemon/job"
	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withServer{m}) }

// line is one line of tasks under test: an engine's part in a migration.
type line struct {
	t    *testing.T
	kind *Kind
	host *jobtest.Host
	task task.Task
}

// prepare submits params and fails the test if they are refused.
func prepare(t *testing.T, params map[string]any) *line {
	t.Helper()
	k := New()
	plan, err := k.Prepare(t.Context(), task.Spec{Kind: "data_migration", Params: encode(t, params)})
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	return &line{t: t, kind: k, host: jobtest.New(t),
		task: task.Task{ID: "019a-1", RootID: "019a-1", Params: plan.Params, Title: plan.Title}}
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// attempt runs the next attempt.
func (l *line) attempt(ctx context.Context) (*result, error) {
	l.host.Revive()
	l.task.Attempt++
	res, err := l.kind.Run(ctx, l.host.Context(l.task))
	if err != nil {
		return nil, err
	}
	return res.(*result), nil
}

// finish runs an attempt that must succeed, and cleans up after it.
func (l *line) finish() *result {
	l.t.Helper()
	res, err := l.attempt(l.t.Context())
	if err != nil {
		l.t.Fatalf("run: %v\n%s", err, l.host.Output())
	}
	l.task.Status = task.StatusCompleted
	if err := l.kind.Clean(l.t.Context(), l.task); err != nil {
		l.t.Fatalf("clean: %v", err)
	}
	return res
}

func migrate(t *testing.T, params map[string]any) *result {
	t.Helper()
	return prepare(t, params).finish()
}

func paths(source, destination string, more ...any) map[string]any {
	p := map[string]any{"source_path": source, "destination_path": destination}
	for i := 0; i < len(more); i += 2 {
		p[more[i].(string)] = more[i+1]
	}
	return p
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sqlExec makes a database with database/sql: not with the code under test.
func sqlExec(t *testing.T, path string, statements ...string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // a scratch connection
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return path
}

// dump returns the declared columns of a table and its rows as SQL literals, which show type and value.
func dump(t *testing.T, path, table string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // a scratch connection
	var out strings.Builder
	var quoted []string
	cols, err := db.Query("select name, type from pragma_table_info(?)", table)
	if err != nil {
		t.Fatal(err)
	}
	var decl []string
	for cols.Next() {
		var name, typ string
		if err := cols.Scan(&name, &typ); err != nil {
			t.Fatal(err)
		}
		decl = append(decl, strings.TrimSpace(name+" "+typ))
		quoted = append(quoted, `quote("`+name+`")`)
	}
	fmt.Fprintln(&out, strings.Join(decl, ", "))
	rows, err := db.Query(`select ` + strings.Join(quoted, "||'|'||") + ` from "` + table + `"`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, s)
	}
	if err := errors.Join(cols.Err(), rows.Err()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// content returns what is in a destination, by its extension, read without the code under test.
func content(t *testing.T, path string) string {
	t.Helper()
	if strings.HasSuffix(path, ".db") {
		return dump(t, path, "data")
	}
	if strings.HasSuffix(path, ".parquet") {
		text := filepath.Join(t.TempDir(), "text.jsonl")
		migrate(t, paths(path, text))
		return read(t, text)
	}
	f, err := openText(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	csvData = "id,name,zip,price,ok,note\n" +
		"1,Ana,00123,1.5,true,\"a \"\"b\"\", c\"\n" +
		"2,José,7,2,false,\"two\nlines\"\n" +
		"9223372036854775807,,x,,,\n"
	jsonlData = `{"id":1,"name":"Ana","zip":"00123","price":1.5,"ok":true,"note":"a \"b\", c"}` + "\n" +
		`{"id":2,"name":"José","zip":"7","price":2,"ok":false,"note":"two\nlines"}` + "\n" +
		`{"id":9223372036854775807,"name":"","zip":"x","price":null,"ok":null,"note":""}` + "\n"
	sqliteData = "id INTEGER, name TEXT, zip TEXT, price REAL, ok BOOLEAN, note TEXT\n" +
		"1|'Ana'|'00123'|1.5|1|'a \"b\", c'\n" +
		"2|'José'|'7'|2.0|0|'two\nlines'\n" +
		"9223372036854775807|''|'x'|NULL|NULL|''\n"
)

var sqliteMake = []string{
	"create table data (id INTEGER, name TEXT, zip TEXT, price REAL, ok BOOLEAN, note TEXT)",
	`insert into data values (1,'Ana','00123',1.5,1,'a "b", c'), (2,'José','7',2,0,'two` + "\n" + `lines'),
		(9223372036854775807,'','x',NULL,NULL,'')`,
}

func tsv(s string) string {
	s = strings.ReplaceAll(s, ",", "\t")
	return strings.ReplaceAll(s, "\"\"b\"\"\t c", "\"\"b\"\", c")
}

// TestPairs: the same records in every format come out the same in every other.
func TestPairs(t *testing.T) {
	sources := map[string]func(t *testing.T) string{
		"csv":   func(t *testing.T) string { return write(t, "data.csv", csvData) },
		"tsv":   func(t *testing.T) string { return write(t, "data.tsv", tsv(csvData)) },
		"jsonl": func(t *testing.T) string { return write(t, "data.jsonl", jsonlData) },
		"parquet": func(t *testing.T) string {
			dst := filepath.Join(t.TempDir(), "data.parquet")
			migrate(t, paths(write(t, "data.csv", csvData), dst))
			return dst
		},
		"csv.gz": func(t *testing.T) string {
			dst := filepath.Join(t.TempDir(), "data.csv.gz")
			migrate(t, paths(write(t, "data.csv", csvData), dst))
			return dst
		},
		"db": func(t *testing.T) string {
			return sqlExec(t, filepath.Join(t.TempDir(), "data.db"), sqliteMake...)
		},
	}
	want := map[string]string{"csv": csvData, "tsv": tsv(csvData), "jsonl": jsonlData, "db": sqliteData,
		"parquet": jsonlData, "csv.gz": csvData, "jsonl.zst": jsonlData}
	for from, source := range sources {
		for to, content0 := range want {
			t.Run(from+" to "+to, func(t *testing.T) {
				dst := filepath.Join(t.TempDir(), "out."+to)
				res := migrate(t, paths(source(t), dst))
				if diff := cmp.Diff(content0, content(t, dst)); diff != "" {
					t.Errorf("content (-want +got):\n%s", diff)
				}
				if res.Migrated != 3 || res.Total != 3 || !res.Verified || !res.Success {
					t.Errorf("result: %+v", res)
				}
				left, err := filepath.Glob(filepath.Join(filepath.Dir(dst), "*"))
				if err != nil || len(left) != 1 {
					t.Errorf("left beside the destination: %v, %v", left, err)
				}
			})
		}
	}
}

// TestResult: the tutorial's keys by their names.
func TestResult(t *testing.T) {
	src, dst := write(t, "a.csv", csvData), filepath.Join(t.TempDir(), "b.jsonl")
	l := prepare(t, paths(src, dst, "record_count", 2))
	if want := "a.csv -> b.jsonl"; l.task.Title != want {
		t.Errorf("title %q, want %q", l.task.Title, want)
	}
	var got map[string]any
	if err := json.Unmarshal(encode(t, l.finish()), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"migrated_records": 2.0, "total_records": 2.0, "source_path": src, "destination_path": dst, "success": true,
		"verified": true, "skipped_records": 0.0, "skipped": []any{}, "resumed_from": 0.0,
	} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if at, ok := got["completion_time"].(float64); !ok || at < 1e9 {
		t.Errorf("completion_time: %v", got["completion_time"])
	}
	reports := l.host.Reports()
	last := reports[len(reports)-1]
	if diff := cmp.Diff(task.Progress{Done: 2, Total: task.Total(2), Unit: "records", Message: "Migrated 2/2 records"}, last); diff != "" {
		t.Errorf("last progress (-want +got):\n%s", diff)
	}
}

// TestLoss: what the package doc says is lost, is; and nothing else.
func TestLoss(t *testing.T) {
	typed := []string{
		"create table data (i INTEGER, r REAL, t TEXT, b BLOB, d DATE, x)",
		"insert into data values (-1, 1e100, '', x'00ff', '2026-01-02', NULL), (0, -0.5, 'a'||char(13,10)||'b', x'', 20260102, 'x')",
	}
	for _, tt := range []struct{ name, from, to, want string }{
		{"sqlite to sqlite: nothing", "db", "db",
			"i INTEGER, r REAL, t TEXT, b BLOB, d DATE, x\n-1|1.0e+100|''|X'00FF'|'2026-01-02'|NULL\n0|-0.5|'a\r\nb'|X''|20260102|'x'\n"},
		{"sqlite to csv: NULL, blobs, types", "db", "csv",
			"i,r,t,b,d,x\n-1,1e+100,,AP8=,2026-01-02,\n0,-0.5,\"a\r\nb\",,20260102,x\n"},
		{"sqlite to jsonl: blobs", "db", "jsonl",
			`{"i":-1,"r":1e+100,"t":"","b":"AP8=","d":"2026-01-02","x":null}` + "\n" +
				`{"i":0,"r":-0.5,"t":"a\r\nb","b":"","d":20260102,"x":"x"}` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := sqlExec(t, filepath.Join(t.TempDir(), "data.db"), typed...)
			dst := filepath.Join(t.TempDir(), "out."+tt.to)
			migrate(t, paths(src, dst))
			if diff := cmp.Diff(tt.want, content(t, dst)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONShapes(t *testing.T) {
	src := write(t, "data.jsonl", "\xef\xbb\xbf"+`{"a":1,"n":{"x":[1, 2]},"big":12345678901234567890,"pi":3.14159265358979323846}`+"\r\n\n"+
		`{"b":"é\u00e9","a":"one","n":null}`+"\n")
	for to, want := range map[string]string{
		"jsonl": `{"a":1,"n":{"x":[1,2]},"big":12345678901234567890,"pi":3.14159265358979323846}` + "\n" + `{"a":"one","n":null,"b":"éé"}` + "\n",
		"csv":   "a,n,big,pi,b\n1,\"{\"\"x\"\":[1,2]}\",12345678901234567890,3.14159265358979323846,\none,,,,éé\n",
		"db":    "a, n JSON, big, pi, b TEXT\n1|'{\"x\":[1,2]}'|'12345678901234567890'|'3.14159265358979323846'|NULL\n'one'|NULL|NULL|NULL|'éé'\n",
	} {
		t.Run(to, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "out."+to)
			migrate(t, paths(src, dst))
			if diff := cmp.Diff(want, content(t, dst)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func wantCode(t *testing.T, err error, code task.Code, fragments ...string) {
	t.Helper()
	var e *task.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want a task.Error", err)
	}
	if e.Code != code {
		t.Errorf("code %s, want %s (%s)", e.Code, code, e)
	}
	for _, f := range fragments {
		if !strings.Contains(e.Message+"\n"+e.Hint, f) {
			t.Errorf("error %q (hint %q): want %q in it", e.Message, e.Hint, f)
		}
	}
	if e.Code != task.InvalidArgument && !job.IsPermanent(err) && code != task.PermissionDenied && code != task.ResourceExhausted {
		t.Errorf("error %v would be retried", err)
	}
}

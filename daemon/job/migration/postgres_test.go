package migration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job/jobtest"
	"durable/daemon/job/migration/pgtest"
	"durable/ipc/task"
)

// shared is the server that all tests but those that kill it use, each a database of its own.
var shared struct {
	sync.Mutex
	server *pgtest.Server
	number atomic.Int64
}

// withServer ends the shared server before leaks are looked for.
type withServer struct{ m *testing.M }

func (w withServer) Run() int {
	code := w.m.Run()
	if shared.server != nil {
		shared.server.Stop()
	}
	return code
}

// pgDatabase returns a server and the name of a fresh database in it.
func pgDatabase(t testing.TB, statements ...string) (*pgtest.Server, string) {
	t.Helper()
	pgtest.Need(t)
	shared.Lock()
	if shared.server == nil {
		shared.server = pgtest.New(t, "fsync=off") // nobody kills it
	}
	s := shared.server
	shared.Unlock()
	name := fmt.Sprintf("db%d", shared.number.Add(1))
	s.Exec(t, "postgres", "create database "+name)
	s.Exec(t, name, statements...)
	return s, name
}

// prepareSecret is prepare for parameters with passwords.
func prepareSecret(t *testing.T, params map[string]any) *line {
	t.Helper()
	k := New()
	plan, err := k.Prepare(t.Context(), task.Spec{Kind: "data_migration", Params: encode(t, params)})
	if err != nil {
		t.Fatalf("prepare: %v", err)
	}
	host := jobtest.New(t)
	host.SetSecrets(plan.Secrets)
	return &line{t: t, kind: k, host: host, task: task.Task{ID: "019a-1", RootID: "019a-1", Params: plan.Params, Title: plan.Title}}
}

const pgData = `1|Ana|00123|1.5|t|a "b", c
2|José|7|2|f|two
lines
9223372036854775807||x|<NULL>|<NULL>|
`

var pgMake = []string{"create table data (id bigint, name text, zip text, price double precision, ok boolean, note text)",
	`insert into data values (1,'Ana','00123',1.5,true,'a "b", c'), (2,'José','7',2,false,E'two\nlines'), (9223372036854775807,'','x',null,null,'')`}

// TestPostgresPairs is TestPairs with a table of PostgreSQL on either side, or both.
func TestPostgresPairs(t *testing.T) {
	want := map[string]string{"csv": csvData, "tsv": tsv(csvData), "jsonl": jsonlData, "db": sqliteData}
	for to, content0 := range want {
		t.Run("postgres to "+to, func(t *testing.T) {
			s, name := pgDatabase(t, pgMake...)
			dst := filepath.Join(t.TempDir(), "out."+to)
			res := migrate(t, paths(s.SocketURL(name), dst))
			if diff := cmp.Diff(content0, content(t, dst)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			if res.Migrated != 3 || !res.Verified {
				t.Errorf("result: %+v", res)
			}
		})
		t.Run(to+" to postgres", func(t *testing.T) {
			var src string
			switch to {
			case "db":
				src = sqlExec(t, filepath.Join(t.TempDir(), "data.db"), sqliteMake...)
			default:
				src = write(t, "data."+to, content0)
			}
			s, name := pgDatabase(t)
			res := migrate(t, paths(src, s.SocketURL(name)))
			if diff := cmp.Diff(pgData, s.Query(t, name, "select * from data")); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			if got := s.Query(t, name, "select string_agg(format_type(atttypid, atttypmod), ',' order by attnum) from pg_attribute where attrelid = 'data'::regclass and attnum > 0"); got != "bigint,text,text,double precision,boolean,text\n" {
				t.Errorf("types: %s", got)
			}
			if res.Migrated != 3 || !res.Verified || res.Bytes == 0 {
				t.Errorf("result: %+v", res)
			}
			if got := s.Query(t, name, "select to_regclass('_durable_position')"); got != "<NULL>\n" {
				t.Errorf("position left: %s", got)
			}
		})
	}
	t.Run("postgres to postgres", func(t *testing.T) {
		s, from := pgDatabase(t, pgMake...)
		_, to := pgDatabase(t)
		migrate(t, paths(s.SocketURL(from), s.SocketURL(to), "destination_table", "public.copy"))
		if diff := cmp.Diff(pgData, s.Query(t, to, "select * from copy")); diff != "" {
			t.Errorf("content (-want +got):\n%s", diff)
		}
	})
}

// pgCrash makes source and destination of a crash case in which one side or both are PostgreSQL, and returns the
// parameters and what reads the destination.
func pgCrash(t *testing.T, s *pgtest.Server, name, source, destination, mode string) (map[string]any, func() string, string) {
	t.Helper()
	dir := t.TempDir()
	old := ""
	if mode != "create" && mode != "upsert" {
		old = "create table data (id bigint, name text); insert into data values (-1, 'old')"
	}
	other, olds := source, ""
	if source == "pg" {
		other = "csv"
	}
	to := destination
	if destination == "pg" {
		to = "jsonl"
	} else if mode == "append" {
		olds = map[string]string{"csv": "id,name\n-1,old\n", "db": "create table data (id INTEGER, name TEXT); insert into data values (-1, 'old')"}[destination]
	}
	params, want := crashSetup(t, dir, other, to, mode, olds)
	delete(params, "destination_table")
	if source == "pg" {
		var rows []string
		for i := range crashRecords {
			rows = append(rows, fmt.Sprintf("(%d, 'n%03d')", i, i))
		}
		s.Exec(t, name, "create table source (id bigint primary key, name text); insert into source values "+strings.Join(rows, ","))
		params["source_path"], params["source_table"] = s.SocketURL(name), "source"
	}
	if destination != "pg" {
		if destination == "db" {
			params["destination_table"] = "data"
		}
		return params, func() string { return content(t, params["destination_path"].(string)) }, want
	}
	if old != "" {
		s.Exec(t, name, old)
	}
	params["destination_path"], params["destination_table"] = s.SocketURL(name), "data"
	if mode == "upsert" {
		params["key"] = "id"
		s.Exec(t, name, "create table data (id bigint primary key, name text); insert into data values (3, 'old'), (-1, 'kept')")
		want = `{"id":-1,"name":"kept"}` + "\n" + want
	}
	return params, func() string { return s.Query(t, name, "select row_to_json(d) from data d order by id") }, want
}

var pgCrashCases = []struct{ source, destination, mode string }{
	{"csv", "pg", "create"}, {"jsonl", "pg", "replace"}, {"db", "pg", "append"}, {"csv", "pg", "upsert"},
	{"pg", "pg", "create"}, {"pg", "csv", "create"}, {"pg", "db", "append"},
}

func (l *line) checkPG(t *testing.T, got func() string, want string) {
	t.Helper()
	res := l.finish()
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Fatalf("content (-want +got):\n%s\n%s", diff, l.host.Output())
	}
	if res.Migrated != crashRecords || !res.Verified {
		t.Fatalf("result: %+v", res)
	}
}

// TestPostgresCrashAnywhere is TestCrashAnywhere with PostgreSQL.
func TestPostgresCrashAnywhere(t *testing.T) {
	for i, tt := range pgCrashCases {
		t.Run(tt.source+" to "+tt.destination+" "+tt.mode, func(t *testing.T) {
			t.Parallel()
			points := 0
			s, name := pgDatabase(t)
			for n := 1 + i%4; ; n += 4 { // every fourth point, the others in the next cases
				s.Exec(t, name, "drop schema public cascade", "create schema public")
				params, got, want := pgCrash(t, s, name, tt.source, tt.destination, tt.mode)
				l := prepare(t, params)
				crashAt(l, "", n)
				_, err := l.attempt(t.Context())
				if err == nil {
					break
				}
				points++
				crashAt(l, "", 0)
				l.checkPG(t, got, want)
			}
			if points < 4 {
				t.Errorf("only %d points", points)
			}
		})
	}
}

// TestPostgresSecrets: a password is in no place that anybody sees.
func TestPostgresSecrets(t *testing.T) {
	s, name := pgDatabase(t, pgMake...)
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte(pgtest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_PG_PASSWORD", pgtest.Password)
	inURL := strings.Replace(s.URL(name), "postgres@", "postgres:"+urlPassword()+"@", 1)
	for how, params := range map[string]map[string]any{
		"literal":   paths(s.URL(name), "", "source_password", pgtest.Password),
		"env":       paths(s.URL(name), "", "source_password", "env:TEST_PG_PASSWORD"),
		"file":      paths(s.URL(name), "", "source_password", "file:"+file),
		"url":       paths(inURL, ""),
		"parameter": paths(s.URL(name)+"&password="+urlPassword(), ""),
	} {
		t.Run(how, func(t *testing.T) {
			params["destination_path"] = filepath.Join(t.TempDir(), "out.csv")
			l := prepareSecret(t, params)
			res := l.finish()
			if res.Migrated != 3 {
				t.Errorf("result: %+v", res)
			}
			seen := string(l.task.Params) + l.task.Title + l.host.Output() + string(encode(t, res)) + string(encode(t, l.host.Reports()))
			for _, leak := range []string{pgtest.Password, urlPassword(), "s3cret"} {
				if strings.Contains(seen, leak) {
					t.Errorf("%q in %s", leak, seen)
				}
			}
		})
	}
}

func urlPassword() string { return "s3cret%20p%40ss%2Fw%C3%B6rd" }

func TestPostgresRefusals(t *testing.T) {
	s, name := pgDatabase(t, pgMake...)
	s.Exec(t, name, "create role nobody_"+name+" login password 'x'", "create view v as select 1 as a")
	limited := strings.Replace(s.URL(name), "postgres@", "nobody_"+name+":x@", 1)
	csv := write(t, "data.csv", csvData)
	out := filepath.Join(t.TempDir(), "out.csv")
	for _, tt := range []struct {
		name   string
		params map[string]any
		code   task.Code
		want   string
	}{
		{"wrong password", paths(s.URL(name), out, "source_password", "wr0ng"), task.PermissionDenied, "password"},
		{"no server", paths("postgres://u:wr0ng@127.0.0.1:1/x", out), task.Unavailable, "pg_isready"},
		{"unknown database", paths(s.SocketURL("nope"), out), task.FailedPrecondition, "nope"},
		{"unknown table", paths(s.SocketURL(name), out, "table", "nope"), task.InvalidArgument, "it has data"},
		{"no right to read", paths(limited, out, "table", "data"), task.PermissionDenied, "GRANT SELECT"},
		{"no right to create", paths(csv, limited), task.PermissionDenied, "GRANT CREATE"},
		{"no TLS", paths(strings.Replace(s.URL(name), "disable", "require", 1), out, "source_password", "wr0ng"), task.FailedPrecondition, "sslmode"},
		{"bad URL", paths("postgres://u:wr0ng@h:port/x", out), task.InvalidArgument, "not a valid URL"},
		{"bad option", paths("postgres://u:wr0ng@h/x?sslmode=maybe", out), task.InvalidArgument, "sslmode"},
		{"table there", paths(csv, s.SocketURL(name)), task.FailedPrecondition, "exists already"},
		{"a view", paths(csv, s.SocketURL(name), "table", "v", "mode", "replace"), task.InvalidArgument, "view"},
		{"no schema", paths(csv, s.SocketURL(name), "table", "nope.t"), task.InvalidArgument, "CREATE SCHEMA"},
		{"append without a key", paths(s.SocketURL(name), s.SocketURL(name), "source_table", "data", "destination_table", "data", "mode", "append"), task.InvalidArgument, "no key"},
		{"upsert without a key", paths(csv, s.SocketURL(name), "mode", "upsert"), task.InvalidArgument, "key"},
		{"upsert without an index", paths(csv, s.SocketURL(name), "mode", "upsert", "key", "id"), task.InvalidArgument, "CREATE UNIQUE INDEX"},
		{"upsert of a file", paths(csv, out, "mode", "upsert", "key", "id"), task.InvalidArgument, "only a table"},
		{"a query that writes", paths(s.SocketURL(name), out, "query", "delete from data returning *"), task.InvalidArgument, "syntax"},
		{"a bad query", paths(s.SocketURL(name), out, "query", "select nope from data"), task.InvalidArgument, "nope"},
		{"no env", paths(s.URL(name), out, "source_password", "env:NOT_THERE"), task.FailedPrecondition, "NOT_THERE"},
		{"password without a database", paths(csv, out, "source_password", "wr0ng"), task.InvalidArgument, "no database URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New().Prepare(t.Context(), task.Spec{Params: encode(t, tt.params)})
			if err == nil {
				t.Fatal("accepted")
			}
			e := task.AsError(err)
			if e.Code != tt.code || !strings.Contains(e.Message+"\n"+e.Hint, tt.want) {
				t.Errorf("%s: %s (hint %q), want %s with %q", e.Code, e.Message, e.Hint, tt.code, tt.want)
			}
			if raw, err := json.Marshal(e); err != nil || strings.Contains(string(raw)+e.Error(), "wr0ng") || e.Hint == "" && tt.want != "only a table" && tt.want != "no database URL" {
				t.Errorf("password leaked, or no hint: %s", raw)
			}
		})
	}
}

package migration

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/ipc/task"
)

const allTypes = `create type mood as enum ('sad', 'ok'); create domain pos as int check (value > 0);
create table data (id int primary key, b bool, i2 int2, i8 int8, n numeric, n2 numeric(10,2), f4 float4, f8 float8, t text, v varchar(5), c char(4),
	x bytea, tz timestamptz, ts timestamp, d date, tm time, u uuid, j json, jb jsonb, a int[], e mood, p pos, iv interval, ip inet);
insert into data values
	(1, true, -32768, 9223372036854775807, 12345678901234567890123456789.1230, 1.50, 0.1, 1e100, E'a"b\\c\td\ne\rf', '00123', 'ab', '\x00ff', '2026-01-02 03:04:05.678901+02', '2026-01-02 03:04:05', '2026-01-02', '03:04:05', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{"b":1,  "a":[1.50]}', '{"b":1,"a":2}', '{1,NULL,3}', 'ok', 7, '1 day 2 hours', '10.0.0.1/8'),
	(2, false, 0, 0, 'NaN', -0.01, 'Infinity', 'NaN', '', '', '', '', 'infinity', '-infinity', '0044-03-15 BC', '24:00', null, '"text"', 'null', '{}', null, null, '-1 mon', '::1'),
	(3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)`

// TestPostgresTypes: between databases of PostgreSQL every value arrives as it was, with its type.
func TestPostgresTypes(t *testing.T) {
	s, from := pgDatabase(t, allTypes)
	const rows = "select * from data order by id"
	const types = "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'data'::regclass and attnum > 0 order by attnum"
	_, to := pgDatabase(t, "create type mood as enum ('sad', 'ok'); create domain pos as int")
	migrate(t, paths(s.SocketURL(from), s.SocketURL(to)))
	for _, sql := range []string{rows, types} {
		if diff := cmp.Diff(s.Query(t, from, sql), s.Query(t, to, sql)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	// The other database does not know the enumeration: its texts arrive.
	_, poor := pgDatabase(t)
	migrate(t, paths(s.SocketURL(from), s.SocketURL(poor)))
	if diff := cmp.Diff(s.Query(t, from, rows), s.Query(t, poor, rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPostgresFileTypes: by way of a file, into a table with the same types.
func TestPostgresFileTypes(t *testing.T) {
	for _, ext := range []string{"jsonl", "db", "csv"} {
		t.Run(ext, func(t *testing.T) {
			s, from := pgDatabase(t, allTypes)
			if ext != "jsonl" { // JSON texts of PostgreSQL that are no documents, and "" in a json column, lose their kind
				s.Exec(t, from, "delete from data where id = 2")
			}
			if ext == "csv" { // it has no NULL
				s.Exec(t, from, "delete from data where id = 3")
			}
			file := filepath.Join(t.TempDir(), "data."+ext)
			migrate(t, paths(s.SocketURL(from), file))
			_, to := pgDatabase(t, allTypes, "delete from data", "alter table data alter a type text", "alter table data alter jb drop not null")
			migrate(t, paths(file, s.SocketURL(to), "mode", "append"))
			const rows = "select id,b,i2,i8,n2,f4,f8,t,v,c,x,tz,ts,d,tm,u,e,p,iv,ip,n from data order by id"
			if diff := cmp.Diff(s.Query(t, from, rows), s.Query(t, to, rows)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPostgresInferred: what a column of a text file becomes in a new table.
func TestPostgresInferred(t *testing.T) {
	src := write(t, "data.csv", "zip,big,price,pi,exp,mixed,date\n007,12345678901234567890,1.50,3.14,1e+21,1,2026-01-02\n1,-1,2,2,0.5,x,2026-01-03\n")
	s, name := pgDatabase(t)
	migrate(t, paths(src, s.SocketURL(name)))
	want := "007|12345678901234567890|1.50|3.14|1e+21|1|2026-01-02\n1|-1|2|2|0.5|x|2026-01-03\n"
	if diff := cmp.Diff(want, s.Query(t, name, "select * from data")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const types = "select string_agg(format_type(atttypid, atttypmod), ',' order by attnum) from pg_attribute where attrelid = 'data'::regclass and attnum > 0"
	if got := s.Query(t, name, types); got != "text,numeric,numeric,double precision,double precision,text,text\n" {
		t.Errorf("types: %s", got)
	}
}

// TestPostgresMalformed: what PostgreSQL cannot hold is named, and can be left out.
func TestPostgresMalformed(t *testing.T) {
	for _, tt := range []struct{ name, ext, content, table, want string }{
		{"NUL", "jsonl", "{\"t\":\"a\\u0000b\"}\n{\"t\":\"good\"}\n", "", "NUL byte"},
		{"UTF-8", "csv", "t\na\xffb\ngood\n", "", "not valid UTF-8"},
		{"a constraint", "csv", "t\nbad\ngood\n", "create table data (t text check (t = 'good'))", "refused by the table"},
		{"a type", "csv", "t\n2026-02-30\n2026-02-28\n", "create table data (t date)", "column t"},
		{"digits", "csv", "t\n1.005\n1.5\n", "create table data (t numeric(6,2))", "would lose digits"},
		{"range", "csv", "t\n70000\n7\n", "create table data (t int2)", "16 bits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, name := pgDatabase(t)
			mode := "create"
			if tt.table != "" {
				s.Exec(t, name, tt.table)
				mode = "append"
			}
			src := write(t, "data."+tt.ext, tt.content)
			l := prepare(t, paths(src, s.SocketURL(name), "mode", mode, "destination_table", "data"))
			_, err := l.attempt(t.Context())
			wantCode(t, err, task.InvalidArgument, tt.want)
			if tt.table == "" {
				s.Exec(t, name, "drop table data; drop table _durable_position")
			}
			res := migrate(t, paths(src, s.SocketURL(name), "mode", mode, "destination_table", "data", "on_error", "skip"))
			if res.Migrated != 1 || res.Skipped != 1 || !res.Verified {
				t.Errorf("result: %+v", res)
			}
		})
	}
}

// TestUpsert: the last record of a key wins, in both databases, and the others stay.
func TestUpsert(t *testing.T) {
	src := write(t, "data.csv", "id,name\n1,one\n2,two\n1,uno\n,nobody\n1,ein\n")
	s, name := pgDatabase(t, "create table data (id int primary key, name text, more int default 7); insert into data values (2, 'old', 1), (9, 'kept', 2)")
	res := migrate(t, paths(src, s.SocketURL(name), "mode", "upsert", "key", "id", "on_error", "skip"))
	want := "1|ein|7\n2|two|1\n9|kept|2\n"
	if diff := cmp.Diff(want, s.Query(t, name, "select * from data order by id")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if res.Migrated != 4 || res.Skipped != 1 || !res.Verified {
		t.Errorf("result: %+v", res)
	}
	db := sqlExec(t, filepath.Join(t.TempDir(), "out.db"), "create table data (id INTEGER PRIMARY KEY, name TEXT, more INTEGER default 7)",
		"insert into data values (2, 'old', 1), (9, 'kept', 2)")
	migrate(t, paths(src, db, "mode", "upsert", "key", "id", "on_error", "skip"))
	if diff := cmp.Diff("id INTEGER, name TEXT, more INTEGER\n1|'ein'|7\n2|'two'|1\n9|'kept'|2\n", dump(t, db, "data")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fresh := filepath.Join(t.TempDir(), "new.db")
	migrate(t, paths(src, fresh, "mode", "upsert", "key", "id", "on_error", "skip"))
	migrate(t, paths(src, fresh, "mode", "upsert", "key", "id", "on_error", "skip"))
	if diff := cmp.Diff("id INTEGER, name TEXT\n1|'ein'\n2|'two'\n", dump(t, fresh, "data")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSQLiteQuery: a query of a SQLite source, with and without a key.
func TestSQLiteQuery(t *testing.T) {
	src := sqlExec(t, filepath.Join(t.TempDir(), "data.db"), sqliteMake...)
	dst := filepath.Join(t.TempDir(), "out.csv")
	migrate(t, paths(src, dst, "query", "select id, upper(name) as n from data where id < 5", "key", "id"))
	if got := read(t, dst); got != "id,n\n1,ANA\n2,JOSé\n" {
		t.Errorf("got %q", got)
	}
	_, err := New().Prepare(t.Context(), task.Spec{Params: encode(t, paths(src, dst+"2", "destination_format", "csv", "query", "drop table data"))})
	wantCode(t, err, task.InvalidArgument, "query")
}

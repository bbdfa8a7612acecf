package migration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// places are the formats of the round trips; each place is made by the test that writes to it.
var places = []string{"csv", "jsonl", "parquet", "db", "postgres"}

// place returns a fresh place of a format.
func place(t *testing.T, format string) string {
	t.Helper()
	if format == "postgres" {
		s, name := pgDatabase(t)
		return s.SocketURL(name)
	}
	return filepath.Join(t.TempDir(), "data."+format)
}

func isTable(path string) bool { return isPostgres(path) || strings.HasSuffix(path, ".db") }

// move migrates from one place to another, with the table data in both.
func move(t *testing.T, from, to string) {
	t.Helper()
	p := paths(from, to)
	if isTable(from) || isTable(to) {
		p["table"] = "data"
	}
	migrate(t, p)
}

// TestTypesMeet: types of PostgreSQL go to Parquet and back as such, by renamed columns; dry_run tells them.
func TestTypesMeet(t *testing.T) {
	s, from := pgDatabase(t, "create table data (id int primary key, n numeric(10,2), m numeric, x bytea, tz timestamptz, ts timestamp, d date)",
		`insert into data values (1, 1.50, 1.500, '\x00ff', '2026-01-02 03:04:05.678901+02', '2026-01-02 03:04:05', '2026-01-02'), (2, -0.01, 123456789012345678901, null, null, null, null), (3, 0, 0, '', '1999-12-31 23:59:59Z', '0001-01-01', '9999-12-31')`)
	pq := filepath.Join(t.TempDir(), "data.parquet")
	migrate(t, paths(s.SocketURL(from), pq, "rate_limit", 1e6, "columns", []string{"key=id", "n", "m", "x", "tz", "ts", "d"}))
	_, to := pgDatabase(t)
	p := paths(pq, s.SocketURL(to), "columns", []string{"id=key", "n", "m", "x", "tz", "ts", "d"}, "on_error", "file")
	p["dry_run"] = true
	const create = `create table "public"."data" ("id" bigint, "n" numeric(10,2), "m" numeric, "x" bytea, "tz" timestamp with time zone, "ts" timestamp without time zone, "d" date)`
	if res := migrate(t, p); res.CreateTable != create || res.Migrated != 0 {
		t.Errorf("dry run: %+v", res)
	}
	delete(p, "dry_run")
	migrate(t, p)
	const rows = "select * from data order by id"
	if diff := cmp.Diff(s.Query(t, from, rows), s.Query(t, to, rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPostgresRejects: what a table refuses is kept as an artifact, NaN too.
func TestPostgresRejects(t *testing.T) {
	s, name := pgDatabase(t, "create table source (id int primary key, n numeric); insert into source values (1, 'NaN'), (2, 2)",
		"create table data (id bigint primary key, n numeric check (n < 3))")
	res := migrate(t, paths(s.SocketURL(name), s.SocketURL(name), "source_table", "source", "destination_table", "data", "mode", "append", "on_error", "file"))
	if res.Migrated != 1 || res.Skipped != 1 || filepath.Base(res.Rejects) != "rejected.jsonl" {
		t.Fatalf("result: %+v", res)
	}
	if got := read(t, res.Rejects); !strings.Contains(got, `"record":{"id":1,"n":"NaN"}`) {
		t.Errorf("rejected: %s", got)
	}
}

// TestKeyRenamed: a query goes on after a crash by a key that goes under another name.
func TestKeyRenamed(t *testing.T) {
	s, name := pgDatabase(t, "create table data (id int, name text); insert into data select i, 'n' || i from generate_series(1, 20) i")
	for _, key := range []string{"id", "key"} {
		dst := filepath.Join(t.TempDir(), "out.csv")
		l := prepare(t, paths(s.SocketURL(name), dst, "query", "select * from data", "key", key, "columns", []string{"key=id"}, "batch_size", 4))
		crashAt(l, "write", 4)
		if _, err := l.attempt(t.Context()); err == nil {
			t.Fatal("no crash")
		}
		crashAt(l, "", 0)
		res := l.finish()
		if res.ResumedFrom == 0 || strings.Count(read(t, dst), "\n") != 21 {
			t.Errorf("%s: %+v, %s", key, res, read(t, dst))
		}
	}
}

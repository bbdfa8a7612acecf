package migration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job"
	"durable/ipc/task"
)

// shop is a database of several tables.
func shop(t *testing.T) string {
	return sqlExec(t, filepath.Join(t.TempDir(), "shop.db"),
		"create table orders (id INTEGER PRIMARY KEY, zip TEXT)", "insert into orders values (1, '007'), (2, NULL), (5, '')",
		"create table Kunden (name TEXT, at JSON)", `insert into Kunden values ('Søn', '{"a":1}'), ('x', NULL)`,
		"create table empty (id INTEGER)", "create view v as select * from orders",
		"create table last (id INTEGER)", "insert into last values (1), (2), (3), (4), (5)")
}

var shopTables = map[string]string{
	"orders": "id INTEGER, zip TEXT\n1|'007'\n2|NULL\n5|''\n", "Kunden": "name TEXT, at JSON\n'Søn'|'{\"a\":1}'\n'x'|NULL\n",
	"empty": "id INTEGER\n", "last": "id INTEGER\n1\n2\n3\n4\n5\n",
}

func checkShop(t *testing.T, db string) {
	t.Helper()
	for name, want := range shopTables {
		if diff := cmp.Diff(want, dump(t, db, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := dump(t, db, "sqlite_schema"); strings.Contains(got, positionTable) || strings.Contains(got, "'v'") {
		t.Errorf("schema: %s", got)
	}
}

// TestTables: all tables of a database become those of another, or files of a folder.
func TestTables(t *testing.T) {
	from := shop(t)
	to := filepath.Join(t.TempDir(), "copy.db")
	res := migrate(t, paths(from, to, "table", "*"))
	checkShop(t, to)
	if res.Migrated != 10 || res.Total != 10 || !res.Verified || len(res.Tables) != 4 || res.Tables[0].Table != "Kunden" || res.Tables[0].Migrated != 2 {
		t.Errorf("result: %+v", res)
	}
	folder := t.TempDir()
	migrate(t, paths(from, folder, "table", "*", "destination_format", "jsonl"))
	got := map[string]string{}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got[filepath.Base(f)] = read(t, f)
	}
	if diff := cmp.Diff(map[string]string{
		"orders.jsonl": `{"id":1,"zip":"007"}` + "\n" + `{"id":2,"zip":null}` + "\n" + `{"id":5,"zip":""}` + "\n",
		"Kunden.jsonl": `{"name":"Søn","at":{"a":1}}` + "\n" + `{"name":"x","at":null}` + "\n",
		"empty.jsonl":  "", "last.jsonl": "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n{\"id\":5}\n",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTablesPostgres: there and back, with a schema, and names that want quotes.
func TestTablesPostgres(t *testing.T) {
	s, name := pgDatabase(t)
	migrate(t, paths(shop(t), s.SocketURL(name), "table", "*"))
	s.Exec(t, name, "create schema other", "create table other.t (x int primary key)", "insert into other.t values (7)")
	to := filepath.Join(t.TempDir(), "copy.db")
	res := migrate(t, paths(s.SocketURL(name), to, "table", "*"))
	if got := dump(t, to, "Kunden") + dump(t, to, "other.t"); got != "name TEXT, at JSON\n'Søn'|'{\"a\":1}'\n'x'|NULL\nx INTEGER\n7\n" || res.Migrated != 11 {
		t.Errorf("got %s, %+v", got, res)
	}
	_, again := pgDatabase(t, "create schema other")
	migrate(t, paths(s.SocketURL(name), s.SocketURL(again), "table", "*"))
	const rows = `select * from "Kunden"; select * from other.t; select * from last order by id; select to_regclass('_durable_position')`
	if diff := cmp.Diff(s.Query(t, name, rows), s.Query(t, again, rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTablesCrash: whatever point an attempt dies at, the next one goes on, and each table has each record once.
func TestTablesCrash(t *testing.T) {
	for format, step := range map[string]int{"db": 2, "csv": 5, "parquet": 7} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			from := shop(t)
			for n := 1; ; n += step + n%3 {
				to := filepath.Join(t.TempDir(), "copy.db")
				p := paths(from, to, "table", "*", "batch_size", 2)
				if format != "db" {
					to = t.TempDir()
					p = paths(from, to, "table", "*", "batch_size", 2, "destination_format", format)
				}
				l := prepare(t, p)
				crashAt(l, "", n)
				_, err := l.attempt(t.Context())
				if err == nil {
					if n < 30 {
						t.Errorf("only %d points", n)
					}
					return
				}
				crashAt(l, "", 0)
				l.finish()
				if format == "db" {
					checkShop(t, to)
				} else {
					migrate(t, paths(filepath.Join(to, "last."+format), filepath.Join(to, "last.jsonl")))
					if got := read(t, filepath.Join(to, "last.jsonl")); got != "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n{\"id\":5}\n" {
						t.Fatalf("crash at point %d: %s", n, got)
					}
				}
				if left, err := filepath.Glob(filepath.Join(to, "*.part*")); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			}
		})
	}
}

// TestTablesPlan: what Prepare finds, asks for and refuses.
func TestTablesPlan(t *testing.T) {
	from, folder := shop(t), t.TempDir()
	prepared := func(p map[string]any) (string, []task.Effect, error) {
		plan, err := New().Prepare(t.Context(), task.Spec{Kind: "data_migration", Params: encode(t, p)})
		return plan.Title, plan.Effects, err
	}
	title, effects, err := prepared(paths(from, folder, "table", "*", "destination_format", "csv", "mode", "replace"))
	if err != nil || len(effects) != 4 || effects[0].Path != filepath.Join(folder, "Kunden.csv") || !strings.HasPrefix(title, "shop.db -> ") {
		t.Errorf("%s, %v, %v", title, effects, err)
	}
	dry := migrate(t, paths(from, filepath.Join(folder, "copy.db"), "table", "*", "dry_run", true))
	if !dry.DryRun || dry.Success || dry.Total != 10 || dry.Migrated != 0 || len(dry.Tables) != 4 ||
		dry.Tables[3].CreateTable != `create table "orders" ("id" INTEGER, "zip" TEXT)` {
		t.Errorf("dry run: %+v", dry)
	}
	if err := os.WriteFile(filepath.Join(folder, "last.csv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		p    map[string]any
		want string
	}{
		{paths(from, folder, "table", "*", "destination_format", "csv"), "table last: destination"},
		{paths(from, folder, "table", "*"), "a folder; which format?"},
		{paths(from, filepath.Join(folder, "x.csv"), "table", "*"), "one file of csv for all tables"},
		{paths(from, from, "table", "*"), "the same file as the source"},
		{paths(filepath.Join(folder, "last.csv"), from, "table", "*"), "empty"},
		{paths(from, folder+"/x.db", "table", "*", "columns", []string{"id"}), "columns: table=* stands for all tables"},
		{paths(from, folder+"/x.db", "table", "*", "on_error", "file"), "on_error=file: not for all tables"},
		{paths(from, folder+"/x.db", "tables", []string{"orders"}), "tables: only table=* has them"},
		{paths(sqlExec(t, filepath.Join(t.TempDir(), "a.db"), `create table "a/b" (x)`), folder, "table", "*", "destination_format", "csv"), "its name is none of a file"},
	} {
		if _, _, err := prepared(tt.p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.p, err, tt.want)
		}
	}
}

// TestTablesProgress tells the table.
func TestTablesProgress(t *testing.T) {
	l := prepare(t, paths(shop(t), filepath.Join(t.TempDir(), "copy.db"), "table", "*"))
	l.finish()
	var plan job.Plan
	plan.Params = l.task.Params
	if want := `"tables":["Kunden","empty","last","orders"]`; !strings.Contains(string(plan.Params), want) {
		t.Errorf("params %s", plan.Params)
	}
	if out := fmt.Sprint(l.host.Output()); !strings.Contains(out, "table 2 of 4: empty") {
		t.Errorf("log: %s", out)
	}
}

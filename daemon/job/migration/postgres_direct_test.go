package migration

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"durable/ipc/task"
)

// FuzzShortWay: what the short way makes of a cell, the long way makes of it too.
func FuzzShortWay(f *testing.F) {
	for _, s := range []string{"", "x", "true", "false", "t", "1", "0", "-1", "-0", "007", "40000", "3000000000", "1.5", "1.50", "-0.5", "0.0000001", "123456789012345678",
		"9007199254740993", "a\tb\\c\nd\re", "\x00", "\xff", "é\\", "日本", `\N`, "1e5"} {
		f.Add(s)
	}
	decls := map[pgClass]string{pgBool: "boolean", pgInt2: "smallint", pgInt4: "integer", pgInt8: "bigint", pgNumeric: "numeric", pgFloat8: "double precision", pgText: "text"}
	f.Fuzz(func(t *testing.T, s string) {
		for class, decl := range decls {
			for _, typ := range []colType{typeNone, typeText, typeInteger, typeReal, typeDecimal, typeBoolean} {
				if typ == typeDecimal && s != "" && !textDecimal(s) {
					continue // the survey never says so
				}
				from := column{Name: "c", Type: typ}
				sink := &pgSink{p: &params{SourceFormat: formatCSV}, from: []column{from}, columns: []*pgColumn{{name: "c", decl: decl, class: class, scale: -1}}}
				sink.short = sink.shortColumns()
				var b batch
				var h, long hasher
				h.begin()
				if !sink.cells(&b, &h, [][]byte{[]byte(s)}) {
					continue
				}
				var v value = s
				if cast := (&delimitedSource{}).caster(from); cast != nil {
					v = cast(v)
				}
				v, err := sink.convert(v, 0)
				if err != nil {
					t.Errorf("%q to %s: the long way refuses it: %v", s, decl, err)
					continue
				}
				if h.sum() != long.row([]value{sink.normal(v)}) {
					t.Errorf("%q (%s) to %s: another hash", s, typ, decl)
				}
				got, want := string(b.text), string(appendCopyRow(nil, []value{v}))
				a, errA := strconv.ParseFloat(strings.TrimSpace(got), 64)
				z, errZ := strconv.ParseFloat(strings.TrimSpace(want), 64)
				if got != want && !(class == pgFloat8 && errA == nil && errZ == nil && a == z) {
					t.Errorf("%q (%s) to %s: sends %q, want %q", s, typ, decl, got, want)
				}
				if back := unescaped([]byte(strings.TrimSuffix(got, "\n"))); (back == nil) != (v == nil) || class == pgText && back != nil && string(back) != s {
					t.Errorf("%q to %s: reads back as %q", s, decl, back)
				}
			}
		}
	})
}

// TestPostgresRefusedAmongMany: each record that the server refuses is found, wherever it is in a batch, and no other.
func TestPostgresRefusedAmongMany(t *testing.T) {
	const records = 3000
	server, name := pgDatabase(t, "create table data (id bigint primary key, note varchar(8) check (note <> 'bad'), n numeric)")
	var csv strings.Builder
	csv.WriteString("id,note,n\n")
	bad := func(i int) bool { return i == 1 || i == records || i%271 == 0 || i > 1000 && i < 1010 }
	var want strings.Builder
	for i := 1; i <= records; i++ {
		note := "tab\tnl\\"
		switch {
		case !bad(i):
			_, _ = fmt.Fprintf(&want, "%d\n", i)
		case i%2 == 0:
			note = "bad"
		default:
			note = "much\ttoo long\\"
		}
		_, _ = fmt.Fprintf(&csv, "%d,%s,%d.50\n", i, note, i)
	}
	res := migrate(t, paths(write(t, "in.csv", csv.String()), server.SocketURL(name), "destination_table", "data", "mode", "append", "on_error", "file"))
	if got := server.Query(t, name, "select id from data order by id"); got != want.String() {
		t.Errorf("rows: %d, want %d", strings.Count(got, "\n"), strings.Count(want.String(), "\n"))
	}
	lines := strings.Split(strings.TrimSpace(read(t, res.Rejects)), "\n")
	if int64(len(lines)) != res.Skipped || res.Skipped+res.Migrated != records {
		t.Fatalf("%d rejected, result %+v", len(lines), res)
	}
	for _, line := range lines {
		var r struct {
			Line   int
			Record struct {
				ID   int
				Note string
				N    json.Number
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		note := map[bool]string{true: "bad", false: "much\ttoo long\\"}[r.Record.ID%2 == 0]
		if !bad(r.Record.ID) || r.Line != r.Record.ID+1 || r.Record.Note != note || r.Record.N.String() != fmt.Sprintf("%d.50", r.Record.ID) {
			t.Errorf("rejected: %s", line)
		}
	}
}

// TestPostgresVerifiedInParts: a large table is read back in parts; what is changed in either of them is seen.
func TestPostgresVerifiedInParts(t *testing.T) {
	const records = 10_000
	var csv strings.Builder
	csv.WriteString("id,note\n")
	for i := range records {
		_, _ = fmt.Fprintf(&csv, "%d,%s\n", i, strings.Repeat(strconv.Itoa(i%10), 1000))
	}
	source := write(t, "in.csv", csv.String())
	for _, change := range []string{"", "delete from data where id = 7", "update data set note = 'x' where id = 9990", "insert into data values (1, '')"} {
		t.Run(change, func(t *testing.T) {
			server, name := pgDatabase(t)
			l := prepare(t, paths(source, server.SocketURL(name), "destination_table", "data"))
			l.kind.hook = func(point string) error {
				if point == "verify" && change != "" {
					server.Exec(t, name, change)
				}
				return nil
			}
			_, err := l.attempt(t.Context())
			if change != "" {
				wantCode(t, err, task.Internal, "differs from what was written")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if pages := server.Query(t, name, fmt.Sprintf("select pg_relation_size('data') >= 8192 * %d", dividedPages)); pages != "t\n" {
				t.Errorf("the table is too small for this test: %s", pages)
			}
		})
	}
}

package migration

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/daemon/job/jobtest"
	"durable/ipc/task"
)

// TestInference: a type is given only where the text comes back as it was.
func TestInference(t *testing.T) {
	for _, tt := range []struct {
		cells []string
		want  colType
	}{
		{[]string{"1", "", "-20", "9223372036854775807", "-9223372036854775808"}, typeInteger},
		{[]string{"1", "2.5", "-0.001", "1e+21"}, typeReal},
		{[]string{"2.5", "9007199254740993"}, typeText},
		{[]string{"9007199254740993", "2.5"}, typeText},
		{[]string{"9007199254740993", "1", "2.5"}, typeText},
		{[]string{"true", "false", ""}, typeBoolean},
		{[]string{"true", "1"}, typeText},
		{[]string{"1", "007"}, typeText},
		{[]string{"1", "x", "2"}, typeText},
		{[]string{"", ""}, typeNone},
	} {
		var in inference
		for _, c := range tt.cells {
			in.text(c)
		}
		if in.typ != tt.want {
			t.Errorf("%q: %q, want %q", tt.cells, in.typ, tt.want)
		}
	}
	for _, s := range []string{"007", "1e5", "+1", " 1", "1 ", "-0", "1.50", "1.", ".5", "0x1", "1_000", "NaN", "Inf", "True",
		"9223372036854775808", "１", "-", "--1", "1,5", "0.1e1", "00", "-01"} {
		var in inference
		if in.text(s); in.typ != typeText {
			t.Errorf("%q became %q", s, in.typ)
		}
	}
}

func FuzzInference(f *testing.F) {
	for _, s := range []string{"1", "007", "1.50", "1e5", "+1", "-0", "true", "9223372036854775808", "0.1", "1e+21", "5e-324"} {
		f.Add(s, "2.5")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var in inference
		in.text(a)
		in.text(b)
		c := column{Type: in.typ}
		if c.Type == typeNone {
			c.Type = typeText
		}
		for _, s := range []string{a, b} {
			if got := toText(c.cast(s)); got != s {
				t.Errorf("%q in a column of type %q comes back as %q", s, c.Type, got)
			}
		}
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.50", "12345678901234567890", "3.14159265358979323846", "1e400", "1E5", "0.000", "1e-400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) || strings.ContainsAny(s, "\"{[ntf \t\r\n") {
			return
		}
		written := string(appendJSON(nil, number(s)))
		if !json.Valid([]byte(written)) {
			t.Fatalf("%s becomes %s, which is not JSON", s, written)
		}
		a, errA := strconv.ParseFloat(s, 64)
		b, errB := strconv.ParseFloat(written, 64)
		if (errA == nil) != (errB == nil) || errA == nil && a != b {
			t.Fatalf("%s becomes %s", s, written)
		}
		if d := significant(s); d > 17 && written != s && significant(written) != d {
			t.Fatalf("%s loses digits: %s", s, written)
		}
	})
}

// FuzzAffinity: what apply returns is what SQLite gives back; the types are held against SQLite itself.
func FuzzAffinity(f *testing.F) {
	for _, s := range []string{"1", "007", " 7 ", "1e5", "1.0", "0x10", "12345678901234567890", "1e400", "-", ".5", "5.", "+3", "\v4", "4\x00", "Inf"} {
		f.Add(s, int64(7), 1.5)
	}
	db, err := openDatabase(context.Background(), "test", filepath.Join(f.TempDir(), "a.db"), mayCreate)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.close() }) // a scratch file
	decls := []string{"", "TEXT", "INTEGER", "REAL", "NUMERIC"}
	if _, err := db.exec(context.Background(), `create table a ("", b TEXT, c INTEGER, d REAL, e NUMERIC)`); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string, n int64, x float64) {
		for i, decl := range decls {
			for _, v := range []value{s, n, x, n == 0, []byte(s), nil} {
				want, err := affinityOf(decl).apply(v)
				if err != nil {
					continue // refused: nothing is stored
				}
				name := quote([]string{"", "b", "c", "d", "e"}[i])
				if _, err := db.exec(t.Context(), "delete from a"); err != nil {
					t.Fatal(err)
				}
				if _, err := db.exec(t.Context(), "insert into a ("+name+") values (?)", want); err != nil {
					t.Fatal(err)
				}
				row, err := db.one(t.Context(), "select +"+name+" from a")
				if err != nil {
					t.Fatal(err)
				}
				var h hasher
				if h.row([]value{want}) != h.row([]value{stored(row[0])}) {
					t.Errorf("%T %v in a column %q: want %T %v back, got %T %v", v, v, decl, want, want, row[0], row[0])
				}
			}
		}
	})
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{`{"a":1}`, ` {"a" : [1,{"b":"}"}] , "c":"\"\\" } `, `{}`, `[]`, `{"a":1,"a":2}`, `{"é":"\u00e9\ud800"}`, `{"a":}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		line = []byte(strings.TrimSpace(string(line)))
		if len(line) == 0 {
			return
		}
		members, err := parseObject(line, nil)
		var want map[string]json.RawMessage
		if json.Unmarshal(line, &want) != nil || want == nil {
			if err == nil {
				t.Fatalf("%q: accepted", line)
			}
			return
		}
		if err != nil {
			return // twice the same key, or not UTF-8
		}
		if len(members) != len(want) {
			t.Fatalf("%q: %d members, want %d", line, len(members), len(want))
		}
		for _, m := range members {
			var got, exp any
			v, err := toJSON(m.value)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if err := json.Unmarshal(appendJSON(nil, v), &got); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
				t.Fatalf("%q: %v", line, err)
			}
			if err := json.Unmarshal(want[string(m.key)], &exp); err == nil {
				if diff := cmp.Diff(exp, got); diff != "" {
					t.Fatalf("%q (-want +got):\n%s", line, diff)
				}
			}
		}
	})
}

// FuzzDelimited: whatever bytes a CSV file holds, a migration of it ends with a verified copy or a
// clear error, and the copy reads as the source does.
func FuzzDelimited(f *testing.F) {
	for _, s := range []string{csvData, "a\n\n\"\"\n", "a,b\r\n1,\"x\r\ny\"\r\n", "\xef\xbb\xbfa\n1", "a\n\"", "a,b\n1\n", "a\n\r\r\n", "a\n\x00\n", ",\n,\n"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, toTable bool) {
		dir := t.TempDir()
		src, dst := filepath.Join(dir, "s.csv"), filepath.Join(dir, "d.csv")
		if toTable {
			dst = filepath.Join(dir, "d.db")
		}
		if err := os.WriteFile(src, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k := New()
		raw, err := json.Marshal(paths(src, dst, "on_error", "skip"))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := k.Prepare(t.Context(), task.Spec{Params: raw})
		if err != nil {
			return
		}
		got, err := k.Run(t.Context(), jobtest.New(t).Context(task.Task{ID: "1", RootID: "1", Attempt: 1, Params: plan.Params}))
		if err != nil {
			if task.AsError(err).Code == task.Internal {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if res := got.(*result); !res.Verified || res.Migrated != res.Total {
			t.Fatalf("%q: %+v", text, res)
		}
	})
}

func TestHash(t *testing.T) {
	rows := [][]value{
		{"a", "b"}, {"ab", ""}, {"", "ab"}, {nil, "ab"}, {missing{}, "ab"}, {[]byte{}, "ab"}, {int64(1), nil}, {"1", nil},
		{true, nil}, {false, nil}, {1.5, nil}, {document("{}"), nil}, {"{}", nil}, {decimal("1"), nil}, {math.Inf(1), nil}, {1e19, nil},
	}
	seen := map[uint64]int{}
	var h hasher
	for i, row := range rows {
		if j, ok := seen[h.row(row)]; ok {
			t.Errorf("%v and %v hash alike", rows[j], row)
		}
		seen[h.row(row)] = i
	}
	if h.row([]value{2.0}) != h.row([]value{int64(2)}) || h.row([]value{math.Copysign(0, -1)}) != h.row([]value{int64(0)}) {
		t.Error("a float without a fraction is not the integer")
	}
	var all, part digest
	for i, row := range rows {
		all.add(h.row(row))
		if i > 4 {
			part.add(h.row(row))
		}
	}
	if rest := all.minus(part); rest.Records != 5 || rest.plus(part) != all {
		t.Errorf("%+v less %+v is %+v", all, part, rest)
	}
}

func TestSplit(t *testing.T) {
	for _, r := range [][2]int64{{1, 1}, {1, 2}, {1, 100}, {math.MinInt64, math.MaxInt64}, {-5, 5}} {
		ranges := split(r[0], r[1], 2)
		if ranges[0][0] != r[0] || ranges[len(ranges)-1][1] != r[1] {
			t.Errorf("%v: %v", r, ranges)
		}
		for i := 1; i < len(ranges); i++ {
			if ranges[i][0] != ranges[i-1][1]+1 {
				t.Errorf("%v: %v", r, ranges)
			}
		}
	}
	if list(nil) != "none" {
		t.Error("list")
	}
}

package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const header = "id,name,paid,price\n"

// finding is what an audit counts.
type finding struct{ rows, lost, doubled, changed, foreign int }

func (a audit) finding() finding {
	return finding{a.destination.rows, a.lost, a.doubled, a.changed, a.foreign}
}

// files writes the two files.
func files(t testing.TB, csv, jsonl string) (string, string) {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a.csv"), filepath.Join(dir, "a.jsonl")
	for path, text := range map[string]string{from: csv, to: jsonl} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return from, to
}

func TestCompare(t *testing.T) {
	const (
		csv   = header + "1,\"O'Brien, Pat\",true,12.50\n2,\"two\nlines\",false,3\n3,,true,007\n"
		one   = `{"id":1,"name":"O'Brien, Pat","paid":true,"price":"12.50"}` + "\n"
		two   = `{"id":2,"name":"two\nlines","paid":false,"price":"3"}` + "\n"
		three = `{"id":3,"name":null,"paid":true,"price":"007"}` + "\n"
	)
	tests := []struct {
		name  string
		jsonl string
		want  finding
		exact bool
	}{
		{"the same", one + two + three, finding{rows: 3}, true},
		{"other types, same text", strings.Replace(one, `"12.50"`, `12.50`, 1) + two + three, finding{rows: 3}, true},
		{"a row is lost", one + three, finding{rows: 2, lost: 1}, false},
		{"the last row is lost", one + two, finding{rows: 2, lost: 1}, false},
		{"all rows are lost", "", finding{lost: 3}, false},
		{"a row is doubled", one + two + two + three, finding{rows: 4, doubled: 1}, false},
		{"a row is tripled", one + two + two + two + three, finding{rows: 5, doubled: 1}, false},
		{"one is lost and another doubled", one + two + two, finding{rows: 3, lost: 1, doubled: 1}, false},
		{"a cell is changed", one + two + strings.Replace(three, "007", "7", 1), finding{rows: 3, changed: 1}, false},
		{"a type eats digits", strings.Replace(one, `"12.50"`, `12.5`, 1) + two + three, finding{rows: 3, changed: 1}, false},
		{"cells are swapped", one + `{"id":2,"name":"3","paid":false,"price":"two\nlines"}` + three, finding{rows: 3, changed: 1}, false},
		{"a row from nowhere", one + two + three + strings.Replace(one, "1", "4", 1), finding{rows: 4, foreign: 1}, false},
		{"rows change places", two + one + three, finding{rows: 3}, false},
		{"a key is missing", one + two + `{"id":3,"paid":true,"price":"007"}`, finding{rows: 3, changed: 1}, false},
		{"a key too many", one + two + strings.Replace(three, "{", `{"x":1,`, 1), finding{rows: 3, changed: 1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := compare(files(t, csv, tt.jsonl))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.finding(); got != tt.want || a.exact() != tt.exact {
				t.Errorf("%+v exact %v, want %+v exact %v", got, a.exact(), tt.want, tt.exact)
			}
		})
	}
}

func TestCompareOfWhatCannotBeRead(t *testing.T) {
	good := `{"id":1,"name":"a","paid":true,"price":1}`
	tests := []struct{ name, csv, jsonl string }{
		{"half of a record", header + "1,a,true,1\n", good[:20]},
		{"no JSON", header + "1,a,true,1\n", "id,name\n"},
		{"no header", "", good},
		{"no rows", header, ""},
		{"two rows of one id in the source", header + "1,a,true,1\n1,a,true,1\n", good},
		{"a row with too few cells", header + "1,a\n", good},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, err := compare(files(t, tt.csv, tt.jsonl)); err == nil {
				t.Errorf("%+v, want an error", a.finding())
			}
		})
	}
	if _, err := compare(filepath.Join(t.TempDir(), "none"), ""); err == nil {
		t.Error("a file that is not there: want an error")
	}
}

// FuzzCompare: whatever the files hold, exact is said only of as many rows as there are in both.
func FuzzCompare(f *testing.F) {
	f.Add("id,name\n1,a\n", `{"id":1,"name":"a"}`)
	f.Add("id\n\"1\"\n", `{"id":{"id":[1]}} {"id":null}`)
	f.Add("\"\"\n", `{"":""} null 1`)
	f.Add("a,a\n1,2\n", `{"a":2}`)
	f.Fuzz(func(t *testing.T, csv, jsonl string) {
		a, err := compare(files(t, csv, jsonl))
		if err != nil {
			return
		}
		found := a.destination.rows - a.foreign
		if a.exact() && (a.source.rows != a.destination.rows || found != a.source.rows) {
			t.Errorf("exact: %d rows, %d there", a.source.rows, found)
		}
	})
}

func TestOrdersAreTheSameEachTime(t *testing.T) {
	var text [2]string
	for i := range text {
		path := filepath.Join(t.TempDir(), "orders.csv")
		size, err := writeOrders(path, 500)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(b)) != size {
			t.Errorf("size %d, want %d", size, len(b))
		}
		text[i] = string(b)
	}
	if text[0] != text[1] {
		t.Error("two files differ")
	}
	for _, hard := range []string{`"O'Brien, Pat"`, `"27"" monitor"`, "two lines:\nleave", ",007\n", "東京"} {
		if !strings.Contains(text[0], hard) {
			t.Errorf("%q is not in it", hard)
		}
	}
}

func TestBatchFor(t *testing.T) {
	tests := []struct {
		rows int
		sync time.Duration
		want int
	}{
		{200_000, 0, 1},
		{200_000, 200 * time.Microsecond, 20},
		{200_000, 2 * time.Millisecond, 200},
		{200_000, 30 * time.Millisecond, 1000},
		{MaxRows, time.Second, 1000},
		{MinRows, time.Microsecond, 1},
	}
	for _, tt := range tests {
		if got := batchFor(tt.rows, tt.sync); got != tt.want {
			t.Errorf("%d rows, %s: %d, want %d", tt.rows, tt.sync, got, tt.want)
		}
	}
}

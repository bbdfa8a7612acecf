package migration

import (
	"testing"
)

// FuzzShortWayParquet: what the short way makes of a cell, the long way makes of it too.
func FuzzShortWayParquet(f *testing.F) {
	for _, s := range []string{"", "x", "true", "false", "t", "1", "0", "-1", "-0", "007", "1.5", "1.50", "0.0000001", "1e+21", "123456789012345678", "9007199254740993",
		"9223372036854775807", "9223372036854775808", "\x00", "\xff", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range []colType{typeText, typeInteger, typeReal, typeBoolean} {
			col := column{Name: "c", Type: typ}
			sink := &parquetSink{columns: []column{col}}
			var v value = s
			if cast := (&delimitedSource{}).caster(col); cast != nil {
				v = cast(v)
			}
			v, err := sink.convert(v, 0)
			short, long := batch{width: 1}, batch{width: 1}
			var h, other hasher
			h.begin()
			if sink.cells(&short, &h, [][]byte{[]byte(s)}) {
				if err != nil {
					t.Errorf("%q as %s: the long way refuses it: %v", s, typ, err)
					continue
				}
				if h.sum() != other.row([]value{v}) {
					t.Errorf("%q as %s: another hash", s, typ)
				}
				short.hashes = []uint64{0}
				long.values, long.hashes = []value{v}, []uint64{0}
				check(t, sink, &short, &long)
			}
			if err == nil {
				added := batch{width: 1, hashes: []uint64{0}}
				sink.add(&added, []value{v})
				long.values, long.hashes = []value{v}, []uint64{0}
				check(t, sink, &added, &long)
			}
		}
	})
}

// check compares the library's values of two batches.
func check(t *testing.T, sink *parquetSink, a, b *batch) {
	t.Helper()
	got, errGot := sink.columnValues(nil, a, 0)
	want, errWant := sink.columnValues(nil, b, 0)
	if errGot != nil || errWant != nil || len(got) != 1 || !(got[0].IsNull() && want[0].IsNull() || got[0].Kind() == want[0].Kind() && got[0].String() == want[0].String()) {
		t.Errorf("%q: %v (%v), want %v (%v)", a.text, got, errGot, want, errWant)
	}
}

package migration

import (
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// loss is what records lose on the way to another format and back. What is declared here happens, exactly so, and
// nothing else: TestRoundTrips fails for a loss that is not here, and for one that is here and does not happen.
type loss struct {
	from, via, columns string
	// doc is the sentence or line of the package doc that tells users of it.
	doc string
	// typ is the type of the columns afterwards; "": the same, where the format has types.
	typ string
	// becomes is what each value is afterwards, as a literal of the format; nil: what it was.
	becomes func(literal string) string
}

// The lines of the package doc.
const (
	docNull    = "//	NULL                         empty             null"
	docDigits  = "//	other numbers                fewest digits     fewest digits"
	docBlob    = "//	blob                         base64            base64"
	docDoc     = "//	object, array                JSON text         as it is"
	docHuge    = "//	integer beyond int64         as written        as written        TEXT"
	docBeyond  = "//	number beyond float64        as written        as written        TEXT"
	docCSVText = "// A column of a CSV or TSV file gets a type only where every one of its cells is written back as it"
	docTypes   = "// Only Parquet and PostgreSQL have decimals of a size, dates and timestamps: elsewhere, and from elsewhere, they"
	docJSON    = "// it json, in which a string has its quotes."
	docDecimal = "//	decimal            JSON "
)

//go:embed doc.go
var packageDoc string

var losses = []loss{
	{"jsonl", "csv", "zip note at day bin", docNull, "", replaced("null", "''")},
	{"jsonl", "csv", "huge dec", docCSVText, "", inTurn(fewest, replaced("null", ""), quoteSQL)},
	{"jsonl", "csv", "doc", docDoc, "", inTurn(replaced("null", ""), quoteSQL)},
	{"jsonl", "csv jsonl parquet db postgres", "real", docDigits, "", fewest},
	{"jsonl", "jsonl parquet postgres", "dec", docDigits, "", fewest},
	{"jsonl", "db", "dec", docBeyond, "", inTurn(fewest, replaced("9999999999999999.99", "'9999999999999999.99'"))},
	{"jsonl", "db", "huge", docHuge, "", func(s string) string {
		if s == "null" || s == "3" {
			return s
		}
		return quoteSQL(s)
	}},

	{"parquet", "csv", "zip note", docNull, "", replaced("NULL", `""`)},
	{"parquet", "csv", "huge doc", docDoc, "STRING", replaced("NULL", `""`)},
	{"parquet", "csv jsonl", "bin", docBlob, "STRING", parquetBase64},
	{"parquet", "csv jsonl db", "at", docTypes, "STRING", parquetInstant},
	{"parquet", "csv jsonl db", "day", docTypes, "STRING", parquetDay},
	{"parquet", "csv db", "dec", docTypes, "STRING", parquetDecimal},
	{"parquet", "jsonl", "dec", docDecimal, "JSON", inTurn(parquetDecimal, replaced(`"1.50"`, `"1.5"`, `"0.00"`, `"0"`))},
	{"parquet", "db", "huge", docHuge, "", func(s string) string {
		if s == "NULL" || s == `"3"` {
			return s
		}
		return strconv.Quote(s)
	}},

	{"db", "csv", "zip note huge dec at day", docNull, "", replaced("NULL", "''")},
	{"db", "csv jsonl", "bin", docBlob, "TEXT", sqliteBase64},
	{"db", "csv", "doc", docDoc, "TEXT", replaced("NULL", "''")},

	{"postgres", "csv", "zip note", docNull, "", replaced("NULL", "''")},
	{"postgres", "csv", "doc", docDoc, "text", replaced("NULL", "''")},
	{"postgres", "csv jsonl", "bin", docBlob, "text", postgresBase64},
	{"postgres", "csv jsonl db", "at", docTypes, "text", postgresTime},
	{"postgres", "csv jsonl db", "day", docTypes, "text", replaced()},
	{"postgres", "csv", "dec", docTypes, "numeric", nil},
	{"postgres", "jsonl", "dec", docDigits, "numeric", replaced("'1.50'", "'1.5'", "'0.00'", "'0'")},
	{"postgres", "db", "dec", docTypes, "text", nil},
	{"postgres", "db", "huge", docJSON, "json", func(s string) string {
		if s == "NULL" || s == "'3'" {
			return s
		}
		return `'"` + strings.Trim(s, "'") + `"'`
	}},
}

func replaced(pairs ...string) func(string) string {
	return func(s string) string {
		for i := 0; i < len(pairs); i += 2 {
			if s == pairs[i] {
				return pairs[i+1]
			}
		}
		return s
	}
}

func inTurn(fs ...func(string) string) func(string) string {
	return func(s string) string {
		for _, f := range fs {
			s = f(s)
		}
		return s
	}
}

var fewest = replaced("1.50", "1.5", "0.00", "0", "1e-7", "1e-07")

func quoteSQL(s string) string { return "'" + s + "'" }

func parquetBase64(s string) string {
	if s == "NULL" {
		return s
	}
	raw, _ := strconv.Unquote(s) // Quote made it
	return strconv.Quote(base64.StdEncoding.EncodeToString([]byte(raw)))
}

func parquetInt(s string, format func(int64) string) string {
	n, err := strconv.ParseInt(strings.Trim(s, `"`), 10, 64)
	if err != nil {
		return s // NULL
	}
	return strconv.Quote(format(n))
}

func parquetInstant(s string) string {
	return parquetInt(s, func(n int64) string { return time.UnixMicro(n).UTC().Format(time.RFC3339Nano) })
}

func parquetDay(s string) string {
	return parquetInt(s, func(n int64) string { return time.Unix(n*86400, 0).UTC().Format(time.DateOnly) })
}

func parquetDecimal(s string) string {
	return parquetInt(s, func(n int64) string {
		sign := ""
		if n < 0 {
			sign, n = "-", -n
		}
		return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
	})
}

func hexBase64(s, before, after string) string {
	raw, err := hex.DecodeString(strings.TrimSuffix(strings.TrimPrefix(s, before), after))
	if err != nil {
		return s // NULL
	}
	return quoteSQL(base64.StdEncoding.EncodeToString(raw))
}

func sqliteBase64(s string) string   { return hexBase64(s, "X'", "'") }
func postgresBase64(s string) string { return hexBase64(s, `E'\\x`, "'") }

func postgresTime(s string) string {
	return strings.Replace(strings.Replace(s, " ", "T", 1), "+00'", "Z'", 1)
}

// lossOf returns what is declared of a column.
func lossOf(from, via, column string) (loss, bool) {
	for _, l := range losses {
		if l.from == from && slices.Contains(strings.Fields(l.via), via) && slices.Contains(strings.Fields(l.columns), column) {
			return l, true
		}
	}
	return loss{}, false
}

// roundTrips moves n records from each format through each and back: equal, or as declared.
func roundTrips(t *testing.T, n int) {
	for _, l := range losses {
		if !strings.Contains(packageDoc, l.doc) {
			t.Errorf("%s via %s: %s: the package doc does not say %q", l.from, l.via, l.columns, l.doc)
		}
	}
	for _, from := range places {
		for _, via := range places {
			t.Run(from+" via "+via, func(t *testing.T) {
				t.Parallel()
				source, back := trip(t, from, via, n)
				compareTrip(t, from, via, source, back, n)
			})
		}
	}
}

func compareTrip(t *testing.T, from, via, source, back string, n int) {
	var want [][]string
	types := natives[from].read(t, source, func(row []string) {
		if len(want) < len(nastyRows) {
			want = append(want, slices.Clone(row))
		}
	})
	lost := make([]bool, len(nastyColumns))
	wantTypes := slices.Clone(types)
	for i, c := range nastyColumns {
		l, ok := lossOf(from, via, c)
		if !ok {
			continue
		}
		if l.typ != "" {
			wantTypes[i] = c + " " + l.typ
			lost[i] = true
		}
		for _, row := range want {
			if before := row[i]; l.becomes != nil {
				row[i] = l.becomes(before)
				if row[i] == "NULL" && via == "csv" { // docNull
					row[i] = map[string]string{"parquet": `""`, "db": "''", "postgres": "''"}[from]
				}
				lost[i] = lost[i] || row[i] != before
			}
		}
		if !lost[i] {
			t.Errorf("%s: declared as a loss, but nothing is lost", c)
		}
	}
	got, wrong, seen := 0, 0, make([]bool, n)
	gotTypes := natives[from].read(t, back, func(row []string) {
		id, err := strconv.Atoi(strings.Trim(row[0], `'"`))
		got++
		if err != nil || id < 1 || id > n || seen[id-1] || via != "postgres" && id != got { // a table without a key has no order
			t.Fatalf("record %d has the id %s", got, row[0])
		}
		seen[id-1] = true
		for i, c := range nastyColumns[1:] {
			if expect := want[(id-1)%len(want)][i+1]; row[i+1] != expect {
				if wrong++; wrong <= 10 {
					t.Errorf("record %d: %s: %s, want %s", id, c, row[i+1], expect)
				}
			}
		}
	})
	if from == "db" { // a key is no type
		wantTypes[0] = "id INTEGER"
	}
	if !slices.Equal(gotTypes, wantTypes) {
		t.Errorf("types %q, want %q", gotTypes, wantTypes)
	}
	if got != n || wrong > 0 {
		t.Errorf("%d records, want %d; %d values differ", got, n, wrong)
	}
}

// TestRoundTrips: a few records; TestCIRoundTrips has 100,000.
func TestRoundTrips(t *testing.T) { roundTrips(t, 2*len(nastyRows)) }

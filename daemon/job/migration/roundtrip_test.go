package migration

import (
	"bufio"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"durable/daemon/job/migration/pgtest"
)

// What the round trips carry. The records repeat these rows, with an id of their own; each format has them in its own
// types, written and read by its own library or server, not by the code under test.
type nastyRow struct {
	zip, text, note *string
	big             *int64
	huge, dec       *string // numbers of any size, and with two decimals
	real            *float64
	yes             *bool
	at              *string // with a zone
	day             *string
	bin             []byte
	doc             *string
}

var nastyColumns = []string{"id", "zip", "text", "note", "big", "huge", "dec", "real", "yes", "at", "day", "bin", "doc"}

var nastyRows = []nastyRow{
	{new("00420"), new("a \"quoted\", cell\nof two lines"), nil, new(int64(9223372036854775807)), new("12345678901234567890"), new("1.50"),
		new(-0.5), new(true), new("2026-01-02T03:04:05.123456+02:00"), new("2026-01-02"), []byte{0, 0xff, '\n'}, new(`{"a":[1,"x"],"b":null}`)},
	{new("007"), new("Søn 日本 🎉 e\u0301"), new(""), new(int64(-9223372036854775808)), new("-98765432109876543210987654321"), new("-0.01"),
		new(1e100), new(false), new("1999-12-31T23:59:59Z"), new("1969-12-31"), []byte{}, new(`[]`)},
	{nil, new(`back\slash \N 'single' $1 ; --`), new("x"), nil, nil, nil, nil, nil, nil, nil, nil, nil},
	{new(""), new("\ttab, and spaces "), new(" "), new(int64(9007199254740993)), new("9223372036854775808"), new("9999999999999999.99"),
		new(0.1), new(true), new("2026-07-01T00:00:00.5-11:30"), new("2026-02-28"), []byte("ASCII"), new(`{"k":"ünï"}`)},
	{new("1e5"), new("NULL"), nil, new(int64(0)), new("3"), new("0.00"), new(1e-7), nil, new("2026-01-01T00:00:00+00:00"), new("0001-01-01"), nil, new(`[{"z":1.50}]`)},
}

// records calls f for n records.
func records(n int, f func(id int64, r nastyRow)) {
	for i := range n {
		f(int64(i+1), nastyRows[i%len(nastyRows)])
	}
}

// native is a format as the outside world has it.
type native struct {
	write func(t *testing.T, place string, n int)
	// read returns the types of the columns, and calls row with each record's values as literals of the format.
	read func(t *testing.T, place string, row func([]string)) []string
}

var natives = map[string]native{
	"csv":      {writeNastyCSV, readNastyCSV},
	"jsonl":    {writeNastyJSONL, readNastyJSONL},
	"parquet":  {writeNastyParquet, readNastyParquet},
	"db":       {writeNastySQLite, readNastySQLite},
	"postgres": {writeNastyPostgres, readNastyPostgres},
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func orEmpty[T any](p *T) string {
	if p == nil {
		return ""
	}
	return fmt.Sprint(*p)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func writeNastyCSV(t *testing.T, place string, n int) {
	f, err := os.Create(place)
	must(t, err)
	w := csv.NewWriter(f)
	must(t, w.Write(nastyColumns))
	records(n, func(id int64, r nastyRow) {
		must(t, w.Write([]string{fmt.Sprint(id), orEmpty(r.zip), orEmpty(r.text), orEmpty(r.note), orEmpty(r.big), orEmpty(r.huge), orEmpty(r.dec),
			floatText(r.real), orEmpty(r.yes), orEmpty(r.at), orEmpty(r.day), base64.StdEncoding.EncodeToString(r.bin), orEmpty(r.doc)}))
	})
	w.Flush()
	must(t, w.Error(), f.Close())
}

func floatText(f *float64) string {
	if f == nil {
		return ""
	}
	b, _ := json.Marshal(*f)
	return string(b)
}

func readNastyCSV(t *testing.T, place string, row func([]string)) []string {
	f, err := os.Open(place)
	must(t, err)
	defer func() { _ = f.Close() }()
	r := csv.NewReader(bufio.NewReader(f))
	head, err := r.Read()
	must(t, err)
	for {
		cells, err := r.Read()
		if err == io.EOF {
			return head
		}
		must(t, err)
		row(cells)
	}
}

func writeNastyJSONL(t *testing.T, place string, n int) {
	f, err := os.Create(place)
	must(t, err)
	w := bufio.NewWriter(f)
	records(n, func(id int64, r nastyRow) {
		raw := func(s *string) any {
			if s == nil {
				return nil
			}
			return json.RawMessage(*s)
		}
		var bin any
		if r.bin != nil {
			bin = r.bin
		}
		for i, v := range []any{id, deref(r.zip), deref(r.text), deref(r.note), deref(r.big), raw(r.huge), raw(r.dec), deref(r.real),
			deref(r.yes), deref(r.at), deref(r.day), bin, raw(r.doc)} {
			b, err := json.Marshal(v)
			must(t, err)
			_, _ = fmt.Fprintf(w, "%c%q:%s", "{,"[min(i, 1)], nastyColumns[i], b)
		}
		_, _ = w.WriteString("}\n") // Flush tells
	})
	must(t, w.Flush(), f.Close())
}

func readNastyJSONL(t *testing.T, place string, row func([]string)) []string {
	f, err := os.Open(place)
	must(t, err)
	defer func() { _ = f.Close() }()
	dec := json.NewDecoder(bufio.NewReader(f))
	for {
		var got map[string]json.RawMessage
		if err := dec.Decode(&got); err == io.EOF {
			return nastyColumns
		} else {
			must(t, err)
		}
		cells := make([]string, len(nastyColumns))
		for i, c := range nastyColumns {
			v, ok := got[c]
			if cells[i] = string(v); !ok {
				cells[i] = "missing"
			}
			if len(v) > 0 && v[0] == '"' { // by what it stands for
				var s string
				must(t, json.Unmarshal(v, &s))
				cells[i] = "'" + s + "'"
			}
		}
		if len(got) != len(nastyColumns) {
			t.Fatalf("keys: %v", got)
		}
		row(cells)
	}
}

func writeNastySQLite(t *testing.T, place string, n int) {
	db, err := sql.Open("sqlite", place)
	must(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.Exec(`create table data (id INTEGER PRIMARY KEY, zip TEXT, text TEXT, note TEXT, big INTEGER, huge TEXT, dec TEXT, real REAL, yes BOOLEAN,
		at TEXT, day TEXT, bin BLOB, doc JSON)`)
	must(t, err)
	tx, err := db.Begin()
	must(t, err)
	insert, err := tx.Prepare("insert into data values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	must(t, err)
	records(n, func(id int64, r nastyRow) {
		var bin any
		if r.bin != nil {
			bin = r.bin
		}
		_, err := insert.Exec(id, deref(r.zip), deref(r.text), deref(r.note), deref(r.big), deref(r.huge), deref(r.dec), deref(r.real),
			deref(r.yes), deref(r.at), deref(r.day), bin, deref(r.doc))
		must(t, err)
	})
	must(t, insert.Close(), tx.Commit())
}

func readNastySQLite(t *testing.T, place string, row func([]string)) (types []string) {
	db, err := sql.Open("sqlite", "file:"+place+"?mode=ro")
	must(t, err)
	defer func() { _ = db.Close() }()
	decl, err := db.Query("select name || ' ' || type from pragma_table_info('data')")
	must(t, err)
	for decl.Next() {
		var s string
		must(t, decl.Scan(&s))
		types = append(types, s)
	}
	var quoted []string
	for _, c := range nastyColumns {
		quoted = append(quoted, "quote("+c+")")
	}
	rows, err := db.Query("select " + strings.Join(quoted, ", ") + " from data order by id")
	must(t, err)
	for rows.Next() {
		cells, into := make([]string, len(quoted)), make([]any, len(quoted))
		for i := range cells {
			into[i] = &cells[i]
		}
		must(t, rows.Scan(into...))
		row(cells)
	}
	must(t, decl.Err(), rows.Err(), decl.Close(), rows.Close())
	return types
}

// pgPlace is a database of the shared server.
type pgPlace struct {
	server *pgtest.Server
	name   string
}

func pgOf(t *testing.T, place string) pgPlace {
	u, err := url.Parse(place)
	must(t, err)
	return pgPlace{shared.server, strings.TrimPrefix(u.Path, "/")}
}

func writeNastyPostgres(t *testing.T, place string, n int) {
	literal := func(v any) string {
		switch v := v.(type) {
		case nil:
			return "null"
		case string:
			return "'" + strings.ReplaceAll(v, "'", "''") + "'"
		}
		return fmt.Sprintf("'%v'", v)
	}
	var values []string
	for i, r := range nastyRows {
		bin := "null"
		if r.bin != nil {
			bin = fmt.Sprintf(`'\x%x'`, r.bin)
		}
		cells := []string{fmt.Sprint(i)}
		for _, v := range []any{deref(r.zip), deref(r.text), deref(r.note), deref(r.big), deref(r.huge), deref(r.dec), deref(r.real), deref(r.yes), deref(r.at), deref(r.day)} {
			cells = append(cells, literal(v))
		}
		values = append(values, "("+strings.Join(append(cells, bin, literal(deref(r.doc))), ", ")+")")
	}
	pg := pgOf(t, place)
	const types = `zip text, text text, note text, big bigint, huge numeric, dec numeric(18,2), "real" double precision, yes boolean,
		at timestamptz, day date, bin bytea, doc json)`
	pg.server.Exec(t, pg.name, "create table data (id bigint primary key, "+types, "create table once (k int, "+types,
		"insert into once values "+strings.Join(values, ", "),
		fmt.Sprintf(`insert into data select i + 1, zip, text, note, big, huge, dec, "real", yes, at, day, bin, doc
			from generate_series(0, %d) i join once on k = i %% %d order by i`, n-1, len(nastyRows)), "drop table once")
}

func readNastyPostgres(t *testing.T, place string, row func([]string)) []string {
	pg := pgOf(t, place)
	types := pg.server.Query(t, pg.name, `select attname || ' ' || format_type(atttypid, atttypmod) from pg_attribute
		where attrelid = 'data'::regclass and attnum > 0 order by attnum`)
	var quoted []string
	for _, c := range nastyColumns {
		quoted = append(quoted, `replace(coalesce(quote_literal("`+c+`"::text), 'NULL'), E'\n', '⏎')`)
	}
	text := pg.server.Query(t, pg.name, "select concat_ws('␟', "+strings.Join(quoted, ", ")+") from data order by id")
	for line := range strings.Lines(text) {
		row(strings.Split(strings.TrimSuffix(line, "\n"), "␟"))
	}
	return strings.Split(strings.TrimSuffix(types, "\n"), "\n")
}

// parquetRow is the schema of a record in Parquet's own types.
type parquetRow struct {
	ID   int64   `parquet:"id"`
	Zip  string  `parquet:"zip,optional"`
	Text string  `parquet:"text,optional"`
	Note string  `parquet:"note,optional"`
	Big  int64   `parquet:"big,optional"`
	Huge string  `parquet:"huge,optional,json"`
	Dec  int64   `parquet:"dec,optional,decimal(2:18)"`
	Real float64 `parquet:"real,optional"`
	Yes  bool    `parquet:"yes,optional"`
	At   int64   `parquet:"at,optional,timestamp(microsecond:utc)"`
	Day  int32   `parquet:"day,optional,date"`
	Bin  []byte  `parquet:"bin,optional"`
	Doc  string  `parquet:"doc,optional,json"`
}

func writeNastyParquet(t *testing.T, place string, n int) {
	f, err := os.Create(place)
	must(t, err)
	w := parquet.NewGenericWriter[parquetRow](f)
	records(n, func(id int64, r nastyRow) {
		row := parquet.Row{parquet.ValueOf(id).Level(0, 0, 0)}
		var dec, at, day, bin any
		if r.dec != nil {
			d, err := strconv.ParseInt(strings.Replace(*r.dec, ".", "", 1), 10, 64)
			must(t, err)
			dec = d
		}
		if r.at != nil {
			instant, err := time.Parse(time.RFC3339Nano, *r.at)
			must(t, err)
			at = instant.UnixMicro()
		}
		if r.day != nil {
			date, err := time.Parse(time.DateOnly, *r.day)
			must(t, err)
			day = int32(date.Unix() / 86400)
		}
		if r.bin != nil {
			bin = r.bin
		}
		for i, v := range []any{deref(r.zip), deref(r.text), deref(r.note), deref(r.big), deref(r.huge), dec, deref(r.real), deref(r.yes), at, day, bin, deref(r.doc)} {
			if v == nil {
				row = append(row, parquet.Value{}.Level(0, 0, i+1))
			} else {
				row = append(row, parquet.ValueOf(v).Level(0, 1, i+1))
			}
		}
		_, err := w.WriteRows([]parquet.Row{row})
		must(t, err)
	})
	must(t, w.Close(), f.Close())
}

func readNastyParquet(t *testing.T, place string, row func([]string)) (types []string) {
	f, err := os.Open(place)
	must(t, err)
	defer func() { _ = f.Close() }()
	r := parquet.NewReader(f)
	defer func() { _ = r.Close() }()
	for _, field := range r.Schema().Fields() {
		types = append(types, field.Name()+" "+field.Type().String())
	}
	rows := make([]parquet.Row, 100)
	for {
		n, err := r.ReadRows(rows)
		for _, values := range rows[:n] {
			cells := make([]string, len(values))
			for i, v := range values {
				if cells[i] = fmt.Sprintf("%q", v.String()); v.IsNull() {
					cells[i] = "NULL"
				}
			}
			row(cells)
		}
		if err == io.EOF {
			return types
		}
		must(t, err)
	}
}

// trip moves n records from a place of one format to one of another and back to a new place of the first.
func trip(t *testing.T, from, via string, n int) (source, back string) {
	source, middle := place(t, from), place(t, via)
	natives[from].write(t, source, n)
	move(t, source, middle)
	back = place(t, from)
	if from != "postgres" {
		back = filepath.Join(t.TempDir(), "data."+from)
	}
	move(t, middle, back)
	return source, back
}

package daemon_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	_ "modernc.org/sqlite" // reads what migrations wrote, with nothing of ours in between
)

// columns are those of the migrations' source; table is where a SQLite destination keeps the rows.
var columns = []string{"id", "code", "name", "amount", "note", "day"}

const table = "rows"

// makeRows returns n records that a careless copy would change: leading zeros, quotes, line breaks, empty
// fields, text that looks like a number.
func makeRows(n int) [][]string {
	rows := make([][]string, n)
	for i := range rows {
		rows[i] = makeRow(i)
	}
	return rows
}

var names = []string{"plain", `with "quotes"`, "with, comma", "two\nlines", "žluťoučký kůň", "😀", " spaces "}

// makeRow returns record i, counted from 0.
func makeRow(i int) []string {
	note := ""
	if i%3 == 0 {
		note = "1e" + strconv.Itoa(i%7)
	}
	return []string{
		strconv.Itoa(i + 1), fmt.Sprintf("%06d", i*7), names[i%len(names)] + " " + strconv.Itoa(i),
		strconv.FormatFloat(float64(i)+0.25, 'f', -1, 64), note, fmt.Sprintf("2026-%02d-%02d", i%12+1, i%28+1),
	}
}

func writeCSV(t testing.TB, path string, rows [][]string) {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(columns); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sameRows returns an error unless the file at path, a SQLite database or JSON Lines, holds exactly want, in
// that order.
func sameRows(path string, want [][]string) error {
	read := readJSONL
	if isSQLite(path) {
		read = readSQLite
	}
	got, err := read(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d records, want %d", path, len(got), len(want))
	}
	for i := range want {
		for j := range columns {
			if got[i][j] != want[i][j] {
				return fmt.Errorf("%s: record %d: %s is %q, want %q", path, i+1, columns[j], got[i][j], want[i][j])
			}
		}
	}
	return nil
}

func isSQLite(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	magic := make([]byte, 15)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == "SQLite format 3"
}

func readSQLite(path string) (rows [][]string, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	query := "SELECT "
	for i, c := range columns {
		if i > 0 {
			query += ", "
		}
		query += "COALESCE(CAST(" + c + " AS TEXT), '')"
	}
	found, err := db.Query(query + " FROM " + table + " ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		row := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

func readJSONL(path string) (rows [][]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	dec := json.NewDecoder(bufio.NewReader(f))
	dec.UseNumber()
	for {
		var record map[string]any
		if err := dec.Decode(&record); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i, c := range columns {
			v, ok := record[c]
			if !ok {
				return nil, fmt.Errorf("record %d has no %s", len(rows)+1, c)
			}
			if v != nil {
				row[i] = fmt.Sprint(v)
			}
		}
		rows = append(rows, row)
	}
}

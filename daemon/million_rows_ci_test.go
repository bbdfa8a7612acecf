//go:build ci

package daemon_test

import (
	"bufio"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// holdsRows returns an error unless the file at path holds exactly the first n of makeRow, in their order. It reads
// row by row, by the formats' own libraries, with nothing of ours in between.
func holdsRows(path string, n int) error {
	read := map[string]func(string, func([]string) error) error{
		".csv": eachCSV, ".jsonl": eachJSONL, ".db": eachSQLite, ".parquet": eachParquet,
	}[filepath.Ext(path)]
	i := 0
	err := read(path, func(got []string) error {
		if want := makeRow(i); !slices.Equal(got, want) {
			return fmt.Errorf("record %d is %q, want %q", i+1, got, want)
		}
		i++
		return nil
	})
	if err == nil && i != n {
		err = fmt.Errorf("%d records, want %d", i, n)
	}
	return err
}

func eachCSV(path string, row func([]string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(bufio.NewReader(f))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil || !slices.Equal(head, columns) {
		return fmt.Errorf("header %q, %v", head, err)
	}
	for {
		got, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = row(got)
		}
		if err != nil {
			return err
		}
	}
}

func eachJSONL(path string, row func([]string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	dec := json.NewDecoder(bufio.NewReader(f))
	dec.DisallowUnknownFields()
	for {
		var got struct {
			ID         *json.Number
			Code, Name *string
			Amount     *json.Number
			Note, Day  *string
		}
		if err := dec.Decode(&got); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if got.ID == nil || got.Code == nil || got.Name == nil || got.Amount == nil || got.Note == nil || got.Day == nil {
			return errors.New("a key is missing, or null")
		}
		if err := row([]string{got.ID.String(), *got.Code, *got.Name, got.Amount.String(), *got.Note, *got.Day}); err != nil {
			return err
		}
	}
}

func eachSQLite(path string, row func([]string) error) error {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	found, err := db.Query("select id, code, name, amount, note, day from " + table + " order by rowid")
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	got := make([]string, len(columns))
	for found.Next() {
		if err := found.Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5]); err != nil {
			return err
		}
		if err := row(got); err != nil {
			return err
		}
	}
	return found.Err()
}

// tablesOf names the tables of a database; an error, as of one that is locked, is no table's name.
func tablesOf(path string) string {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = db.Close() }()
	var tables string
	if err := db.QueryRow("select group_concat(name) from sqlite_master").Scan(&tables); err != nil {
		return err.Error()
	}
	return tables
}

func eachParquet(path string, row func([]string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	type record struct {
		ID     int64   `parquet:"id,optional"`
		Code   string  `parquet:"code,optional"`
		Name   string  `parquet:"name,optional"`
		Amount float64 `parquet:"amount,optional"`
		Note   *string `parquet:"note,optional"`
		Day    string  `parquet:"day,optional"`
	}
	r := parquet.NewGenericReader[record](f)
	defer func() { _ = r.Close() }()
	buf := make([]record, 1000)
	for {
		n, err := r.Read(buf)
		for _, got := range buf[:n] {
			if got.Note == nil {
				return errors.New("note is NULL")
			}
			if err := row([]string{fmt.Sprint(got.ID), got.Code, got.Name, strconv.FormatFloat(got.Amount, 'f', -1, 64), *got.Note, got.Day}); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

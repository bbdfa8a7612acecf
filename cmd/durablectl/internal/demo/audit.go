package demo

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
)

// audit is what a comparison of the two files found, row by row. It shares no code with the job.
type audit struct {
	source, destination file
	// lost rows are only in the source, foreign ones only in the destination; doubled ones are there more than
	// once, and changed ones differ.
	lost, doubled, changed, foreign int
}

// file is the content of one file: its rows, and the SHA-256 of them all in their order.
type file struct {
	rows int
	sum  [sha256.Size]byte
}

// exact reports whether every row arrived exactly once, as it was, in its place.
func (a audit) exact() bool {
	return a.lost == 0 && a.doubled == 0 && a.changed == 0 && a.foreign == 0 && a.source == a.destination
}

// compare reads both files to their ends. An error means that one of them could not be read, which is no
// verdict.
func compare(csvPath, jsonPath string) (audit, error) {
	var a audit
	seen := map[string]*seenRow{}
	var header []string
	var err error
	a.source, err = readCSV(csvPath, func(head, row []string) error {
		header = head
		if seen[row[0]] != nil {
			return fmt.Errorf("%s: two rows %q", csvPath, row[0])
		}
		seen[row[0]] = &seenRow{sum: digest(row)}
		return nil
	})
	if err == nil && header == nil {
		err = fmt.Errorf("%s: no rows", csvPath)
	}
	if err != nil {
		return a, err
	}
	a.destination, err = readJSON(jsonPath, header, func(row []string) { a.meet(seen, row) })
	for _, s := range seen {
		if s.times == 0 {
			a.lost++
		}
	}
	return a, err
}

type seenRow struct {
	sum   [sha256.Size]byte
	times int // in the destination
}

func (a *audit) meet(seen map[string]*seenRow, row []string) {
	s := seen[row[0]]
	if s == nil {
		a.foreign++
		return
	}
	if s.times++; s.times == 2 {
		a.doubled++
	}
	if digest(row) != s.sum {
		a.changed++
	}
}

// digest stands for a row: the SHA-256 of its cells, each with its length before it.
func digest(row []string) [sha256.Size]byte {
	var b []byte
	for _, cell := range row {
		b = append(binary.AppendUvarint(b, uint64(len(cell))), cell...)
	}
	return sha256.Sum256(b)
}

// tally counts rows and hashes them in their order.
type tally struct {
	rows int
	hash hash.Hash
}

func (t *tally) add(row []string) {
	sum := digest(row)
	t.rows++
	t.hash.Write(sum[:])
}

func (t *tally) file() file {
	f := file{rows: t.rows}
	t.hash.Sum(f.sum[:0])
	return f
}

func readCSV(path string, each func(header, row []string) error) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	r := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
	r.ReuseRecord = true
	first, err := r.Read()
	if err != nil {
		return file{}, fmt.Errorf("%s: header: %w", path, err)
	}
	header := append([]string(nil), first...)
	t := tally{hash: sha256.New()}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return t.file(), nil
		}
		if err == nil {
			err = each(header, row)
		}
		if err != nil {
			return file{}, fmt.Errorf("%s: %w", path, err)
		}
		t.add(row)
	}
}

// readJSON reads records in the columns of header. One more key or one less makes the row another one.
func readJSON(path string, header []string, each func(row []string)) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	dec := json.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	dec.UseNumber()
	t := tally{hash: sha256.New()}
	for {
		record := make(map[string]any, len(header))
		err := dec.Decode(&record)
		if err == io.EOF {
			return t.file(), nil
		}
		if err != nil {
			return file{}, fmt.Errorf("%s: record %d: %w", path, t.rows+1, err)
		}
		row := cells(header, record)
		each(row)
		t.add(row)
	}
}

// cells returns a record as the texts that a CSV file has for it.
func cells(header []string, record map[string]any) []string {
	row := make([]string, len(header), len(header)+1)
	for i, name := range header {
		v, ok := record[name]
		switch {
		case !ok:
			row = append(row, "no "+name)
		case v != nil:
			row[i] = fmt.Sprint(v) // a string, a json.Number or a bool
		}
	}
	if len(record) > len(header) {
		row = append(row, "more keys")
	}
	return row
}

package training

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"

	"durable/ipc/task"
)

// cell is a value of one column. What is missing (an empty cell, null, no such key) has none.
type cell struct {
	column int
	text   string
}

// maxColumns and maxLine bound what one record may make us hold.
const (
	maxColumns = 4096
	maxLine    = 64 << 20
)

// reader reads the records of a CSV, TSV or JSON Lines file. Columns get their numbers in the order in which they appear.
type reader struct {
	path    string
	sum     *xxhash.Digest // of all bytes read
	in      *bufio.Reader
	table   *csv.Reader // nil: JSON Lines
	columns map[string]int
	names   []string
	cells   []cell
	line    int64
	buf     []byte
	close   func() error
}

// openDataset opens path and reads what comes before the first record.
func openDataset(path string) (*reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err, "dataset", path)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = invalid("dataset %s: not a file", path).WithHint("give a CSV, TSV or JSON Lines file")
	}
	if err == nil && info.Size() == 0 {
		err = errEmpty(path)
	}
	var r *reader
	if err == nil {
		r, err = newReader(path, f)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, fileError(err, "dataset", path)
	}
	r.close = f.Close
	return r, nil
}

func errEmpty(path string) error {
	return task.Errorf(task.FailedPrecondition, "dataset %s: it has no records", path).
		WithHint("it must have some for training, and some of each label")
}

func newReader(path string, from io.Reader) (*reader, error) {
	r := &reader{path: path, sum: xxhash.New(), columns: map[string]int{}, close: func() error { return nil }}
	r.in = bufio.NewReaderSize(io.TeeReader(from, r.sum), 256<<10)
	if mark, _ := r.in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = r.in.Discard(3) // they were peeked at
	}
	comma := r.comma()
	if comma == 0 {
		return r, nil
	}
	r.table = csv.NewReader(r.in)
	r.table.Comma, r.table.ReuseRecord = comma, true
	header, err := r.table.Read()
	if err == io.EOF {
		return nil, errEmpty(path)
	}
	if err != nil {
		return nil, r.malformed(err)
	}
	for _, name := range header {
		if _, double := r.columns[name]; double {
			return nil, invalid("dataset %s: two columns are called %q", path, name)
		}
		if err := r.add(name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// comma says what parts the cells, by the name, else by the content; 0: it is JSON Lines.
func (r *reader) comma() rune {
	switch strings.ToLower(filepath.Ext(r.path)) {
	case ".csv":
		return ','
	case ".tsv":
		return '\t'
	case ".jsonl", ".ndjson", ".json":
		return 0
	}
	start, _ := r.in.Peek(4096)
	start = bytes.TrimLeft(start, " \t\r\n")
	line, _, _ := bytes.Cut(start, []byte("\n"))
	switch {
	case bytes.HasPrefix(start, []byte("{")):
		return 0
	case bytes.ContainsRune(line, '\t') && !bytes.ContainsRune(line, ','):
		return '\t'
	}
	return ','
}

func (r *reader) add(name string) error {
	if len(r.names) == maxColumns {
		return invalid("dataset %s: more than %d columns", r.path, maxColumns)
	}
	r.columns[name] = len(r.names)
	r.names = append(r.names, strings.Clone(name))
	return nil
}

// next returns the cells of the next record, which are good until the call after; io.EOF at the end.
func (r *reader) next() ([]cell, error) {
	r.cells = r.cells[:0]
	if r.table == nil {
		return r.nextObject()
	}
	fields, err := r.table.Read()
	if err == io.EOF {
		return nil, io.EOF
	}
	if err != nil {
		return nil, r.malformed(err)
	}
	line, _ := r.table.FieldPos(0)
	r.line = int64(line)
	for i, text := range fields {
		if text != "" {
			r.cells = append(r.cells, cell{i, text})
		}
	}
	return r.cells, nil
}

func (r *reader) malformed(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return r.broken(int64(parse.Line), parse.Err)
	}
	return fileError(err, "dataset", r.path)
}

func (r *reader) broken(line int64, err error) error {
	return invalid("dataset %s, line %d: %w", r.path, line, err).WithDetail("line", line).WithHint("mend or remove that line")
}

// nextObject is next for JSON Lines. Blank lines are left out.
func (r *reader) nextObject() ([]cell, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return r.object(line)
		}
	}
}

func (r *reader) readLine() ([]byte, error) {
	r.buf = r.buf[:0]
	r.line++
	for {
		part, err := r.in.ReadSlice('\n')
		r.buf = append(r.buf, part...)
		switch {
		case len(r.buf) > maxLine:
			return nil, r.broken(r.line, fmt.Errorf("longer than %d bytes", maxLine))
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(r.buf) > 0, err == nil:
			return r.buf, nil
		case err == io.EOF:
			return nil, io.EOF
		default:
			return nil, fileError(err, "dataset", r.path)
		}
	}
}

// object takes the keys of a JSON object in their order.
func (r *reader) object(line []byte) ([]cell, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, r.broken(r.line, errors.New("not a JSON object"))
	}
	for dec.More() {
		key, err := dec.Token()
		var raw json.RawMessage
		if err == nil {
			err = dec.Decode(&raw)
		}
		if err != nil {
			return nil, r.broken(r.line, fmt.Errorf("not a JSON object: %w", err))
		}
		name, _ := key.(string)
		column, known := r.columns[name]
		if !known {
			column = len(r.names)
			if err := r.add(name); err != nil {
				return nil, err
			}
		}
		if text := textOf(raw); text != "" {
			r.cells = append(r.cells, cell{column, text})
		}
	}
	if _, err := dec.Token(); err != nil || dec.More() {
		return nil, r.broken(r.line, errors.New("more than a JSON object, or less"))
	}
	return r.cells, nil
}

// textOf is a JSON value as a cell: a string's characters, nothing of null, else the JSON text.
func textOf(raw json.RawMessage) string {
	switch {
	case string(raw) == "null":
		return ""
	case len(raw) > 0 && raw[0] == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return string(raw)
}

// rest reads to the end of the file, so that the sum is that of all of it.
func (r *reader) rest() error {
	_, err := io.Copy(io.Discard, r.in)
	return err
}

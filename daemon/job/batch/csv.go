package batch

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"durable/ipc/task"
)

// csvReader gives the rows of a CSV or TSV file as objects, whose keys are the header in its order.
type csvReader struct {
	name string
	f    *os.File
	in   *bounded
	r    *csv.Reader
	keys [][]byte
	from position
	at   position
}

// openCSV reads the rows of path from a position.
func openCSV(path string, at position) (*csvReader, error) {
	f, err := openAt(path, 0)
	if err != nil {
		return nil, err
	}
	r := &csvReader{name: path, f: f}
	if err = r.header(); err == nil && at.Offset > 0 {
		fields := r.r.FieldsPerRecord
		r.from, r.at = at, at
		if _, err = f.Seek(at.Offset, io.SeekStart); err == nil {
			r.begin(f, fields)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, inputError(err, path)
	}
	return r, nil
}

// begin reads in, whose rows have so many fields; 0: as many as the first.
func (r *csvReader) begin(in io.Reader, fields int) {
	r.in = &bounded{r: in}
	r.r = csv.NewReader(r.in)
	r.r.FieldsPerRecord, r.r.ReuseRecord = fields, true
	if strings.EqualFold(filepath.Ext(r.name), ".tsv") {
		r.r.Comma = '\t'
	}
}

// header reads the names of the columns.
func (r *csvReader) header() error {
	in := bufio.NewReader(r.f)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = in.Discard(3) // it was peeked at
		r.from.Offset = 3
	}
	r.begin(in, 0)
	names, err := r.row()
	if err == io.EOF {
		return invalid("input: %s: no header", r.name).WithHint("the first line of a CSV file names the columns")
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			return invalid("input: %s: two columns are called %q", r.name, name).WithHint("rename one of them in the first line")
		}
		seen[name] = true
		r.keys = append(r.keys, append(textItem(name), ':'))
	}
	return nil
}

// row reads one row and moves on.
func (r *csvReader) row() ([]string, error) {
	r.in.since = 0
	row, err := r.r.Read()
	var syntax *csv.ParseError
	switch {
	case err == io.EOF:
		return nil, err
	case errors.Is(err, errLong):
		return nil, r.bad(r.at.Line+1, "a row longer than %d bytes", MaxItem).WithHint("is a quote missing?")
	case errors.As(err, &syntax):
		return nil, r.bad(r.from.Line+int64(syntax.Line), "%s", syntax.Err).WithHint("mend that line")
	case err != nil:
		return nil, inputError(err, r.name)
	}
	line, _ := r.r.FieldPos(len(row) - 1)
	r.at.Line = r.from.Line + int64(line) + int64(strings.Count(row[len(row)-1], "\n"))
	r.at.Offset = r.from.Offset + r.r.InputOffset()
	for _, cell := range row {
		if !utf8.ValidString(cell) {
			return nil, r.bad(r.at.Line, "not UTF-8").WithHint("convert it: iconv -t utf-8 %s", r.name)
		}
	}
	return row, nil
}

func (r *csvReader) bad(line int64, format string, args ...any) *task.Error {
	return invalid("input: %s, line %d: "+format, append([]any{r.name, line}, args...)...)
}

func (r *csvReader) next() (item, error) {
	row, err := r.row()
	if err != nil {
		return nil, err
	}
	r.at.Item++
	var buf bytes.Buffer
	for i, cell := range row {
		buf.WriteByte(",{"[b2i(i == 0)])
		buf.Write(r.keys[i])
		buf.Write(textItem(cell))
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *csvReader) position() position { return r.at }
func (r *csvReader) close() error       { return r.f.Close() }

// bounded ends with errLong when more than MaxItem bytes were read since since was last set to 0: a quote that is never closed
// would otherwise take the whole file into memory.
type bounded struct {
	r     io.Reader
	since int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.since > MaxItem {
		return 0, errLong
	}
	n, err := b.r.Read(p)
	b.since += n
	return n, err
}

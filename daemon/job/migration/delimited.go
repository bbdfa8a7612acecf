package migration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"durable/ipc/task"
)

// delimitedSource is a CSV or TSV file with a header line, as encoding/csv reads it.
type delimitedSource struct {
	path  string
	comma rune
}

func (s *delimitedSource) fingerprint() (fingerprint, error) { return fileFingerprint(s.path) }
func (s *delimitedSource) snapshot() bool                    { return false }

func (s *delimitedSource) caster(c column) func(value) value {
	if c.Type == typeNone || c.Type == typeText {
		return nil
	}
	return func(v value) value {
		if text, ok := v.(string); ok {
			return c.cast(text)
		}
		return v
	}
}

func (s *delimitedSource) header(context.Context) ([]column, error) {
	r, err := s.start()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.close() }() // nothing was written
	return r.all, nil
}

// start opens the file and reads its header.
func (s *delimitedSource) start() (*delimitedReader, error) {
	r, err := s.openAt(position{})
	if err != nil {
		return nil, err
	}
	names, err := r.record()
	if err == nil {
		r.all, err = headerColumns(names, s.path)
	}
	if err == io.EOF {
		err = task.Errorf(task.InvalidArgument, "source %s: empty, without even a header line", s.path).
			WithHint("the first line must name the columns")
	}
	var bad *rowError
	if errors.As(err, &bad) {
		err = bad.fatal(s.path)
	}
	if err != nil {
		_ = r.close() // the first error counts
		return nil, err
	}
	r.width = len(names)
	return r, nil
}

func headerColumns(names [][]byte, path string) ([]column, error) {
	cols, seen := make([]column, len(names)), map[string]bool{}
	for i, text := range names {
		name := string(text)
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		if seen[name] {
			return nil, task.Errorf(task.InvalidArgument, "source %s: its header names the column %q twice", path, name).
				WithHint("rename one of them in the first line")
		}
		seen[name] = true
		cols[i].Name = name
	}
	return cols, checkColumns(cols, path)
}

func (s *delimitedSource) openAt(at position) (*delimitedReader, error) {
	f, err := openText(s.path, at.Offset)
	if err != nil {
		return nil, err
	}
	r := &delimitedReader{path: s.path, file: f, packed: f.kind != compressNone, base: at}
	r.raw = &rawText{r: f, base: at.Offset}
	r.limited = &limitReader{r: r.raw, allow: MaxRecord}
	in := bufio.NewReaderSize(r.limited, readBuffer)
	if at.Offset == 0 {
		if mark, err := in.Peek(len(bom)); err == nil && bytes.Equal(mark, bom) {
			r.base.Offset = int64(len(bom))
			_, _ = in.Discard(len(bom)) // they have just been seen
		}
	}
	r.records = newRecordReader(in, s.comma)
	return r, nil
}

func (s *delimitedSource) open(_ context.Context, cols []column, at position) (reader, error) {
	r, err := s.start()
	if err != nil {
		return nil, err
	}
	all, width := r.all, r.width
	if at.Offset > 0 {
		if err := r.close(); err != nil {
			return nil, fileError(err, "source", s.path)
		}
		if r, err = s.openAt(at); err != nil {
			return nil, err
		}
		r.all, r.width = all, width
	}
	for _, c := range cols {
		i := indexColumn(all, c.Name)
		if i < 0 {
			_ = r.close() // the first error counts
			return nil, task.Errorf(task.FailedPrecondition, "%s: the column %q is gone", s.path, c.Name)
		}
		r.pick = append(r.pick, i)
	}
	return r, nil
}

// eachRecord calls next until the end, the limit or an error, and counts the good records in n.
func eachRecord(ctx context.Context, o surveyOptions, n *int64, next func() error) error {
	for calls := 0; *n < o.limit; calls++ {
		if calls%256 == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			o.tick(*n)
		}
		err := next()
		var bad *rowError
		switch {
		case err == nil:
			*n++
		case err == io.EOF:
			return nil
		case errors.As(err, &bad):
			if err := o.bad(bad); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// readBuffer is how much is read from a file at once.
const readBuffer = 256 << 10

// delimitedReader reads records, at first the header, from a position on.
type delimitedReader struct {
	path    string
	file    io.Closer
	packed  bool // the file is compressed
	limited *limitReader
	raw     *rawText
	records *recordReader
	all     []column
	width   int   // fields of a record; 0: any number, for the header
	pick    []int // for each column wanted, its place in a record
	base    position
	cells   [][]byte
	text    []byte
	ends    []int
}

func (r *delimitedReader) line() int64 { return r.base.Line + r.records.first }

func (r *delimitedReader) position() position {
	return position{Offset: r.offset(), Line: r.base.Line + r.records.lines}
}

func (r *delimitedReader) offset() int64 { return r.base.Offset + r.records.offset() }

func (r *delimitedReader) close() error { return r.file.Close() }

// read makes one string of a record, of which its values are parts.
func (r *delimitedReader) read(row []value) error {
	cells, err := r.chosen()
	if err != nil {
		return err
	}
	r.text, r.ends = r.text[:0], r.ends[:0]
	for _, c := range cells {
		r.text = append(r.text, c...)
		r.ends = append(r.ends, len(r.text))
	}
	text, from := string(r.text), 0
	for i, end := range r.ends {
		row[i] = text[from:end]
		from = end
	}
	return nil
}

// chosen returns the fields of the next record that are wanted; they are good until the next call.
func (r *delimitedReader) chosen() ([][]byte, error) {
	fields, err := r.record()
	if err != nil {
		return nil, err
	}
	r.cells = r.cells[:0]
	for _, place := range r.pick {
		r.cells = append(r.cells, fields[place])
	}
	return r.cells, nil
}

// record returns the fields of the next record; they are good until the next call.
func (r *delimitedReader) record() ([][]byte, error) {
	r.limited.allow = MaxRecord
	start := r.offset()
	r.raw.from(start)
	fields, err := r.records.read()
	if err != nil {
		return nil, r.withRaw(r.explain(err), start)
	}
	if r.width > 0 && len(fields) != r.width {
		return nil, r.withRaw(&rowError{line: r.line(), msg: fmt.Sprintf("%s, but the header has %d", fieldCount(len(fields)), r.width)}, start)
	}
	return fields, nil
}

// withRaw adds to a record that cannot be read its text, from start on.
func (r *delimitedReader) withRaw(err error, start int64) error {
	var bad *rowError
	if errors.As(err, &bad) {
		bad.raw = bytes.TrimSuffix(bytes.TrimSuffix(r.raw.text(start, r.offset()), []byte("\n")), []byte("\r"))
	}
	return err
}

func (r *delimitedReader) explain(err error) error {
	var parse *csv.ParseError
	switch {
	case err == io.EOF:
		return err
	case errors.As(err, &parse):
		r.records.first, r.records.lines = r.records.cutLines+int64(parse.StartLine), r.records.cutLines+int64(parse.Line)
		return &rowError{line: r.line(), msg: parse.Err.Error()}
	case errors.Is(err, errTooLong):
		return tooLong(r.path, r.base.Line+r.records.lines+1)
	}
	return fileError(err, "source", r.path)
}

func tooLong(path string, line int64) error {
	return task.Errorf(task.InvalidArgument, "%s, line %d: a record of more than %d bytes", path, line, MaxRecord).
		WithHint("is a closing quote missing there?")
}

var errTooLong = errors.New("record too long")

// limitReader bounds what encoding/csv takes in for one record: a quote that is never closed would
// otherwise make it read the rest of the file into memory.
type limitReader struct {
	r     io.Reader
	allow int64
}

func (l *limitReader) Read(b []byte) (int, error) {
	if l.allow <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(b)
	l.allow -= int64(n)
	return n, err
}

func fieldCount(n int) string {
	if n == 1 {
		return "1 field"
	}
	return fmt.Sprintf("%d fields", n)
}

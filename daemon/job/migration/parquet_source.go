package migration

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go"

	"durable/ipc/task"
)

// parquetSource is a Parquet file without nested columns.
type parquetSource struct{ path string }

func (s *parquetSource) fingerprint() (fingerprint, error) { return fileFingerprint(s.path) }
func (s *parquetSource) snapshot() bool                    { return false }
func (s *parquetSource) caster(column) func(value) value   { return nil }

// damaged makes an error of the library, or a panic of it over a damaged file, one of the file.
func damaged(path string, cause any) error {
	err, ok := cause.(error)
	var known *task.Error
	var system *fs.PathError
	switch {
	case cause == nil:
		return nil
	case ok && (errors.As(err, &known) || errors.Is(err, io.EOF) && err == io.EOF):
		return err
	case ok && errors.As(err, &system):
		return fileError(err, "source", path)
	}
	return task.Errorf(task.FailedPrecondition, "%s: not a Parquet file, or a damaged one: %v", path, cause).
		WithHint("fetch or write it again")
}

// guard is deferred around calls of the library: it panics over some damaged files.
func guard(path string, err *error) {
	if r := recover(); r != nil {
		*err = damaged(path, r)
		return
	}
	var bad *rowError
	if *err != nil && !errors.As(*err, &bad) {
		*err = damaged(path, *err)
	}
}

// openParquet opens a file of that many bytes; the caller closes what it is read from.
func openParquet(r io.ReaderAt, size int64) (*parquet.File, error) {
	end := make([]byte, 8)
	if size < 12 {
		return nil, fmt.Errorf("%d bytes", size)
	}
	if _, err := r.ReadAt(end, size-8); err != nil {
		return nil, err
	}
	if n := int64(binary.LittleEndian.Uint32(end)); n > size-12 { // the library would make room for it
		return nil, fmt.Errorf("a footer of %d bytes in a file of %d", n, size)
	}
	return parquet.OpenFile(r, size, parquet.SkipBloomFilters(true), parquet.ReadBufferSize(parquetBuffer))
}

const parquetBuffer = 64 << 10

func (s *parquetSource) start() (_ *parquetReader, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, fileError(err, "source", s.path)
	}
	r := &parquetReader{path: s.path, file: f}
	defer func() {
		if err != nil {
			_ = f.Close() // the first error counts
		}
	}()
	defer guard(s.path, &err)
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if r.open, err = openParquet(f, info.Size()); err != nil {
		return nil, err
	}
	r.groups = r.open.RowGroups()
	return r, checkCodecs(s.path, r.open)
}

func (s *parquetSource) header(context.Context) (cols []column, err error) {
	r, err := s.start()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.close() }() // nothing was written
	defer guard(s.path, &err)
	for _, f := range r.open.Root().Columns() {
		t, _ := parquetType(f)
		cols = append(cols, column{Name: f.Name(), Type: t})
	}
	return cols, nil
}

func (s *parquetSource) survey(ctx context.Context, o surveyOptions) (survey, error) {
	all, err := s.header(ctx)
	if err != nil {
		return survey{}, err
	}
	cols, err := pick(all, o.columns, s.path)
	if err == nil {
		err = checkColumns(cols, s.path)
	}
	if err != nil {
		return survey{}, err
	}
	r, err := s.start()
	if err != nil {
		return survey{}, err
	}
	found := survey{Columns: cols, Records: min(r.open.NumRows(), o.limit)}
	if err := r.close(); err != nil || !o.types {
		return found, err
	}
	return found, inferTypes(ctx, s, cols, o, func(c column) bool { return c.Type == typeJSON })
}

func (s *parquetSource) open(_ context.Context, cols []column, at position) (_ reader, err error) {
	r, err := s.start()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = r.close() // the first error counts
		}
	}()
	defer guard(s.path, &err)
	leaves := r.open.Root().Columns()
	for _, c := range cols {
		i := slices.IndexFunc(leaves, func(f *parquet.Column) bool { return f.Name() == c.Name })
		if i < 0 {
			return nil, task.Errorf(task.FailedPrecondition, "%s: the column %q is gone", s.path, c.Name)
		}
		_, convert := parquetType(leaves[i])
		if convert == nil {
			return nil, task.Errorf(task.Unimplemented, "%s: the column %q is nested", s.path, c.Name).
				WithHint("choose the others with columns")
		}
		r.cursors = append(r.cursors, parquetCursor{leaf: leaves[i].Index(), convert: convert})
	}
	return r, r.seek(at.Record)
}

// parquetReader reads rows, of which the columns lie apart, one row group after the other.
type parquetReader struct {
	path    string
	file    *os.File
	open    *parquet.File
	groups  []parquet.RowGroup // those not begun
	left    int64              // rows of the one begun
	next    int64              // row read next
	cursors []parquetCursor
}

// parquetCursor is the place in one column.
type parquetCursor struct {
	leaf    int
	convert func(parquet.Value) value
	pages   parquet.Pages
	page    parquet.Page
	values  parquet.ValueReader
	buf     []parquet.Value
	at      int
}

// parquetValues is how many values of a column are taken out at once.
const parquetValues = 256

func (r *parquetReader) line() int64        { return r.next }
func (r *parquetReader) position() position { return position{Record: r.next} }

func (r *parquetReader) close() error {
	err := r.leave()
	return errors.Join(err, r.file.Close())
}

// leave ends the row group that is being read.
func (r *parquetReader) leave() (err error) {
	defer guard(r.path, &err)
	for i := range r.cursors {
		c := &r.cursors[i]
		if c.page != nil {
			parquet.Release(c.page)
		}
		if c.pages != nil {
			err = errors.Join(err, c.pages.Close())
		}
		*c = parquetCursor{leaf: c.leaf, convert: c.convert, buf: c.buf[:0]}
	}
	return err
}

// seek goes to a row.
func (r *parquetReader) seek(row int64) error {
	r.next = row
	for len(r.groups) > 0 && row >= r.groups[0].NumRows() {
		row -= r.groups[0].NumRows()
		r.groups = r.groups[1:]
	}
	if len(r.groups) == 0 {
		return nil
	}
	return r.begin(row)
}

// begin opens the next row group at one of its rows.
func (r *parquetReader) begin(row int64) error {
	if err := r.leave(); err != nil {
		return err
	}
	group := r.groups[0]
	r.groups, r.left = r.groups[1:], group.NumRows()-row
	chunks := group.ColumnChunks()
	for i := range r.cursors {
		c := &r.cursors[i]
		c.pages = chunks[c.leaf].Pages()
		if row > 0 {
			if err := c.pages.SeekToRow(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *parquetReader) read(row []value) (err error) {
	defer guard(r.path, &err)
	if err := r.advance(); err != nil {
		return err
	}
	for i := range r.cursors {
		c := &r.cursors[i]
		v, err := c.next()
		if err != nil {
			return err
		}
		if row[i] = nil; !v.IsNull() {
			row[i] = c.convert(v)
		}
	}
	r.passed()
	return nil
}

// advance goes to the row group with the next row.
func (r *parquetReader) advance() error {
	for r.left == 0 {
		if len(r.groups) == 0 {
			return io.EOF
		}
		if err := r.begin(0); err != nil {
			return err
		}
	}
	return nil
}

// passed enters that a row was read.
func (r *parquetReader) passed() {
	r.left--
	r.next++
}

func (c *parquetCursor) next() (parquet.Value, error) {
	for c.at == len(c.buf) {
		if err := c.fill(); err != nil {
			return parquet.Value{}, err
		}
	}
	v := c.buf[c.at]
	c.at++
	return v, nil
}

// fill takes the next values of the page, or goes to the next page.
func (c *parquetCursor) fill() error {
	if c.page == nil {
		page, err := c.pages.ReadPage()
		if err != nil {
			return fmt.Errorf("a column ends before its row group: %v", err)
		}
		c.page, c.values = page, page.Values()
	}
	if c.buf == nil {
		c.buf = make([]parquet.Value, parquetValues)
	}
	n, err := c.values.ReadValues(c.buf[:cap(c.buf)])
	c.buf, c.at = c.buf[:n], 0
	if err == io.EOF && n == 0 {
		parquet.Release(c.page)
		c.page, err = nil, nil
	}
	if err == io.EOF {
		err = nil
	}
	return err
}

package migration

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"

	"durable/ipc/task"
)

// parquetSink writes a Parquet file. Such a file has its directory at the end and cannot be cut, so the
// partial file is a chain of whole Parquet files, one for each checkpoint, each followed by its length:
// that chain can be cut between any two. At the end it is merged into one file, which is verified and
// published in its place.
type parquetSink struct {
	fileSink
	merged string // the path of the merged file

	columns []column
	writer  *parquet.GenericWriter[any]
	begun   bool // a file of the chain is being written
	from    int64
	group   groupSize
	values  []parquet.Value
}

// groupSize is how large a row group is. Both bounds are for memory: of ours now, of readers later.
type groupSize struct{ rows, bytes int64 }

const (
	groupRows  = 128 << 10
	groupBytes = 16 << 20
)

func (g groupSize) full(o groupSize) bool {
	return g.rows > 0 && (g.rows+o.rows > groupRows || g.bytes+o.bytes > groupBytes)
}

func (g *groupSize) add(o groupSize) {
	g.rows += o.rows
	g.bytes += o.bytes
}

const lengthSize = 8 // of the number behind each file of the chain

func newParquetWriter(w io.Writer, cols []column) *parquet.GenericWriter[any] {
	return parquet.NewGenericWriter[any](w, parquetSchema(cols), parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(groupRows),
		parquet.CreatedBy("durable", "1", "0"), parquet.PageBufferSize(parquetPage), parquet.WriteBufferSize(0))
}

const parquetPage = 128 << 10

func (s *parquetSink) claim(ctx context.Context, saved *state) (*state, error) {
	st, err := s.fileSink.claim(ctx, saved)
	if err == nil && st != nil {
		s.prepare(st.Columns)
	}
	return st, err
}

func (s *parquetSink) prepare(cols []column) {
	s.columns = cols
	s.writer = newParquetWriter(&s.out, cols)
	s.begun, s.group = false, groupSize{}
}

func (s *parquetSink) create(ctx context.Context, st *state) error {
	if err := s.close(); err != nil {
		return err
	}
	if s.p.Mode == modeAppend {
		if err := s.adopt(ctx, st); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return fileError(err, "partial file", s.part)
	}
	if err := s.use(f, 0); err != nil {
		return err
	}
	s.prepare(st.Columns)
	return s.commit(ctx, st)
}

// adopt takes the types of the file that is appended to. Its rows are copied when all is merged.
func (s *parquetSink) adopt(ctx context.Context, st *state) error {
	if info, err := os.Stat(s.path); err != nil || info.Size() == 0 {
		return nil
	}
	print, err := fileFingerprint(s.path)
	if err != nil {
		return err
	}
	old := &parquetSource{s.path}
	there, err := old.header(ctx)
	if err != nil {
		return err
	}
	for i, c := range st.Columns {
		if i >= len(there) || there[i].Name != c.Name || len(there) != len(st.Columns) {
			return errColumns(s.p, st.Columns, columnNames(there))
		}
		if there[i].Type != typeJSON || c.Type != typeMixed {
			st.Columns[i].Type = there[i].Type
		}
	}
	r, err := old.start()
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // a reader
	if !parquet.EqualNodes(r.open.Schema(), parquetSchema(st.Columns)) {
		return task.Errorf(task.Unimplemented, "destination %s: has columns of types that are only read here", s.path).
			WithHint("name another destination, or migrate that file to a new one first and append to it")
	}
	st.File.Old, st.File.Base = &print, r.open.NumRows()
	return nil
}

func (s *parquetSink) convert(v value, i int) (value, error) {
	return parquetConvert(v, s.columns[i].Type)
}
func (s *parquetSink) normal(v value) value { return v }

func (s *parquetSink) write(_ context.Context, b *batch) ([]refusal, error) {
	if b.rows() == 0 {
		return nil, nil
	}
	if !s.begun {
		s.from, s.begun, s.group = s.out.n, true, groupSize{}
		s.writer.Reset(&s.out)
	}
	size := b.size()
	if s.group.full(size) {
		if err := s.writer.Flush(); err != nil {
			return nil, fileError(err, "destination", s.part)
		}
		s.group = groupSize{}
	}
	s.group.add(size)
	for i, w := range s.writer.ColumnWriters() {
		var err error
		if s.values, err = s.columnValues(s.values[:0], b, i); err != nil {
			return nil, err
		}
		if _, err := w.WriteRowValues(s.values); err != nil {
			return nil, fileError(err, "destination", s.part)
		}
	}
	return nil, nil
}

// commit ends the file of the chain that is being written.
func (s *parquetSink) commit(ctx context.Context, st *state) error {
	if s.begun {
		s.begun = false
		err := s.writer.Close()
		if err == nil {
			_, err = s.out.Write(binary.LittleEndian.AppendUint64(nil, uint64(s.out.n-s.from)))
		}
		if err != nil {
			return fileError(err, "destination", s.part)
		}
	}
	return s.fileSink.commit(ctx, st)
}

// verify merges the chain, and reads back what came of it under whichever name it has by now.
func (s *parquetSink) verify(ctx context.Context, st *state, tick func(int64)) (digest, error) {
	path := s.merged
	if st.Phase != phasePublish {
		if err := s.merge(ctx, st); err != nil {
			return digest{}, err
		}
	} else if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		path = s.path
	}
	r, err := (&parquetSource{path}).open(ctx, st.Columns, position{Record: st.File.Base})
	if err != nil {
		return digest{}, err
	}
	defer func() { _ = r.close() }() // nothing was written
	if own, ok := r.(*parquetReader); ok && shortTypes(st.Columns) {
		return sumUp(ctx, tick, func(h *hasher) error { return own.hash(h, st.Columns) })
	}
	return sum(ctx, r, len(st.Columns), tick)
}

// merge writes one file of the one appended to and the chain. Large row groups are copied as they are,
// small ones put together: a checkpoint each second of a slow migration would leave thousands.
func (s *parquetSink) merge(ctx context.Context, st *state) (err error) {
	links, err := chain(s.file, st.File.Length)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.merged, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return fileError(err, "partial file", s.merged)
	}
	defer func() {
		err = fileError(errors.Join(err, f.Close()), "partial file", s.merged)
	}()
	out := counter{w: f}
	m := &merger{w: newParquetWriter(&out, st.Columns)}
	if st.File.Base > 0 {
		if err := s.mergeOld(ctx, m, st); err != nil {
			return err
		}
	}
	for _, l := range links {
		if err := m.file(ctx, s.part, io.NewSectionReader(s.file, l[0], l[1]), l[1]); err != nil {
			return err
		}
	}
	if err := m.w.Close(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	st.File.Merged = out.n
	return s.hook("merged")
}

func (s *parquetSink) mergeOld(ctx context.Context, m *merger, st *state) error {
	now, err := fileFingerprint(s.path)
	if err != nil {
		return err
	}
	if st.File.Old == nil || now != *st.File.Old {
		return changed(s.path)
	}
	old, err := os.Open(s.path)
	if err != nil {
		return fileError(err, "destination", s.path)
	}
	defer func() { _ = old.Close() }() // nothing was written
	return m.file(ctx, s.path, old, now.Size)
}

// merger puts files together.
type merger struct {
	w     *parquet.GenericWriter[any]
	group groupSize
}

func (m *merger) file(ctx context.Context, path string, r io.ReaderAt, size int64) (err error) {
	defer guard(path, &err)
	f, err := openParquet(r, size)
	if err != nil {
		return err
	}
	for i, group := range f.RowGroups() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		this := groupSize{group.NumRows(), f.Metadata().RowGroups[i].TotalByteSize}
		if this.rows >= groupRows/2 || this.bytes >= groupBytes/2 {
			if _, err := m.w.WriteRowGroup(group); err != nil {
				return err
			}
			m.group = groupSize{}
			continue
		}
		if m.group.full(this) {
			if err := m.w.Flush(); err != nil {
				return err
			}
			m.group = groupSize{}
		}
		m.group.add(this)
		rows := group.Rows()
		_, err := parquet.CopyRows(m.w, rows)
		if err = errors.Join(err, rows.Close()); err != nil {
			return err
		}
	}
	return nil
}

// chain returns where the files of a chain of that length begin and how long they are.
func chain(r io.ReaderAt, length int64) ([][2]int64, error) {
	var links [][2]int64
	for end := length; end > 0; {
		b := make([]byte, lengthSize)
		if _, err := r.ReadAt(b, end-lengthSize); err != nil {
			return nil, fmt.Errorf("partial file: %w", err)
		}
		n := int64(binary.LittleEndian.Uint64(b))
		start := end - lengthSize - n
		if n <= 0 || start < 0 {
			return nil, task.Errorf(task.FailedPrecondition, "partial file: damaged at byte %d", end-lengthSize).
				WithHint("start the migration anew")
		}
		links = append(links, [2]int64{start, n})
		end = start
	}
	for i, j := 0, len(links)-1; i < j; i, j = i+1, j-1 {
		links[i], links[j] = links[j], links[i]
	}
	return links, nil
}

// publish gives the merged file the destination's name; then the chain has served.
func (s *parquetSink) publish(ctx context.Context, st *state) error {
	if err := s.close(); err != nil {
		return err
	}
	done := *st
	done.File.Length = st.File.Merged
	if err := (&fileSink{p: s.p, path: s.path, part: s.merged, hook: s.hook}).publish(ctx, &done); err != nil {
		return err
	}
	if err := os.Remove(s.part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fileError(err, "partial file", s.part)
	}
	return s.hook("removed")
}

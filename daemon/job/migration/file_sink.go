package migration

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"strings"

	"durable/ipc/task"
)

// encoder writes records in one format.
type encoder interface {
	convert(v value, i int) (value, error)
	header(w io.Writer) error
	encode(w io.Writer, row []value) error
}

// fileSink writes a text file under a partial name beside the destination.
type fileSink struct {
	p    *params
	path string
	part string
	hook func(string) error

	encoder
	file *os.File
	buf  *bufio.Writer
	zip  *members // nil: not compressed
	raw  counter  // the file
	out  counter  // its text
}

// counter counts what was written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// claim opens the partial file of an earlier attempt and cuts off what came after its checkpoint. A
// partial file that is gone or too short means to begin anew: nothing of it was ever published.
func (s *fileSink) claim(_ context.Context, saved *state) (*state, error) {
	if saved == nil {
		return nil, nil
	}
	s.encoder = newEncoder(s.p, saved.Columns)
	if saved.Phase == phasePublish {
		// All is written and verified. The partial file may be the published one by another name already,
		// and what others have added to that since is not ours to cut; publish finds out.
		return saved, nil
	}
	f, err := os.OpenFile(s.part, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(err, "partial file", s.part)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < saved.File.Length {
		return nil, f.Close()
	}
	if err == nil {
		err = f.Truncate(saved.File.Length)
	}
	if err == nil {
		_, err = f.Seek(saved.File.Length, io.SeekStart)
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return nil, fileError(err, "partial file", s.part)
	}
	return saved, s.use(f, saved.File.Length)
}

func (s *fileSink) use(f *os.File, length int64) (err error) {
	s.file = f
	s.buf = bufio.NewWriterSize(f, writeBuffer)
	s.raw = counter{w: s.buf, n: length}
	s.out = counter{w: &s.raw, n: length}
	if c, _ := compressionOf(s.p.Destination); c != compressNone {
		s.zip, err = newMembers(c, &s.raw)
		s.out.w = s.zip
	}
	return err
}

const writeBuffer = 256 << 10

func (s *fileSink) create(ctx context.Context, st *state) error {
	s.encoder = newEncoder(s.p, st.Columns)
	if err := s.close(); err != nil {
		return err
	}
	f, err := os.OpenFile(s.part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return fileError(err, "partial file", s.part)
	}
	if err := s.use(f, 0); err != nil {
		return err
	}
	if s.p.Mode == modeAppend {
		if err := s.copyOld(ctx, st); err != nil {
			return err
		}
	}
	if s.out.n == 0 {
		if err := s.header(&s.out); err != nil {
			return fileError(err, "destination", s.part)
		}
	}
	st.File.Base = s.out.n
	if s.zip != nil {
		s.zip.begin() // also of no text at all there is one member
	}
	return s.commit(ctx, st)
}

// copyOld begins the partial file with the file that is appended to. Appending in place would leave
// half of the records in a file that others use, and could not be taken back.
func (s *fileSink) copyOld(ctx context.Context, st *state) error {
	if _, err := os.Stat(s.path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	old, err := openText(s.path, 0)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }() // nothing was written
	if c, _ := compressionOf(s.p.Destination); old.kind != c {
		return task.Errorf(task.InvalidArgument, "destination %s: its extension does not say how it is compressed", s.p.Destination).
			WithHint("rename it")
	}
	print, err := fileFingerprint(s.path)
	if err != nil {
		return err
	}
	st.File.Old = &print
	var last lastByte
	if _, err = io.Copy(&s.out, io.TeeReader(ctxReader{ctx, old}, &last)); err == nil && last != 0 && last != '\n' {
		_, err = s.out.Write([]byte("\n"))
	}
	return fileError(err, "destination", s.part)
}

// lastByte keeps the last byte written to it.
type lastByte byte

func (l *lastByte) Write(b []byte) (int, error) {
	if len(b) > 0 {
		*l = lastByte(b[len(b)-1])
	}
	return len(b), nil
}

// ctxReader makes a long copy end when its context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(b)
}

func (s *fileSink) normal(v value) value {
	if d, ok := v.(decimal); ok {
		return number(string(d)) // JSON Lines; in the others it is text by now
	}
	if text, ok := v.(string); ok && s.p.DestinationFormat.delimited() && strings.Contains(text, "\r\n") {
		return strings.ReplaceAll(text, "\r\n", "\n") // encoding/csv reads it so
	}
	return v
}

func (s *fileSink) write(_ context.Context, b *batch) ([]refusal, error) {
	for i := range b.rows() {
		if err := s.encode(&s.out, b.row(i)); err != nil {
			return nil, fileError(err, "destination", s.part)
		}
	}
	return nil, nil
}

func (s *fileSink) commit(_ context.Context, st *state) error {
	var err error
	if s.zip != nil {
		err = s.zip.end()
	}
	if err == nil {
		err = s.buf.Flush()
	}
	if err == nil {
		err = s.file.Sync()
	}
	st.File.Length = s.raw.n
	return fileError(err, "destination", s.part)
}

// verify reads the file under whichever name it has by now.
func (s *fileSink) verify(ctx context.Context, st *state, tick func(int64)) (digest, error) {
	path := s.part
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		path = s.path
	}
	r, err := s.readBack(ctx, path, st)
	if err != nil {
		return digest{}, err
	}
	defer func() { _ = r.close() }() // nothing was written
	return sum(ctx, r, len(st.Columns), tick)
}

func (s *fileSink) readBack(ctx context.Context, path string, st *state) (reader, error) {
	at := position{Offset: st.File.Base}
	if s.p.DestinationFormat == formatJSONL {
		r, err := (&jsonSource{path}).open(ctx, st.Columns, at)
		if err == nil {
			r.(*jsonReader).strict = true
		}
		return r, err
	}
	return (&delimitedSource{path, s.p.DestinationFormat.comma()}).open(ctx, st.Columns, at)
}

// sum reads all of r.
func sum(ctx context.Context, r reader, width int, tick func(int64)) (digest, error) {
	if text, ok := r.(cellReader); ok {
		return sumUp(ctx, tick, func(h *hasher) error { return hashCells(h, text) })
	}
	row := make([]value, width)
	return sumUp(ctx, tick, func(h *hasher) error {
		err := r.read(row)
		if err == nil {
			h.values(row)
		}
		return err
	})
}

// hashCells hashes the next record of a text file: all values in one are text.
func hashCells(h *hasher, r cellReader) error {
	cells, err := r.chosen()
	if err != nil {
		return err
	}
	h.begin()
	for _, c := range cells {
		h.text(c)
	}
	return nil
}

// sumUp sums up what next hashes until it returns io.EOF.
func sumUp(ctx context.Context, tick func(int64), next func(*hasher) error) (digest, error) {
	var d digest
	var h hasher
	for {
		if d.Records%256 == 0 {
			if ctx.Err() != nil {
				return d, context.Cause(ctx)
			}
			tick(d.Records)
		}
		err := next(&h)
		if err == io.EOF {
			return d, nil
		}
		if err != nil {
			return d, err
		}
		d.add(h.sum())
	}
}

func (s *fileSink) size() int64 {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *fileSink) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return fileError(err, "destination", s.part)
}

func newEncoder(p *params, cols []column) encoder {
	if p.DestinationFormat == formatJSONL {
		return newJSONEncoder(cols)
	}
	return &delimitedEncoder{names: columnNames(cols), comma: p.DestinationFormat.comma()}
}

// delimitedEncoder writes CSV or TSV.
type delimitedEncoder struct {
	names []string
	comma rune
	w     io.Writer
	csv   *csv.Writer
	cells []string
}

func (e *delimitedEncoder) convert(v value, _ int) (value, error) { return toText(v), nil }

func (e *delimitedEncoder) header(w io.Writer) error {
	row := make([]value, len(e.names))
	for i, name := range e.names {
		row[i] = name
	}
	return e.encode(w, row)
}

func (e *delimitedEncoder) encode(w io.Writer, row []value) error {
	if e.csv == nil || e.w != w {
		e.w, e.csv = w, csv.NewWriter(w)
		e.csv.Comma = e.comma
		e.cells = make([]string, len(row))
	}
	for i, v := range row {
		e.cells[i], _ = v.(string) // convert made it one
	}
	if len(row) == 1 && e.cells[0] == "" {
		// encoding/csv would write an empty line, which every reader leaves out.
		_, err := io.WriteString(w, "\"\"\n")
		return err
	}
	err := e.csv.Write(e.cells)
	e.csv.Flush()
	return errors.Join(err, e.csv.Error())
}

// changed is the refusal of a destination that is no longer what it was.
func changed(path string) error {
	return task.Errorf(task.FailedPrecondition, "destination %s: changed while records were added to a copy of it", path).
		WithHint("nothing was changed there; start the migration anew when nobody else writes the file")
}

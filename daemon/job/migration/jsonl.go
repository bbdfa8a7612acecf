package migration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"durable/ipc/task"
)

// jsonSource is a JSON Lines file: one object on each line, blank lines left out.
type jsonSource struct{ path string }

func (s *jsonSource) fingerprint() (fingerprint, error)        { return fileFingerprint(s.path) }
func (s *jsonSource) snapshot() bool                           { return false }
func (s *jsonSource) caster(column) func(value) value          { return nil }
func (s *jsonSource) header(context.Context) ([]column, error) { return nil, nil }

func (s *jsonSource) openAt(at position) (*jsonReader, error) {
	f, err := openText(s.path, at.Offset)
	if err != nil {
		return nil, err
	}
	return &jsonReader{path: s.path, file: f, in: bufio.NewReaderSize(f, readBuffer), pos: at, index: map[string]int{}}, nil
}

func (s *jsonSource) open(_ context.Context, cols []column, at position) (reader, error) {
	r, err := s.openAt(at)
	if err != nil {
		return nil, err
	}
	for i, c := range cols {
		r.index[c.Name] = i
	}
	return r, nil
}

// survey counts the records and collects the columns: every key that any record has, in the order in
// which they first appear.
func (s *jsonSource) survey(ctx context.Context, o surveyOptions) (survey, error) {
	r, err := s.openAt(position{})
	if err != nil {
		return survey{}, err
	}
	defer func() { _ = r.close() }() // nothing was written
	k := newKeySurvey(s.path, o)
	var records int64
	err = eachRecord(ctx, o, &records, func() error {
		members, err := r.object()
		if err != nil {
			return err
		}
		return k.record(members)
	})
	if err != nil {
		return survey{}, err
	}
	if k.records += records; o.known != nil && !o.last {
		return survey{Records: records}, nil
	}
	cols, err := k.result()
	return survey{Columns: cols, Records: records}, err
}

// newKeySurvey goes on with what earlier files of a set have shown.
func newKeySurvey(path string, o surveyOptions) *keySurvey {
	if o.known != nil && o.known.keys != nil {
		return o.known.keys
	}
	k := &keySurvey{path: path, index: map[string]int{}, chosen: o.columns != nil, rich: o.rich}
	for _, name := range o.columns {
		k.add(name)
	}
	clear(k.seen)
	if o.known != nil {
		o.known.keys = k
	}
	return k
}

// keySurvey collects the keys of JSON records, and the types of their values.
type keySurvey struct {
	path   string
	rich   bool
	chosen bool // the columns are given: other keys do not matter
	index  map[string]int
	cols   []column
	types  []inference
	seen   []bool
	size   int // bytes of all names

	records int64
}

func (k *keySurvey) add(name string) {
	k.index[name] = len(k.cols)
	k.cols = append(k.cols, column{Name: name})
	k.types = append(k.types, inference{rich: k.rich})
	k.seen = append(k.seen, true)
	k.size += len(name)
}

func (k *keySurvey) record(members []member) error {
	for _, m := range members {
		i, known := k.index[string(m.key)]
		if !known && k.chosen {
			continue
		}
		if !known {
			i = len(k.cols)
			k.add(string(m.key))
			if i >= MaxColumns || k.size > MaxHeader {
				return checkColumns(k.cols, k.path)
			}
		}
		k.seen[i] = true
		k.types[i].value(m.value)
	}
	return nil
}

func (k *keySurvey) result() ([]column, error) {
	for i := range k.cols {
		k.cols[i].Type = k.types[i].typ
		if k.records > 0 && !k.seen[i] {
			return nil, task.Errorf(task.InvalidArgument, "columns: no record of %s has the key %q", k.path, k.cols[i].Name)
		}
	}
	if len(k.cols) == 0 {
		return nil, task.Errorf(task.InvalidArgument, "source %s: empty, without any record", k.path).
			WithHint("JSON Lines holds one object on each line")
	}
	return k.cols, nil
}

// jsonReader reads records from a position on.
type jsonReader struct {
	path  string
	file  io.Closer
	in    *bufio.Reader
	long  []byte // a line longer than in's buffer
	pos   position
	index map[string]int // column of a key
	// strict: a key that is no column is an error, as when a destination is read back.
	strict  bool
	members []member
}

func (r *jsonReader) line() int64        { return r.pos.Line }
func (r *jsonReader) position() position { return r.pos }
func (r *jsonReader) close() error       { return r.file.Close() }

func (r *jsonReader) read(row []value) error {
	members, err := r.object()
	if err != nil {
		return err
	}
	for i := range row {
		row[i] = missing{}
	}
	for _, m := range members {
		if i, ok := r.index[string(m.key)]; ok {
			row[i] = m.value
		} else if r.strict {
			return &rowError{line: r.pos.Line, msg: "unexpected key " + string(quoted(string(m.key)))}
		}
	}
	return nil
}

// object reads the next line that is not blank.
func (r *jsonReader) object() ([]member, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		if r.pos.Line == 1 {
			line = bytes.TrimPrefix(line, bom)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if r.members, err = parseObject(line, r.members[:0]); err != nil {
			return nil, &rowError{line: r.pos.Line, msg: err.Error(), raw: bytes.Clone(line)}
		}
		return r.members, nil
	}
}

// readLine returns the next line, good until the next call.
func (r *jsonReader) readLine() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = r.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(r.long) > MaxRecord {
				return nil, tooLong(r.path, r.pos.Line+1)
			}
			r.long = append(r.long, line...)
			line, err = r.in.ReadSlice('\n')
		}
		r.long = append(r.long, line...)
		line = r.long
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	if err == io.EOF {
		return nil, err
	}
	r.pos.Offset += int64(len(line))
	r.pos.Line++
	return line, fileError(err, "source", r.path)
}

// jsonEncoder writes records as JSON Lines.
type jsonEncoder struct {
	keys [][]byte
	buf  []byte
}

func newJSONEncoder(cols []column) *jsonEncoder {
	e := &jsonEncoder{}
	for _, c := range cols {
		e.keys = append(e.keys, slices.Concat(quoted(c.Name), []byte(":")))
	}
	return e
}

func (e *jsonEncoder) convert(v value, _ int) (value, error) { return toJSON(v) }

func (e *jsonEncoder) header(io.Writer) error { return nil }

func (e *jsonEncoder) encode(w io.Writer, row []value) error {
	b := append(e.buf[:0], '{')
	for i, v := range row {
		if _, absent := v.(missing); absent {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendJSON(append(b, e.keys[i]...), v)
	}
	e.buf = append(b, '}', '\n')
	_, err := w.Write(e.buf)
	return err
}

package migration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"durable/ipc/task"
)

// onErrorFile keeps the records left out beside the destination.
const onErrorFile onError = "file"

// rejectsPath is the file of the records left out, where the destination is a file.
func rejectsPath(destination string) string { return destination + ".rejected.jsonl" }

// rejects is the file of the records left out, as JSON Lines. Like a destination it is written under a
// partial name, synced before each checkpoint, cut to the checkpoint's length, and renamed at the end.
//
// Of a destination without a folder, as in PostgreSQL, it is an artifact of the task, under its own name at once.
type rejects struct {
	path, part string
	artifact   bool
	hook       func(string) error
	file       *os.File
	buf        *bufio.Writer
	n          int64
}

// reject is one record left out: its raw text where a file's line could not be read, else its values.
type reject struct {
	Line   int64           `json:"line"`
	Error  string          `json:"error"`
	Raw    *string         `json:"raw,omitempty"`
	Base64 []byte          `json:"raw_base64,omitempty"` // where raw is not UTF-8
	Record json.RawMessage `json:"record,omitempty"`
}

// rejectsArtifact is the artifact with the records left out.
const rejectsArtifact = "rejected.jsonl"

func (m *migration) newRejects() (*rejects, error) {
	if m.p.OnError != onErrorFile || m.p.DryRun {
		return nil, nil
	}
	if m.p.DestinationFormat == formatPostgres {
		dir, err := m.j.ArtifactsDir()
		path := filepath.Join(dir, rejectsArtifact)
		return &rejects{path: path, part: path, artifact: true, hook: m.hook}, err
	}
	path := rejectsPath(m.p.Destination)
	return &rejects{path: path, part: partPath(path, m.j), hook: m.hook}, nil
}

// checkRejects refuses a file of records that an earlier migration left out: they are somebody's to mend.
func (p *params) checkRejects() error {
	if p.OnError != onErrorFile || p.DestinationFormat == formatPostgres {
		return nil
	}
	if _, err := os.Lstat(rejectsPath(p.Destination)); err == nil {
		return task.Errorf(task.FailedPrecondition, "%s: exists already, with records that an earlier migration left out", rejectsPath(p.Destination)).
			WithHint("move it away first")
	}
	return nil
}

// open begins the file, or goes on after what the checkpoint has of it.
func (r *rejects) open(length int64) error {
	if r == nil {
		return nil
	}
	if _, err := os.Stat(r.part); r.artifact && errors.Is(err, os.ErrNotExist) {
		length = 0 // another task of the line has what was left out before
	}
	flags := os.O_RDWR | os.O_CREATE
	if length > 0 {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(r.part, flags, 0o666)
	if errors.Is(err, os.ErrNotExist) {
		return errRejectsGone(r.part)
	}
	if err != nil {
		return fileError(err, "partial file", r.part)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < length {
		err = errRejectsGone(r.part)
	}
	if err == nil {
		err = f.Truncate(length)
	}
	if err == nil {
		_, err = f.Seek(length, io.SeekStart)
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return fileError(err, "partial file", r.part)
	}
	r.file, r.buf, r.n = f, bufio.NewWriter(f), length
	return nil
}

func errRejectsGone(path string) error {
	return task.Errorf(task.FailedPrecondition, "partial file %s: removed or cut, and with it records that were left out", path).
		WithHint("start the migration anew")
}

func (r *rejects) add(e *rowError) error {
	if r == nil {
		return nil
	}
	this := reject{Line: e.line, Error: e.msg, Record: e.record}
	if e.raw != nil && utf8.Valid(e.raw) {
		text := string(e.raw)
		this.Raw = &text
	} else {
		this.Base64 = e.raw
	}
	line, err := json.Marshal(this)
	if err != nil {
		return err
	}
	n, err := r.buf.Write(append(line, '\n'))
	r.n += int64(n)
	return fileError(err, "partial file", r.part)
}

// sync makes what was added durable and returns how long the file is.
func (r *rejects) sync() (int64, error) {
	if r == nil || r.file == nil {
		return 0, nil
	}
	err := r.buf.Flush()
	if err == nil {
		err = r.file.Sync()
	}
	return r.n, fileError(err, "partial file", r.part)
}

// publish gives the file its name; one without records is removed.
func (r *rejects) publish(ctx context.Context, st *state) error {
	if r == nil {
		return nil
	}
	if err := r.close(); err != nil {
		return err
	}
	if st.Rejected == 0 {
		if err := os.Remove(r.part); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fileError(err, "partial file", r.part)
		}
		return nil
	}
	if r.artifact {
		return nil
	}
	done := &state{File: fileState{Length: st.Rejected}}
	return (&fileSink{p: &params{Mode: modeCreate}, path: r.path, part: r.part, hook: r.hook}).publish(ctx, done)
}

func (r *rejects) close() error {
	if r == nil || r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return fileError(err, "partial file", r.part)
}

// keep notes the values of a record that was read but not taken. They are for people: what JSON cannot hold
// is replaced.
func (e *rowError) keep(cols []column, row []value) {
	b := []byte{'{'}
	for i, v := range row {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, quoted(cols[i].Name)...), ':')
		if s, ok := v.(string); ok {
			v = strings.ToValidUTF8(s, "\uFFFD")
		}
		v, _ = toJSON(v) // the only thing that it refuses was replaced
		b = appendJSON(b, v)
	}
	e.record = append(b, '}')
}

// rawText remembers what was read of a file since the beginning of a record.
type rawText struct {
	r    io.Reader
	buf  []byte
	base int64 // offset of buf in the text
}

func (t *rawText) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.buf = append(t.buf, b[:n]...)
	return n, err
}

// from forgets what comes before an offset.
func (t *rawText) from(offset int64) {
	if drop := offset - t.base; drop > readBuffer || int(drop) == len(t.buf) {
		t.buf = append(t.buf[:0], t.buf[drop:]...)
		t.base = offset
	}
}

func (t *rawText) text(from, to int64) []byte {
	return append([]byte{}, t.buf[from-t.base:to-t.base]...)
}

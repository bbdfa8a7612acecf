package migration

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"durable/ipc/task"
)

// compression is how a text file is compressed. Positions in such a file are positions in its text.
type compression string

const (
	compressNone compression = ""
	compressGzip compression = "gzip"
	compressZstd compression = "zstd"
)

// maxWindow is how much memory a zstd file may ask for: what zstd itself grants, so that files of zstd -22 and of --long are
// read. Of what is written here, a reader needs no more than writeWindow.
const (
	maxWindow   = 128 << 20
	writeWindow = 4 << 20
)

// compressionOf tells by the extension, and returns path without it.
func compressionOf(path string) (compression, string) {
	ext := filepath.Ext(path)
	plain := strings.TrimSuffix(path, ext)
	switch strings.ToLower(ext) {
	case ".gz":
		return compressGzip, plain
	case ".zst", ".zstd":
		return compressZstd, plain
	}
	return compressNone, path
}

func compressionByMagic(content []byte) compression {
	switch {
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		return compressGzip
	case bytes.HasPrefix(content, []byte("\x28\xb5\x2f\xfd")):
		return compressZstd
	}
	return compressNone
}

// textFile reads the text of a file, whether it is compressed or not.
type textFile struct {
	path string
	file *os.File
	kind compression
	r    io.Reader
	z    io.Closer // of r, if it has one
}

// openText opens a file at an offset of its text. In a compressed file all before is read and dropped.
func openText(path string, offset int64) (_ *textFile, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err, "source", path)
	}
	t := &textFile{path: path, file: f, r: f}
	defer func() {
		if err != nil {
			_ = t.Close() // the first error counts
			err = fileError(err, "source", path)
		}
	}()
	magic := make([]byte, 4)
	n, err := f.ReadAt(magic, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	t.kind = compressionByMagic(magic[:n])
	if named, _ := compressionOf(path); n > 0 && named != compressNone && t.kind != named {
		return nil, task.Errorf(task.InvalidArgument, "%s: is not %s, whatever its name says", path, named).
			WithHint("give it its true extension")
	}
	switch t.kind {
	case compressNone:
		_, err = f.Seek(offset, io.SeekStart)
		return t, err
	case compressGzip:
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, t.damaged(err)
		}
		t.r, t.z = z, z
	default:
		// One goroutine, ours: nothing is left behind by an attempt that ends.
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, t.damaged(err)
		}
		t.r, t.z = z, z.IOReadCloser()
	}
	_, err = io.CopyN(io.Discard, t, offset)
	return t, err
}

func (t *textFile) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if err != nil && err != io.EOF && t.kind != compressNone {
		err = t.damaged(err)
	}
	return n, err
}

func (t *textFile) damaged(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return err
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return task.Errorf(task.Unimplemented, "%s: zstd with a window of more than %d MiB", t.path, maxWindow>>20).
			WithHint("compress it anew: zstd -d --long=31 < FILE | zstd --long=27 > NEW")
	}
	return task.Errorf(task.FailedPrecondition, "%s: damaged %s: %w", t.path, t.kind, err).
		WithHint("fetch or write it again")
}

func (t *textFile) Close() error {
	if t.z != nil {
		_ = t.z.Close() // a reader
	}
	return t.file.Close()
}

// members writes compressed text that can be cut: each checkpoint ends a gzip member or zstd frame, and
// both formats are made so that members one after the other are one text.
type members struct {
	w io.Writer
	z interface {
		io.WriteCloser
		Reset(w io.Writer)
	}
	open bool
}

func newMembers(c compression, w io.Writer) (*members, error) {
	m := &members{w: w}
	if c == compressGzip {
		m.z = gzip.NewWriter(nil)
		return m, nil
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithWindowSize(writeWindow))
	m.z = z
	return m, err
}

func (m *members) Write(b []byte) (int, error) {
	m.begin()
	return m.z.Write(b)
}

func (m *members) begin() {
	if !m.open {
		m.open = true
		m.z.Reset(m.w)
	}
}

// end ends the member that is open.
func (m *members) end() error {
	if !m.open {
		return nil
	}
	m.open = false
	return m.z.Close()
}

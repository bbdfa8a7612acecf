package logfile

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// ErrDropped says that the bytes at an offset are in the hole.
var ErrDropped = errors.New("these bytes were dropped: the log has outgrown its limit")

// File is a log that is open for reading. ReadAt may be called from any goroutine.
type File struct {
	path string
	f    *os.File
}

// Open opens the log at path.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &File{path, f}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Size returns the log's length, hole and all.
func (f *File) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Skip returns offset, or the end of the hole if offset is in it.
func (f *File) Skip(offset int64) (int64, error) {
	h, err := ReadHole(f.path)
	if err == nil && h.Contains(offset) {
		offset = h.To
	}
	return offset, err
}

// ReadAt reads at offset, at most to where the hole begins: unlike what io.ReaderAt promises it may return fewer
// bytes than asked for. In the hole it returns ErrDropped, at the end io.EOF.
func (f *File) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.f.ReadAt(b, offset)
	if n == 0 {
		return 0, err
	}
	h, cutErr := ReadHole(f.path) // after the bytes: see the package's comment
	switch {
	case cutErr != nil:
		return 0, cutErr
	case h.Contains(offset):
		return 0, ErrDropped
	case h.From > offset && h.From < offset+int64(n):
		return int(h.From - offset), nil
	}
	return n, ignoreEOF(err)
}

// Section returns what lies from offset to end. It ends early where the hole begins. Close closes f.
func (f *File) Section(offset, end int64) io.ReadCloser { return &section{f, offset, end} }

type section struct {
	*File
	offset, end int64
}

func (s *section) Read(b []byte) (int, error) {
	b = b[:min(int64(len(b)), max(0, s.end-s.offset))]
	if len(b) == 0 {
		return 0, io.EOF
	}
	n, err := s.ReadAt(b, s.offset)
	s.offset += int64(n)
	if errors.Is(err, ErrDropped) {
		err = io.EOF
	}
	return n, err
}

// Tail returns where the last lines of the first size bytes begin. It looks no further back than to the hole's end.
func (f *File) Tail(size int64, lines int) (int64, error) {
	const chunk = 64 << 10
	buf := make([]byte, chunk)
	floor, err := f.floor(size)
	for end := size; err == nil && end > floor; {
		begin := max(floor, end-chunk)
		b := buf[:end-begin]
		n, readErr := f.ReadAt(b, begin)
		if n < len(b) {
			if readErr != nil && !errors.Is(readErr, ErrDropped) && !errors.Is(readErr, io.EOF) {
				return 0, readErr
			}
			old := floor
			if floor, err = f.floor(size); floor == old {
				return floor, err // truncated: there is less than there was
			}
			continue
		}
		for i := len(b); i > 0; {
			if i = bytes.LastIndexByte(b[:i], '\n'); i < 0 {
				break
			}
			if begin+int64(i) == size-1 {
				continue // it ends the last line
			}
			if lines--; lines == 0 {
				return begin + int64(i) + 1, nil
			}
		}
		end = begin
	}
	return floor, err
}

// floor returns the offset from which on all bytes to size are there.
func (f *File) floor(size int64) (int64, error) {
	h, err := ReadHole(f.path)
	return min(h.To, size), err
}

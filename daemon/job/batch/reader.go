package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"unicode/utf8"

	"durable/ipc/task"
)

// position is a place between two items.
type position struct {
	// Offset is in bytes, Line the number of lines before it; Item the number of items before it.
	Offset int64 `json:"offset,omitempty"`
	Line   int64 `json:"line,omitempty"`
	Item   int64 `json:"item,omitempty"`
}

// reader reads items one after the other. It is used by one goroutine at a time.
type reader interface {
	// next returns io.EOF at the end.
	next() (item, error)
	// position is where the next item begins.
	position() position
	close() error
}

// openItems reads the items of path from a position; the zero position is the beginning.
func openItems(f format, path string, at position) (reader, error) {
	switch f {
	case formatNumbers:
		return &numberReader{at}, nil
	case formatCSV:
		return openCSV(path, at)
	}
	file, err := openAt(path, at.Offset)
	if err != nil {
		return nil, err
	}
	return &lineReader{name: path, json: f != formatLines, f: file, r: bufio.NewReaderSize(file, 64<<10), at: at}, nil
}

func openAt(path string, offset int64) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, inputError(err, path)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, inputError(err, path)
	}
	return f, nil
}

// nextBatch returns the next items, at most size of them and none beyond the first limit of the input. The last batch may be
// shorter; io.EOF: there is none.
func nextBatch(r reader, size int, limit int64) ([]item, error) {
	size = int(min(int64(size), limit-r.position().Item))
	var items []item
	total := 0
	for len(items) < size {
		it, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if total += len(it); total > MaxBatch {
			return nil, invalid("a batch of %d items takes more than %d bytes", size, MaxBatch).WithHint("choose a smaller batch_size")
		}
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil, io.EOF
	}
	return items, nil
}

// numberReader gives the numbers from 1.
type numberReader struct{ at position }

func (r *numberReader) next() (item, error) {
	r.at.Item++
	return strconv.AppendInt(nil, r.at.Item, 10), nil
}

func (r *numberReader) position() position { return r.at }
func (r *numberReader) close() error       { return nil }

// lineReader gives the lines of a file, as texts or as the JSON that they are. Empty lines are no items.
type lineReader struct {
	name string
	json bool
	f    io.Closer
	r    *bufio.Reader
	at   position
	buf  []byte
}

var errLong = errors.New("longer than allowed")

// line returns the next line without its end, and counts it. It is valid until the next call.
func (r *lineReader) line() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		r.at.Offset += int64(len(part))
		r.buf = append(r.buf, part...)
		switch {
		case len(r.buf) > MaxItem:
			return nil, errLong
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && (err != io.EOF || len(r.buf) == 0):
			return nil, err
		}
		r.at.Line++
		return bytes.TrimSuffix(bytes.TrimSuffix(r.buf, []byte("\n")), []byte("\r")), nil
	}
}

func (r *lineReader) next() (item, error) {
	for {
		line, err := r.line()
		switch {
		case err == io.EOF:
			return nil, err
		case err == errLong:
			return nil, r.bad(1, "longer than %d bytes", MaxItem).WithHint("an item is a line: is this a text file?")
		case err != nil:
			return nil, inputError(err, r.name)
		}
		if r.at.Line == 1 {
			line = bytes.TrimPrefix(line, []byte("\uFEFF"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return nil, r.bad(0, "not UTF-8").WithHint("convert it: iconv -t utf-8 %s", r.name)
		}
		r.at.Item++
		if !r.json {
			return textItem(string(line)), nil
		}
		if !json.Valid(line) {
			return nil, r.bad(0, "not a JSON value").WithHint("JSON Lines has one value a line; jq -c . %s makes it so; or give format=lines", r.name)
		}
		return bytes.Clone(bytes.TrimSpace(line)), nil
	}
}

// bad is the error of the line read last, or of one after it.
func (r *lineReader) bad(after int64, format string, args ...any) *task.Error {
	return invalid("input: %s, line %d: "+format, append([]any{r.name, r.at.Line + after}, args...)...)
}

func (r *lineReader) position() position { return r.at }
func (r *lineReader) close() error       { return r.f.Close() }

package migration

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"strings"
)

// recordReader reads the records of a CSV or TSV text as encoding/csv does, several times as fast: a record that lies
// on one line of the buffer is cut there, without a copy. A field of several lines, a lone quote, an empty line, the end:
// all else is left to encoding/csv, which reads from the same buffer. So no rule of the format is decided here.
type recordReader struct {
	in     *bufio.Reader
	csv    *csv.Reader
	comma  byte
	fields [][]byte
	spare  []byte // of fields that are not in the buffer as they read

	cutBytes int64 // of the records cut here; the csv.Reader counts its own
	cutLines int64
	first    int64 // line in which the last record began, counted from 1
	lines    int64 // up to the end of the last record
}

func newRecordReader(in *bufio.Reader, comma rune) *recordReader {
	r := &recordReader{in: in, csv: csv.NewReader(in), comma: byte(comma)}
	r.csv.Comma = comma
	r.csv.FieldsPerRecord = -1 // checked by the caller, with a better message
	r.csv.ReuseRecord = true
	return r
}

// offset is where the next record begins.
func (r *recordReader) offset() int64 { return r.cutBytes + r.csv.InputOffset() }

// read returns the fields of the next record; they are good until the next call.
func (r *recordReader) read() ([][]byte, error) {
	r.fields, r.spare = r.fields[:0], r.spare[:0]
	line, size := r.line()
	if len(line) == 0 || !r.cut(line) {
		return r.slow()
	}
	_, _ = r.in.Discard(size) // they have been seen
	r.cutBytes += int64(size)
	r.cutLines++
	r.lines++
	r.first = r.lines
	return r.fields, nil
}

// line returns the next line without its end, and its size with it; nil if there is none in the buffer, nor after more
// was read into it.
func (r *recordReader) line() ([]byte, int) {
	for seen := 0; ; {
		buf, _ := r.in.Peek(r.in.Buffered()) // there are as many
		if i := bytes.IndexByte(buf[seen:], '\n'); i >= 0 {
			line := buf[:seen+i]
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, seen + i + 1
		}
		seen = len(buf)
		if _, err := r.in.Peek(seen + 1); err != nil {
			return nil, 0 // encoding/csv will meet the error too
		}
	}
}

// cut finds the fields of a line that holds whole ones; false if it does not.
func (r *recordReader) cut(line []byte) bool {
	if bytes.IndexByte(line, '"') >= 0 {
		return r.cutQuoted(line)
	}
	for {
		i := bytes.IndexByte(line, r.comma)
		if i < 0 {
			r.fields = append(r.fields, line)
			return true
		}
		r.fields = append(r.fields, line[:i])
		line = line[i+1:]
	}
}

func (r *recordReader) cutQuoted(line []byte) bool {
	for {
		var field []byte
		n := bytes.IndexByte(line, r.comma)
		if n < 0 {
			n = len(line)
		}
		if len(line) > 0 && line[0] == '"' {
			if field, n = r.quoted(line); n < 0 {
				return false
			}
		} else if field = line[:n]; bytes.IndexByte(field, '"') >= 0 {
			return false
		}
		r.fields = append(r.fields, field)
		if n == len(line) {
			return true
		}
		line = line[n+1:]
	}
}

// quoted returns the field in quotes that line begins with, and where it ends; -1 if it does not, or not well.
func (r *recordReader) quoted(line []byte) ([]byte, int) {
	from := len(r.spare)
	for at := 1; ; {
		i := bytes.IndexByte(line[at:], '"')
		if i < 0 {
			return nil, -1
		}
		end := at + i + 1
		if end < len(line) && line[end] == '"' { // two stand for one
			r.spare = append(r.spare, line[at:end]...)
			at = end + 1
			continue
		}
		if end < len(line) && line[end] != r.comma {
			return nil, -1
		}
		if at == 1 {
			return line[1 : end-1], end
		}
		r.spare = append(r.spare, line[at:end-1]...)
		return r.spare[from:], end
	}
}

// slow has encoding/csv read the next record.
func (r *recordReader) slow() ([][]byte, error) {
	r.fields, r.spare = r.fields[:0], r.spare[:0]
	fields, err := r.csv.Read()
	if err != nil {
		return nil, err
	}
	first, _ := r.csv.FieldPos(0)
	last, _ := r.csv.FieldPos(len(fields) - 1)
	r.first = r.cutLines + int64(first)
	r.lines = r.cutLines + int64(last+strings.Count(fields[len(fields)-1], "\n"))
	for _, f := range fields {
		from := len(r.spare)
		r.spare = append(r.spare, f...)
		r.fields = append(r.fields, r.spare[from:len(r.spare):len(r.spare)])
	}
	return r.fields, nil
}

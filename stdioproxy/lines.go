package stdioproxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"

	"durable/stdioproxy/mcpserver"
)

// MaxLine is the longest message that is taken, in bytes. Parameters are limited to 1 MiB further down.
const MaxLine = 4 << 20

// lines is a Framer over a pair of streams: a message is a line.
type lines struct {
	in *bufio.Reader
	// closer is in's.
	closer io.Closer

	mu  sync.Mutex // guards out
	out io.Writer
}

var _ mcpserver.Framer = (*lines)(nil)

func newLines(in io.ReadCloser, out io.Writer) *lines {
	return &lines{in: bufio.NewReader(in), closer: in, out: out}
}

// Read returns the next line without its end. A last line without an end counts.
func (l *lines) Read() ([]byte, error) {
	var line []byte
	for {
		part, err := l.in.ReadSlice('\n')
		if len(bytes.TrimRight(part, "\r\n"))+len(line) > MaxLine {
			return nil, l.skip(line, part, err)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

// skip reads past the end of a line of which line and part were read; err came with part.
func (l *lines) skip(line, part []byte, err error) error {
	var s idScanner
	s.scan(line)
	for {
		s.scan(part)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil || errors.Is(err, io.EOF) { // the next Read meets the end again
			return &mcpserver.TooLongError{ID: s.id(), Limit: MaxLine}
		}
		part, err = l.in.ReadSlice('\n')
	}
}

// Write sends one message. A message never holds a raw line break: JSON escapes those in strings, and
// the encoder writes none elsewhere.
func (l *lines) Write(msg []byte) error {
	b := make([]byte, 0, len(msg)+1)
	b = append(append(b, msg...), '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.out.Write(b)
	return err
}

// Close ends the input, as far as the stream can: a Read that is blocked in the kernel ends with the
// process.
func (l *lines) Close() error { return l.closer.Close() }

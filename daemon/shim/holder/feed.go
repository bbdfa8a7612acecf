package holder

import (
	"errors"
	"io"
	"os"

	"durable/daemon/shim/protocol"
)

// feeder copies the file stdin to the program's input as it grows. It has a goroutine of its own: a program that
// does not read must hold up nobody else.
type feeder struct{ grown chan struct{} }

// startFeeder begins to feed pipe; nil feeds nothing.
func startFeeder(pipe *os.File) *feeder {
	if pipe == nil {
		return nil
	}
	f := &feeder{make(chan struct{}, 1)}
	go f.run(pipe)
	return f
}

// news says that there may be more input, or no more at all.
func (f *feeder) news() {
	if f == nil {
		return
	}
	select {
	case f.grown <- struct{}{}:
	default:
	}
}

// run ends when the input has, or when the program does not want more of it: that is no error, for us as for a shell.
func (f *feeder) run(pipe *os.File) {
	defer func() { _ = pipe.Close() }()
	var in *os.File
	buf := make([]byte, 32<<10)
	for {
		closed := protocol.Exists(here, protocol.FileStdinClosed) // before the read: what comes first was written first
		if in == nil {
			in, _ = os.Open(protocol.FileStdin) // none yet
		}
		for in != nil {
			n, err := in.Read(buf)
			if n > 0 {
				if _, err := pipe.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					return
				}
				break
			}
		}
		if closed {
			return
		}
		<-f.grown
	}
}

package holder

import (
	"os"
	"os/signal"
	"strings"
	"time"

	"durable/daemon/shim/protocol"
)

// treePoll: a job object tells of the end of its processes through a port only.
const treePoll = 200 * time.Millisecond

// look is how often the files are looked at that stand for a FIFO's commands.
const look = 200 * time.Millisecond

// signals: none that matter.
type signals struct {
	child   chan struct{} // the program has ended
	written chan os.Signal
}

func (s *signals) survive() {
	s.child = make(chan struct{}, 1)
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
}

func (s *signals) listen() {}

func stopSelf() {}

// openAlive: who waits for our end has the handle of the process, or tries the lock.
func openAlive() (*os.File, error) { return nil, nil }

type control chan protocol.Command

// openControl looks at the file "stop" and at the size of "stdin" from time to time.
func openControl() (control, error) {
	c := make(control, 8)
	go func() {
		said, size := "", int64(-1)
		for range time.Tick(look) {
			if b, err := os.ReadFile(protocol.FileStop); err == nil && string(b) != said {
				said = string(b)
				if cmd, ok := protocol.ParseCommand(strings.TrimSuffix(said, "\n")); ok {
					c <- cmd
				}
			}
			now := int64(-1)
			if info, err := os.Stat(protocol.FileStdin); err == nil {
				now = info.Size()
			}
			if now != size || protocol.Exists(here, protocol.FileStdinClosed) {
				size = now
				c <- protocol.Command{}
			}
		}
	}()
	return c, nil
}

// hangUp says the last to the daemon and ends its pipes.
func (h *holder) hangUp(last []byte) {
	_, _ = os.Stdout.Write(last)
	_ = os.Stdin.Close()
	_ = os.Stdout.Close()
}

// notifier: none, the files are looked at from time to time.
type notifier struct{}

func newNotifier() notifier { return notifier{} }

func (notifier) arm() bool { return false }

// files are what the program gets for its first three descriptors.
type files struct {
	std  [3]*os.File
	feed *os.File // the other end of its input, if we feed it
}

func (f *files) close() {
	for _, s := range f.std {
		_ = s.Close()
	}
}

func (h *holder) open() (*files, error) {
	f := &files{}
	for i, name := range []string{protocol.FileStdout, protocol.FileStderr} {
		out, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		f.std[1+i] = out
	}
	var err error
	switch path := h.spec.Stdin; path {
	case protocol.StdinOpen:
		f.std[0], f.feed, err = os.Pipe()
	case "":
		f.std[0], err = os.Open(os.DevNull)
	default:
		f.std[0], err = os.Open(path)
	}
	return f, err
}

//go:build unix

package holder

import (
	"bufio"
	"errors"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/protocol"
)

// signals are those that we take note of.
type signals struct {
	child   chan os.Signal
	written chan os.Signal
}

// survive comes before the program: from then on no signal ends us that can be held off.
func (s *signals) survive() {
	closeInherited()
	_, _ = unix.Setsid() // whoever starts us by hand may not have done it
	for n := unix.Signal(1); n < 32; n++ {
		if n != unix.SIGURG && signal.Ignored(n) { // by who started the daemon: nohup; the program would find it so
			signal.Notify(make(chan os.Signal, 1), n)
		}
	}
	holdOff()
}

// listen may come after it: what has ended before is seen all the same.
func (s *signals) listen() {
	s.child, s.written = make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(s.child, unix.SIGCHLD)
	signal.Notify(s.written, unix.SIGIO)
}

// closeInherited closes what the daemon was given by whoever started it, and gave to us without knowing: a host's pipe
// must not stay open for as long as a program runs. What is ours is closed on exec; what is not, is not.
func closeInherited() {
	dir, err := unix.Open("/dev/fd", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	var names []string
	buf := make([]byte, 4096) // by hand, which takes a fifth of os.ReadDir's time: a program waits for it
	for n, _ := unix.ReadDirent(dir, buf); n > 0; n, _ = unix.ReadDirent(dir, buf) {
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	_ = unix.Close(dir)
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// openAlive opens the FIFO whose end of file says that we are gone. Both ways, so that it does not wait for a reader.
func openAlive() (*os.File, error) {
	if err := protocol.MakeFIFO(protocol.FileAlive); err != nil {
		return nil, err
	}
	return os.OpenFile(protocol.FileAlive, os.O_RDWR, 0)
}

// control are the daemon's commands.
type control chan protocol.Command

// openControl reads the FIFO in a goroutine, which sleeps in the poller. It is open both ways: no daemon that hangs up ends it.
func openControl() (control, error) {
	if err := protocol.MakeFIFO(protocol.FileControl); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(protocol.FileControl, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	c := make(control, 8)
	go func() {
		for in := bufio.NewReaderSize(f, 256); ; {
			line, err := in.ReadSlice('\n')
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
			if cmd, ok := protocol.ParseCommand(string(line[:max(len(line)-1, 0)])); ok {
				c <- cmd
			}
		}
	}()
	return c, nil
}

// hangUp says the last to the daemon, ends its pipes and leaves nothing in their place that could be mistaken for them.
func (h *holder) hangUp(last []byte) {
	_, _ = unix.Write(1, last) // os.Stdout would have us die of a daemon that is gone; and the pipe has room
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(0)
		_ = unix.Close(1)
		return
	}
	_ = dup(null, 0)
	_ = dup(null, 1)
	_ = unix.Close(null)
}

// files are what the program gets for its first three descriptors.
type files struct {
	std  [3]*os.File
	feed *os.File // the other end of its input, if we feed it
	// group is the folder of the control group to run it in; nil: none.
	group *os.File
}

func (f *files) close() {
	for _, s := range f.std {
		_ = s.Close()
	}
	_ = f.group.Close() // also where it is nil
}

func (h *holder) open() (*files, error) {
	becomeSubreaper()
	f := &files{}
	for i, name := range []string{protocol.FileStdout, protocol.FileStderr} {
		out, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		f.std[1+i] = out
	}
	h.spec.Group, f.group = openGroup(h.spec.Group)
	return f, f.openStdin(h.spec.Stdin)
}

func (f *files) openStdin(path string) (err error) {
	switch path {
	case protocol.StdinOpen:
		var p [2]int
		if err := pipe(&p); err != nil {
			return err
		}
		_ = unix.SetNonblock(p[1], true) // ours only: the program gets the other end as programs expect it
		f.std[0], f.feed = os.NewFile(uintptr(p[0]), "stdin"), os.NewFile(uintptr(p[1]), "feed")
		return nil
	case "":
		path = os.DevNull
	}
	// Without O_NONBLOCK a FIFO that nobody writes to would hold us up.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	_ = unix.SetNonblock(fd, false)
	f.std[0] = os.NewFile(uintptr(fd), path)
	return nil
}

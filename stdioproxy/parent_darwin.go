package stdioproxy

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// onParentExit calls exited when the parent process has ended.
func onParentExit(exited func()) error {
	parent := os.Getppid()
	kq, err := unix.Kqueue()
	if err != nil {
		return os.NewSyscallError("kqueue", err)
	}
	watch := unix.Kevent_t{Fflags: unix.NOTE_EXIT}
	unix.SetKevent(&watch, parent, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	if _, err := unix.Kevent(kq, []unix.Kevent_t{watch}, nil, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		_ = unix.Close(kq)
		return os.NewSyscallError("kevent", err)
	}
	if os.Getppid() != parent { // it ended in between
		_ = unix.Close(kq)
		exited()
		return nil
	}
	go func() {
		defer func() { _ = unix.Close(kq) }()
		for {
			n, err := unix.Kevent(kq, nil, make([]unix.Kevent_t, 1), nil)
			if n > 0 || !errors.Is(err, unix.EINTR) {
				break
			}
		}
		exited()
	}()
	return nil
}

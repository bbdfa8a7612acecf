package stdioproxy

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// onParentExit calls exited when the parent process has ended. It waits on a pidfd (Linux 5.3), which
// names the process and not its number.
func onParentExit(exited func()) error {
	parent := os.Getppid()
	fd, err := unix.PidfdOpen(parent, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	if os.Getppid() != parent { // it ended in between, and fd may be somebody else's
		_ = unix.Close(fd)
		exited()
		return nil
	}
	go func() {
		defer func() { _ = unix.Close(fd) }()
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
		exited()
	}()
	return nil
}

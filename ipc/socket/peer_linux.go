package socket

import (
	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

func credentials(fd int) (task.Caller, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return task.Caller{UID: -1}, err
	}
	if cred.Pid == 0 { // no Unix socket, or a peer that this PID namespace cannot name
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil || domain != unix.AF_UNIX {
			return task.Caller{UID: -1}, unix.EPROTONOSUPPORT
		}
	}
	return task.Caller{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

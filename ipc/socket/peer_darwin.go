package socket

import (
	"golang.org/x/sys/unix"

	"durable/ipc/task"
)

func credentials(fd int) (task.Caller, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return task.Caller{UID: -1}, err
	}
	caller := task.Caller{UID: int(cred.Uid)}
	if pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
		caller.PID = pid // for messages only: a peer that has gone has none
	}
	return caller, nil
}

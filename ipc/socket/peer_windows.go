package socket

import (
	"net"

	"golang.org/x/sys/windows"

	"durable/ipc/task"
)

// Peer tells who is at the other end of conn. Windows has no user numbers: UID is -1, and the pipe's
// descriptor has already kept everybody else out. The error is a [task.Unauthenticated].
func Peer(conn net.Conn) (task.Caller, error) {
	caller := task.Caller{UID: -1}
	h, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return caller, task.Errorf(task.Unauthenticated, "a %s connection has no peer credentials", conn.RemoteAddr().Network())
	}
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(windows.Handle(h.Fd()), &pid); err != nil {
		return caller, task.Errorf(task.Unauthenticated, "peer credentials: %w", err)
	}
	caller.PID = int(pid)
	return caller, nil
}

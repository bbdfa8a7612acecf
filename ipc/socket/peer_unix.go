//go:build unix

package socket

import (
	"net"
	"syscall"

	"durable/ipc/task"
)

// Peer tells who is at the other end of conn, by the word of the kernel at the time of connect (for a
// client: of listen). The error is a [task.Unauthenticated].
func Peer(conn net.Conn) (task.Caller, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return task.Caller{UID: -1}, task.Errorf(task.Unauthenticated, "a %s connection has no peer credentials", conn.RemoteAddr().Network())
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return task.Caller{UID: -1}, task.Errorf(task.Unauthenticated, "peer credentials: %w", err)
	}
	caller := task.Caller{UID: -1}
	var credErr error
	if err := raw.Control(func(fd uintptr) { caller, credErr = credentials(int(fd)) }); err != nil {
		credErr = err
	}
	if credErr != nil {
		return task.Caller{UID: -1}, task.Errorf(task.Unauthenticated, "peer credentials: %w", credErr)
	}
	return caller, nil
}

package socket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"durable/ipc/task"
)

// Dial connects to the pipe of that name. It refuses one whose owner is neither this user nor the
// system (nor, at the system service's own name, LocalService): who listens there would get all that we
// say. Such an error is a [*task.Error]; [Absent] tells of the others whether waiting may help.
func Dial(ctx context.Context, name string) (net.Conn, error) {
	if err := checkName("socket", name); err != nil {
		return nil, err
	}
	conn, err := winio.DialPipeContext(ctx, name)
	if errors.Is(err, fs.ErrPermission) {
		return nil, task.Errorf(task.PermissionDenied, "pipe %s: %w", name, err).
			WithHint("it is another user's daemon; set %s to a name of your own", EnvSocket)
	}
	if err != nil {
		return nil, err
	}
	if err := checkOwner(conn, name); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkOwner: pipes have no folder that protects their names, anybody may have made this one.
func checkOwner(conn net.Conn, name string) error {
	h, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return task.Errorf(task.Internal, "pipe %s: no handle", name)
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(h.Fd()), windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return task.Errorf(task.PermissionDenied, "pipe %s: owner: %w", name, err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return task.Errorf(task.PermissionDenied, "pipe %s: owner: %w", name, err)
	}
	self, err := currentUser()
	if err != nil {
		return err
	}
	if owner.Equals(self) || trusted(name, owner) {
		return nil
	}
	return task.Errorf(task.PermissionDenied, "pipe %s: belongs to another user (%s)", name, owner).
		WithHint("set %s to a name of your own", EnvSocket)
}

// trusted: the system service runs as LocalService, which owns what it makes. No user's program runs as that.
func trusted(name string, owner *windows.SID) bool {
	return owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) ||
		strings.EqualFold(name, systemPipe) && owner.IsWellKnown(windows.WinLocalServiceSid)
}

// Absent reports whether a dial failed because nobody listens. Waiting, or starting a daemon, may help.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, windows.ERROR_PIPE_BUSY) || errors.Is(err, winio.ErrTimeout)
}

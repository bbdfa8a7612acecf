package socket

import (
	"errors"
	"io/fs"
	"net"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"durable/ipc/task"
)

// pipeBuffer is the size of a pipe's buffers in bytes, each way. Without any, a write waits for its read.
const pipeBuffer = 64 << 10

// Listen opens the pipe of that name for the user himself. The first to make a pipe owns its name: a
// second daemon gets a [task.FailedPrecondition].
func Listen(name string, opts ...Option) (net.Listener, error) {
	if err := checkName("socket", name); err != nil {
		return nil, err
	}
	sddl, err := descriptor(newAccess(opts))
	if err != nil {
		return nil, err
	}
	l, err := winio.ListenPipe(name, &winio.PipeConfig{
		SecurityDescriptor: sddl,
		InputBufferSize:    pipeBuffer,
		OutputBufferSize:   pipeBuffer,
	})
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) {
		return nil, task.Errorf(task.FailedPrecondition, "pipe %s: another daemon listens on it", name).
			WithHint("durablectl status shows it; a second instance needs a %s of its own", EnvHome)
	}
	if err != nil {
		return nil, task.Errorf(task.FailedPrecondition, "listen on %s: %w", name, err)
	}
	return l, nil
}

// descriptor grants all to the user and the system, for a service to administrators too, and
// inherits nothing.
func descriptor(a access) (string, error) {
	self, err := currentUser()
	if err != nil {
		return "", err
	}
	sddl := "D:P(A;;GA;;;" + self.String() + ")(A;;GA;;;SY)"
	if a.system {
		sddl += "(A;;GA;;;BA)"
	}
	return sddl, nil
}

func currentUser() (*windows.SID, error) {
	u, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, task.Errorf(task.Internal, "this process's user: %w", err)
	}
	return u.User.Sid, nil
}

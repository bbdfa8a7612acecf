package client

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// startProcess leaves the console, its process group, and the job object with which a host may end all
// its children. A job that does not let go refuses the start: then without.
func startProcess(command func() *exec.Cmd) (*exec.Cmd, error) {
	const detached = windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP
	cmd := command()
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: detached | windows.CREATE_BREAKAWAY_FROM_JOB}
	err := cmd.Start()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		cmd = command()
		cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: detached}
		err = cmd.Start()
	}
	return cmd, err
}

//go:build unix

package client

import (
	"os/exec"
	"syscall"
)

// startProcess gives the process a session of its own: no terminal's hangup and no host's signal to its
// process group reaches it.
func startProcess(command func() *exec.Cmd) (*exec.Cmd, error) {
	cmd := command()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, cmd.Start()
}

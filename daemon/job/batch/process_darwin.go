package batch

import (
	"os/exec"
	"syscall"
	"time"

	"durable/daemon/shim/proc"
)

func keepThread() {}

// isolate gives a program a session of its own.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// waitNoReap waits for the end of a process and leaves it to be reaped: there is no call for that without cgo.
func waitNoReap(pid int) {
	for proc.Start(pid) != "" {
		time.Sleep(time.Millisecond)
	}
}

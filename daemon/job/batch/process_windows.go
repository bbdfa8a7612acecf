package batch

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"

	"durable/daemon/shim/proc"
)

func keepThread() {}

// isolate keeps the console's signals away from a program.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

func awaitExit(*exec.Cmd) {}

// tree is what a program has started, itself included.
type tree struct{ tree proc.Tree }

func treeOf(cmd *exec.Cmd, _ []string) tree {
	pid := cmd.Process.Pid
	return tree{proc.Tree{Child: proc.Process{PID: pid, Start: proc.Start(pid)}}}
}

// terminate kills: programs without a window cannot be asked.
func (t tree) terminate() { t.kill() }

func (t tree) kill() { _, _ = t.tree.Kill() }

// killLeft can find nothing: the environment of another process cannot be read.
func killLeft([]string) int { return 0 }

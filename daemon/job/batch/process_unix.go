//go:build unix

package batch

import (
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"durable/daemon/shim/proc"
)

// awaitExit returns when the program has ended and is not reaped yet, and ends what it has left in its group.
func awaitExit(cmd *exec.Cmd) {
	waitNoReap(cmd.Process.Pid)
	proc.KillGroup(cmd.Process.Pid, unix.SIGKILL)
}

// tree is what a program has started, itself included.
type tree struct {
	pid  int
	tree proc.Tree
}

func treeOf(cmd *exec.Cmd, marks []string) tree {
	pid := cmd.Process.Pid
	return tree{pid, proc.Tree{Child: proc.Process{PID: pid, Start: proc.Start(pid)}, Marks: marks}}
}

// terminate asks each process to leave; one that was stopped could not obey.
func (t tree) terminate() { _, _ = t.tree.Signal(unix.SIGTERM, unix.SIGCONT) }

func (t tree) kill() { _, _ = t.tree.Signal(unix.SIGKILL) }

// killLeft kills what has marks in its environment, until nothing of it is left.
func killLeft(marks []string) int {
	killed := 0
	for range killRounds {
		n, err := (proc.Tree{Marks: marks}).Signal(unix.SIGKILL)
		if n == 0 || err != nil {
			break
		}
		killed = max(killed, n)
		time.Sleep(killPause)
	}
	return killed
}

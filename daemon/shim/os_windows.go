package shim

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/windows"

	"durable/daemon/shim/proc"
	"durable/daemon/shim/protocol"
)

// child is a holder that we have started.
type child struct{ process *os.Process }

// startProcess starts a holder outside of the job that the daemon may be in, where that job allows it.
func startProcess(path string, args []string, std [3]*os.File) (*child, error) {
	const detached = windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP
	attr := &os.ProcAttr{
		Env: append([]string{"SystemRoot=" + os.Getenv("SystemRoot")}, holderEnv...), Files: std[:],
		Sys: &syscall.SysProcAttr{CreationFlags: detached | windows.CREATE_BREAKAWAY_FROM_JOB},
	}
	p, err := os.StartProcess(path, args, attr)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		attr.Sys.CreationFlags = detached
		p, err = os.StartProcess(path, args, attr)
	}
	return &child{p}, err
}

func (c *child) pid() int { return c.process.Pid }

func (c *child) kill() { _ = c.process.Kill() }

// spares: none, its end would have to be looked for.
const spares = false

func replaceFolder(string, string) error { return errors.ErrUnsupported }

func (c *child) gone() bool { return false }

// reap waits for one that has ended, or is about to. It may be called once.
func (c *child) reap() { _, _ = c.process.Wait() }

// command tells the holder of dir something: it looks at files from time to time.
func command(dir string, c protocol.Command) (bool, error) {
	if !c.Stop {
		return true, nil
	}
	return true, protocol.Write(dir, protocol.FileStop, c.Append(), false)
}

// execHint says what to do about a program that the system does not run.
func execHint(string) string { return "" }

// terminate: nothing here asks a process without a window or a console to leave.
func terminate(proc.Tree) {}

// kill ends each process of a tree that is there now.
func kill(t proc.Tree) { _, _ = t.Kill() }
